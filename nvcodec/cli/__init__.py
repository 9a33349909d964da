"""The commands nvenc, nvdec and nvinfo: arguments in, files, reports and exit codes out.

At import the modules load only what parsing arguments needs. The codec is imported when a command
runs.
"""
