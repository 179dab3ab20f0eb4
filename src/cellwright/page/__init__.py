"""The local web page: drop a file, ask, watch, read, go on. See ``app.make_app``."""
