"""The process that starts steps, watches them and records their ends: standard library only, small, single-threaded.

One for each invocation of mlorch, started at its first step. `local.py` talks to it over a socket; it outlives a killed mlorch
until its last step has ended. Modules here avoid `typing` at run time: what they import is the least that any step's
`peak_rss_bytes` can show.
"""
