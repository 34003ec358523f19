"""A copy of this process that works beside it: half of what many a job costs is the interpreter's, which uses one CPU."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, BinaryIO

from mlorch.world.machine import cpus

if TYPE_CHECKING:
    from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


class Copy:
    """A copy at work. `told` gives what it writes, up to its end, whatever ends it."""

    def __init__(self, pid: int, told: BinaryIO) -> None:
        self._pid = pid
        self.told = told

    def close(self) -> None:
        """What it had to say was read, or nobody wants it any more; may be called twice."""
        if self._pid:
            pid, self._pid = self._pid, 0
            self.told.close()
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):  # whoever called us ignores SIGCHLD: the system waited for it
                os.waitpid(pid, 0)


def begin(work: Callable[[BinaryIO], object]) -> Copy | None:
    """A copy of this process that does `work`, which is given where to write and must only look; None if there can be none.

    There is none without a second CPU, nor beside another thread, whose locks it would find held for ever.
    """
    threading = sys.modules.get("threading")
    if cpus() == 1 or (threading is not None and threading.active_count() > 1):
        return None
    try:
        reading, writing = os.pipe()
    except OSError:
        return None
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        return None
    if pid == 0:
        try:
            os.close(reading)
            _become_nobodys_burden(parent, writing)
            with open(writing, "wb") as file:
                work(file)
        finally:
            os._exit(0)  # nothing of the command's end is this process's to do
    os.close(writing)
    return Copy(pid, open(reading, "rb"))


def _become_nobodys_burden(parent: int, kept: int) -> None:
    """Of a copy: end when the process ends that it was made of, however that ends, and keep nobody's pipe open."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        if fd != kept:
            os.dup2(null, fd)
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)  # it ended before it could be asked for
