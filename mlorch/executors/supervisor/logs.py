"""Bounds the log of an attempt while the step itself writes to it.

A log that has grown past its limit keeps its head (half of the limit) and its tail (the other half). While the step runs, what
lies between is given back to the disk as a hole, which reads as zero bytes; where the file system knows no holes, the file is
squeezed at once (and may lose what is written at that moment). When the attempt has ended, the file is squeezed: head, a line
that says how much was cut, tail.
"""

from __future__ import annotations

import os

from mlorch.executors.supervisor.linux import punch_hole

_CHUNK = 1 << 20
_SOONEST = 0.01
_LATEST = 0.2
_LEAST = 4096
_MARK_ROOM = 160
"""The line about the cut is shorter than this."""


class LogGuard:
    """Watches the log behind `fd` (open for appending; not closed here). `limit` in bytes; less than 4 KiB count as 4 KiB."""

    __slots__ = ("_fd", "_head", "_kept", "_limit", "_punched", "_tail", "cut", "size")

    def __init__(self, fd: int, limit: int) -> None:
        self._fd = fd
        self._limit = max(limit, _LEAST)
        self._head = self._limit // 2
        self._tail = self._limit - self._head
        # What stands before `_kept` stays as it is: the head, later with the line that follows it. Up to `_punched` is a hole.
        self._kept = self._punched = self._head
        self.size = 0
        self.cut = 0

    def look(self, elapsed: float) -> tuple[bool, float]:
        """Whether the log changed since the last look, `elapsed` seconds ago, and in how many seconds to look again."""
        size = os.fstat(self._fd).st_size
        if size == self.size:
            return False, _LATEST
        grown = max(size - self.size, 0)
        self.size = size
        room = self._kept + self._tail - (size - (self._punched - self._kept))
        if room <= 0:
            self._give_back(size)
            room = self._tail
        # A fast writer is met again before it has filled half of what is left.
        pause = room * max(elapsed, _SOONEST) / (2 * grown) if grown else _LATEST
        return True, min(max(pause, _SOONEST), _LATEST)

    def _give_back(self, size: int) -> None:
        start, end = self._punched, size - self._tail
        if end <= start:
            return
        try:
            punch_hole(self._fd, start, end - start)
            self._punched = end
        except OSError:
            self._squeeze(size)

    def finish(self) -> None:
        """Bring the ended log into its last shape. Raises `OSError` when it cannot be rewritten; it is bounded even so."""
        size = os.fstat(self._fd).st_size
        if size > self._kept + self._tail or self._punched > self._kept:
            self._squeeze(size)

    def _squeeze(self, size: int) -> None:
        # Opened anew: a write at an offset through a descriptor opened for appending goes to the end all the same.
        fd = os.open(f"/proc/self/fd/{self._fd}", os.O_RDWR | os.O_CLOEXEC)
        try:
            source = max(size - self._tail, self._punched, self._head + _MARK_ROOM)
            self.cut += source - self._kept
            mark = f"\n[mlorch: {self.cut} bytes of this log were cut out here; log_limit is {self._limit}]\n".encode()
            os.pwrite(fd, mark, self._head)
            self._kept = self._punched = self._head + len(mark)
            self.size = self._move(fd, source, self._kept)
            os.ftruncate(fd, self.size)
        finally:
            os.close(fd)

    @staticmethod
    def _move(fd: int, source: int, target: int) -> int:
        """Copy all from `source` on to `target`, which lies before it; returns where the copy ends."""
        while piece := os.pread(fd, _CHUNK, source):
            os.pwrite(fd, piece, target)
            source += len(piece)
            target += len(piece)
        return target
