"""The command line: options in, exit codes out. Composition happens here; nothing is decided here."""
