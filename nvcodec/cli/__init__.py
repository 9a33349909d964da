"""The commands nvenc, nvdec and nvinfo: arguments in, files, reports and exit codes out.

The modules here import only what parsing arguments needs; codecs are imported when they run.
"""
