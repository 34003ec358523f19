"""The three system calls that `os` does not have. Linux only."""

from __future__ import annotations

import ctypes
import os

_PR_SET_CHILD_SUBREAPER = 36
_SFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_SIGSET_BYTES = 128
_KEEP_SIZE_PUNCH_HOLE = 0x01 | 0x02

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
# Where `off_t` has 32 bits, the call for 64 has a name of its own.
_fallocate = getattr(_libc, "fallocate64", _libc.fallocate)
_fallocate.argtypes = _libc.fallocate.argtypes


def _check(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def become_subreaper() -> None:
    """Orphaned descendants become our children, not those of process 1. Raises `OSError`."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def signal_fd(*signals: int) -> int:
    """A descriptor that is readable while one of `signals` (blocked by the caller) is pending. Raises `OSError`."""
    mask = bytearray(_SIGSET_BYTES)
    for number in signals:
        mask[(number - 1) // 8] |= 1 << ((number - 1) % 8)
    buffer = (ctypes.c_char * _SIGSET_BYTES).from_buffer(mask)
    return _check(_libc.signalfd(-1, buffer, _SFD_NONBLOCK_CLOEXEC))


def punch_hole(fd: int, offset: int, length: int) -> None:
    """Give the bytes of this range back to the disk; they read as zeros. Raises `OSError` where the file system cannot."""
    _check(_fallocate(fd, _KEEP_SIZE_PUNCH_HOLE, offset, length))
