"""Errors of the operating system, worded for whoever must act."""

from __future__ import annotations

import errno
import os

from mlorch.model.errors import FileError, StateError

DISK_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG})
"""What is wrong with the disk and not with one file: nothing else would fare better."""


def _remedy(error: OSError, path: str) -> str:
    number = error.errno
    if number in (errno.ENOSPC, errno.EDQUOT):
        full = "the quota is used up" if number == errno.EDQUOT else "the disk is full"
        return f"{full}: free some space (`df -h`, `mlorch gc`) and run the same command again"
    if number == errno.EFBIG:
        return "a limit on the size of files was reached (`ulimit -f`): raise it and run the same command again"
    if number == errno.EROFS:
        return "the file system is read-only: mount it writable, or set `state:` in mlorch.yaml to a folder on another disk"
    if number in (errno.EACCES, errno.EPERM):
        return f"you (uid {os.geteuid()}) may not: see `ls -ld {path}`, and run as its owner or change its mode"
    if number in (errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST, errno.ELOOP):
        return f"something else stands there: look with `ls -ld {path}` and move it away"
    if number in (errno.EMFILE, errno.ENFILE):
        return "too many open files: raise `ulimit -n`"
    if number == errno.EIO:
        return "the disk reported an error: look at `dmesg` before you go on"
    return ""


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def state_error(error: OSError, path: str, doing: str) -> StateError:
    """A `StateError` that says what could not be done (`doing`: "write"), to which file, why, and how to mend it."""
    return StateError(f"cannot {doing} {path}: {_reason(error)}", _remedy(error, path))


def file_error(error: OSError, path: str, doing: str) -> FileError | StateError:
    """What to raise for a file of the project: `StateError` when the disk is at fault, else `FileError`."""
    if error.errno in DISK_ERRNOS:
        return state_error(error, path, doing)
    return FileError(f"cannot {doing} {path}: {_reason(error)}", _remedy(error, path), path)
