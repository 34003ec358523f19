"""Fakes of the ports, which pass the same suites as the real sides. For tests, ours and those of authors of executors."""
