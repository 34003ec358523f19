"""Reads specs: bytes to frozen dataclasses, or every problem at once with its place."""
