"""One question about very many things, asked in two processes: half of what it costs is the interpreter's, which uses one CPU."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

from mlorch.world.machine import cpus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MANY = 10_000
"""So many questions (a few system calls each) take longer than a second process does."""


def asked(question: Callable[[int], bool], count: int) -> Iterator[int]:
    """`question(number)` for each number below `count`, one after another. It must only look.

    A copy of this process asks the later ones at the same time, if there is a CPU for it; whatever goes wrong there is asked here.
    """
    # Whoever reads the answers does something with them, while the copy goes on asking.
    middle = count * 12 // 25
    copy = _begin(question, middle, count) if count >= MANY and cpus() > 1 and _alone() else None
    if copy is None:
        yield from map(question, range(count))
        return
    pid, reading = copy
    try:
        yield from map(question, range(middle))
        later = _read_all(reading)
    finally:
        os.close(reading)
        # What it had to say was read, or nobody wants it any more.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    yield from later if len(later) == count - middle else map(question, range(middle, count))


def _alone() -> bool:
    """No other thread, whose locks the copy would find held for ever."""
    threading = sys.modules.get("threading")
    return threading is None or threading.active_count() == 1


def _begin(question: Callable[[int], bool], first: int, end: int) -> tuple[int, int] | None:
    """The copy that asks, and where its answers are read; None if there can be none."""
    try:
        reading, writing = os.pipe()
    except OSError:
        return None
    try:
        pid = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        return None
    if pid == 0:
        try:
            os.close(reading)
            left = memoryview(bytes(map(question, range(first, end))))
            while left:
                left = left[os.write(writing, left) :]
        finally:
            os._exit(0)  # nothing of the command's end is this process's to do
    os.close(writing)
    return pid, reading


def _read_all(fd: int) -> bytes:
    parts = []
    while part := os.read(fd, 1 << 16):
        parts.append(part)
    return b"".join(parts)
