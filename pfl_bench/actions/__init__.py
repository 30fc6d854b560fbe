"""What can be asked for: a request as data, and the function that does it.

The Python API and the command line are two doors to these rooms. Nothing here prints.
"""
