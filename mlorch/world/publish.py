"""Renames that put outputs in place: atomic where the system can, else finishable by doing the same call again."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from mlorch.model.errors import FileError
from mlorch.world.trouble import file_error

if TYPE_CHECKING:
    from mlorch.model.errors import StateError

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_UNSUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})


def exchange(one: str, other: str) -> bool:
    """Swap two names in one step; False where the system or the file system cannot. Raises `OSError`."""
    import ctypes

    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return False
    if function(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), ctypes.c_uint(_RENAME_EXCHANGE)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), one, None, other)


def move(staged: str, final: str) -> None:
    """Put `staged` in place of `final`. Called again after an interruption anywhere it finishes what is left.

    Raises `FileError` (something of the wrong kind stands there, nothing to move, not permitted) and `StateError`.
    """
    try:
        os.rename(staged, final)
    except OSError as error:
        _move_otherwise(staged, final, error)


def _move_otherwise(staged: str, final: str, error: OSError) -> None:
    number = error.errno
    try:
        if number == errno.ENOENT:
            _move_missing(staged, final, error)
        elif number in (errno.ENOTEMPTY, errno.EEXIST):
            _replace_folder(staged, final)
        else:
            raise _refusal(error, staged, final) from error
    except OSError as second:
        raise file_error(second, final, "put the output at") from second


def _refusal(error: OSError, staged: str, final: str) -> FileError | StateError:
    """Why an output cannot be put in its place."""
    if error.errno == errno.EISDIR:
        return FileError(
            f"a folder stands at {final}, where a file should go",
            "move it away, or end the output's path in `/`",
            final,
        )
    if error.errno == errno.ENOTDIR and os.path.isdir(staged):
        return FileError(
            f"a file stands at {final}, where a folder should go",
            "move it away, or take the `/` off the output's path",
            final,
        )
    if error.errno == errno.EXDEV:
        return FileError(
            f"{final} is on another file system than its own folder (a mount point?), so it cannot be replaced at once",
            "make the output a folder or file below it",
            final,
        )
    return file_error(error, final, "put the output at")


def _move_missing(staged: str, final: str, error: OSError) -> None:
    if os.path.lexists(staged):
        os.makedirs(os.path.dirname(final), exist_ok=True)
        move(staged, final)
        return
    unfinished = _unfinished(staged)
    if unfinished:
        _finish(unfinished, final)
    elif not os.path.lexists(final):
        raise FileError(
            f"{final}: neither the output nor what was staged for it is there", "run the step again", final
        ) from error


def _replace_folder(staged: str, final: str) -> None:
    # The name says which folder is the new one: after an interruption nobody could tell whether the two were swapped.
    folder, name = os.path.split(staged)
    waiting = f"{folder}/.new-{os.lstat(staged).st_ino}-{name}"
    os.rename(staged, waiting)
    _finish(waiting, final)


def _unfinished(staged: str) -> str:
    """The folder that an interrupted `_replace_folder` left beside `staged`; "" if none."""
    folder, name = os.path.split(staged)
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    for found in names:
        if found.startswith(".new-") and found.split("-", 2)[2:] == [name]:
            return f"{folder}/{found}"
    for found in names:
        if found == f".old-{name}":
            remove(f"{folder}/{found}")
    return ""


def _finish(waiting: str, final: str) -> None:
    folder, label = os.path.split(waiting)
    _, inode, name = label.split("-", 2)
    if os.lstat(waiting).st_ino != int(inode):
        remove(waiting)  # they were swapped: this is what `final` was
        return
    if os.path.lexists(final):
        if exchange(waiting, final):
            remove(waiting)
            return
        old = f"{folder}/.old-{name}"
        remove(old)
        os.rename(final, old)
    os.rename(waiting, final)
    remove(f"{folder}/.old-{name}")


def swap(staged: str, final: str, new: int) -> None:
    """Put `staged`, whose inode is `new`, at `final`; what was there stands at `staged` afterwards, for `unswap` or removal.

    Called again after an interruption anywhere it finishes what is left. Raises `FileError` and `StateError`.
    """
    aside = _aside(staged)
    try:
        if _inode(final) == new:
            if os.path.lexists(aside):
                os.rename(aside, staged)
        elif _inode(staged) != new:
            raise FileError(f"what was staged at {staged} for {final} is gone", "run the step again", final)
        else:
            _swap(staged, final, aside)
    except OSError as error:
        raise _refusal(error, staged, final) from error


def _swap(staged: str, final: str, aside: str) -> None:
    if os.path.lexists(final):
        if os.path.isdir(staged) != (os.path.isdir(final) and not os.path.islink(final)):
            number = errno.ENOTDIR if os.path.isdir(staged) else errno.EISDIR
            raise OSError(number, os.strerror(number))
        if exchange(staged, final):
            return
        os.rename(final, aside)
    try:
        os.makedirs(os.path.dirname(final), exist_ok=True)
        os.rename(staged, final)
    except OSError:
        if os.path.lexists(aside):
            os.rename(aside, final)
        raise
    if os.path.lexists(aside):
        os.rename(aside, staged)


def unswap(staged: str, final: str, new: int) -> None:
    """Undo a `swap`, from wherever it came to: what was at `final` stands there again, and `staged` holds what it held.

    May be called again after an interruption, too. Raises `FileError` and `StateError`.
    """
    aside = _aside(staged)
    try:
        if _inode(final) == new:
            if os.path.lexists(staged):
                if exchange(staged, final):
                    return
                os.rename(staged, aside)
            os.rename(final, staged)
        if os.path.lexists(aside):
            os.rename(aside, final)
    except OSError as error:
        raise file_error(error, final, "put back what was at") from error


def _aside(staged: str) -> str:
    folder, name = os.path.split(staged)
    return f"{folder}/.former-{name}"


def _inode(path: str) -> int:
    try:
        return os.lstat(path).st_ino
    except (FileNotFoundError, NotADirectoryError):
        return 0


def remove(path: str) -> None:
    """Remove a file, a link or a whole folder; missing is fine. Folders without write permission are opened up first.

    Raises `FileError` and `StateError`.
    """
    path = path.rstrip("/") or path
    try:
        try:
            os.rmdir(path)
        except NotADirectoryError:
            os.unlink(path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            _remove_tree(path)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        return  # a part of its path is a file, so there is nothing
    except OSError as error:
        raise file_error(error, path, "remove") from error


def _remove_tree(top: str) -> None:
    # Not recursive: a tree may be deeper than the interpreter's stack.
    pending = [top]
    while pending:
        folder = pending[-1]
        below = []
        try:
            below = _empty(folder)
        except PermissionError:
            mode = os.lstat(folder).st_mode
            if stat.S_IMODE(mode) & stat.S_IRWXU == stat.S_IRWXU:
                raise
            os.chmod(folder, stat.S_IMODE(mode) | stat.S_IRWXU)
            continue
        if below:
            pending.extend(below)
            continue
        os.rmdir(folder)
        pending.pop()


def _empty(folder: str) -> list[str]:
    """Remove the files of a folder and return its folders."""
    below = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                below.append(entry.path)
            else:
                os.unlink(entry.path)
    return below


def set_aside(path: str, aside: str) -> None:
    """Rename what is at `path` to `aside`, if there is something; the folder of `path` exists afterwards.

    Raises `FileError` when both are there (the older one would be lost) or it is not permitted, and `StateError`.
    """
    try:
        if os.path.lexists(path):
            if os.path.lexists(aside):
                raise FileError(
                    f"cannot put {path} aside: {aside} is there from before",
                    f"look at both; to keep the older one: mv {aside} {path}",
                    path,
                )
            os.makedirs(os.path.dirname(aside), exist_ok=True)
            os.rename(path, aside)
        else:
            os.makedirs(os.path.dirname(path), exist_ok=True)
    except OSError as error:
        raise file_error(error, path, "put aside") from error
