"""The encoder of the nirvana model: paths, residuals and gradient steps on features."""
