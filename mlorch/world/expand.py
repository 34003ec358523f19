"""Which files match a glob: a walk that reads only the folders it has to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mlorch.lang.globs import ANY_FOLDERS, is_glob, match_name, split
from mlorch.world.trouble import file_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def expand(prefix: str, pattern: str, *, dangling: bool = False) -> tuple[str, ...]:
    """Paths that match `pattern`, sorted; `prefix` (the project with a slash, or "") is put before them to find them.

    Files and folders match, but only files where the last name is `**`, and only folders where the pattern ends in `/`.
    Links to folders are entered where a name says so, not by `**`; links that lead nowhere count if `dangling`. Raises `FileError` for a folder that cannot be read.
    """
    names = split(pattern)
    if not names:
        return ()
    begin = "/" if pattern.startswith("/") else ""
    found: set[str] = set()
    pending: list[tuple[str, int]] = [(begin, 0)]
    visited: set[tuple[str, int]] = set()
    while pending:
        place = pending.pop()
        if place in visited:
            continue
        visited.add(place)
        path, index = place
        for below, following in _step(prefix, path, names, index, os.path.lexists if dangling else os.path.exists):
            if following == len(names):
                found.add(below)
            else:
                pending.append((below + "/", following))
    if pattern.endswith("/"):
        return tuple(sorted(path for path in found if os.path.isdir(prefix + path)))
    return tuple(sorted(found))


def _step(
    prefix: str, path: str, names: tuple[str, ...], index: int, is_there: Callable[[str], bool]
) -> Iterator[tuple[str, int]]:
    """What is found in the folder `path` for the name at `index`: (path, index of the name to look for below it)."""
    name = names[index]
    last = index == len(names) - 1
    if not is_glob(name):
        full = prefix + path + name
        if is_there(full) if last else os.path.isdir(full):
            yield path + name, index + 1
        return
    if name == ANY_FOLDERS and not last:
        yield from _step(prefix, path, names, index + 1, is_there)
    for entry in _entries(prefix + path):
        if not match_name(name, entry.name):
            continue
        below = path + entry.name
        if name == ANY_FOLDERS:
            if entry.is_dir(follow_symlinks=False):
                yield below, index
            elif last and is_there(prefix + below):
                yield below, index + 1
        elif is_there(prefix + below) if last else entry.is_dir():
            yield below, index + 1


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder or ".") as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise file_error(error, folder, "list") from error
