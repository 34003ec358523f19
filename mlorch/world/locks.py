"""A lock (of a partition, a slot of a pool): held as long as a process that needs it lives.

It is a native `flock` (filelock's `lock_descriptor`: never its soft locks) on a descriptor that is ours, so that it can be lent:
children that inherit the descriptor hold the lock with us. Measured (Linux 6, ext4): after `LOCK_UN` in the parent another
process gets the lock although a child still has the descriptor open; after a mere `close` it does not, until the last child
ends. So `release` only ever closes. For the same reason filelock's path locks are not used: they unlock explicitly when
released, when garbage collected and when the interpreter exits, and with that would take the lock from steps that go on.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mlorch.model.errors import StateError
from mlorch.world.trouble import state_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.2
_NOTHING: Mapping[str, object] = MappingProxyType({})


def _never() -> bool:
    return False


class LockFile:
    """A lock file that is never deleted; the note of its holder is in it. The folder of `path` must be there.

    `interrupted` is asked several times a second while waiting: when it says True, `acquire` gives up and returns False.
    Two spellings of a path are one lock: the kernel locks the file, not the name.
    """

    def __init__(self, path: str, *, interrupted: Callable[[], bool] = _never) -> None:
        self._path = path
        self._interrupted = interrupted
        self._fd = -1

    def acquire(self, *, wait: float | None, note: str, about: Mapping[str, object] = _NOTHING) -> bool:
        """Take it; wait up to `wait` seconds (None: for ever, 0: not at all). False if somebody else holds it.

        `about` is kept with the note, for `noted`; without a note nothing is written. Raises `StateError` if the lock file cannot be opened or the file system has no locks.
        """
        if self._fd >= 0:
            raise RuntimeError(f"{self._path} is already held by this object")
        deadline = None if wait is None else time.monotonic() + wait
        pause = _FIRST_PAUSE
        while not self._try():
            left = pause if deadline is None else min(pause, deadline - time.monotonic())
            if left <= 0 or self._interrupted():
                return False
            time.sleep(left)  # the holder tells nobody when it lets go
            pause = min(pause * 2, _LONGEST_PAUSE)
        if note:
            self._write_note(note, about)
        return True

    def holder(self) -> str:
        """The note of whoever holds or last held it; "" if unknown."""
        note = self.noted().get("note")
        return note if isinstance(note, str) else ""

    def noted(self) -> dict[str, Any]:
        """The note of whoever holds or last held it with all that stands beside it; empty if unknown."""
        import json

        try:
            with open(self._path, encoding="utf-8") as file:
                found = json.loads(file.readline(65536))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def fileno(self) -> int:
        """The descriptor to lend to steps while the lock is held. Raises `ValueError` when it is not."""
        if self._fd < 0:
            raise ValueError(f"{self._path} is not held")
        return self._fd

    def release(self) -> None:
        """Close our descriptor; may be called twice. The lock is free once no child has the descriptor open either."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _try(self) -> bool:
        from filelock import lock_descriptor

        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise state_error(error, self._path, "open the lock") from error
        try:
            held = lock_descriptor(fd, blocking=False) and self._is_current(fd)
        except OSError as error:
            os.close(fd)
            if error.errno in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
                raise StateError(
                    f"the file system of {self._path} has no locks: {error.strerror}",
                    "set `state:` in mlorch.yaml to a folder on a local disk",
                ) from error
            raise state_error(error, self._path, "lock") from error
        except BaseException:
            os.close(fd)  # a signal handler raised: nothing may stay locked that nobody knows of
            raise
        if held:
            self._fd = fd
        else:
            os.close(fd)
        return held

    def _is_current(self, fd: int) -> bool:
        """Whether the file we locked still is the one at the path: somebody may have deleted it meanwhile."""
        try:
            there, ours = os.stat(self._path), os.fstat(fd)
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def _write_note(self, note: str, about: Mapping[str, object]) -> None:
        import json

        text = json.dumps({"schema": 1, "note": note, "pid": os.getpid(), **about}) + "\n"
        data = text.encode("utf-8", "surrogateescape")
        # For a message only: a full disk must not stop whoever holds the lock from finishing what is there.
        with contextlib.suppress(OSError):
            os.pwrite(self._fd, data, 0)  # who reads meanwhile reads one line
            os.ftruncate(self._fd, len(data))


def held_inodes() -> frozenset[tuple[int, int]]:
    """(device, inode) of the files that somebody on this machine has locked, as proc(5) `locks` tells; takes no lock."""
    try:
        with open("/proc/locks", encoding="ascii", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return frozenset()
    found = set()
    for line in lines:
        words = line.split()
        if "FLOCK" not in words or "->" in words:  # "->": somebody who waits
            continue
        major, minor, inode = next(word for word in words if word.count(":") == 2).split(":")
        found.add((os.makedev(int(major, 16), int(minor, 16)), int(inode)))
    return frozenset(found)
