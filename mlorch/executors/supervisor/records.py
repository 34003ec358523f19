"""Appends to the records of attempts: one line each, in one write, before anybody is told."""

from __future__ import annotations

import os

_OPEN_AT_ONCE = 64


class Records:
    """Keeps the files in use open. What a full disk refused waits, and is written when there is room again."""

    def __init__(self) -> None:
        self._files: dict[str, int] = {}
        self._waiting: dict[str, bytes] = {}

    def append(self, path: str, line: bytes) -> str:
        """Write `line` (with its newline) at the end of `path`; "" or why it could not be."""
        waiting = self._waiting.pop(path, b"")
        data = waiting + line
        try:
            fd = self._open(path)
            written = os.write(fd, data)
        except OSError as error:
            self._waiting[path] = data
            return f"{path}: {os.strerror(error.errno or 0)}"
        if written < len(data):
            # The next line must not become part of this torn one; a reader leaves out what is no whole line.
            self._waiting[path] = b"\n" + data
            return f"{path}: the disk is full"
        return ""

    def retry(self) -> None:
        """Try again to write what waits."""
        for path in list(self._waiting):
            self.append(path, b"")

    def _open(self, path: str) -> int:
        fd = self._files.get(path)
        if fd is None:
            if len(self._files) >= _OPEN_AT_ONCE:
                os.close(self._files.pop(next(iter(self._files))))
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            fd = self._files[path] = os.open(path, flags, 0o600)
        return fd
