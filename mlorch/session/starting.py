"""A new project: the files of a template, written where none of them is yet."""

from __future__ import annotations

import contextlib
import os
from datetime import timedelta
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

from mlorch.model.errors import FileError, UsageError
from mlorch.session.workspace import given_time, meant
from mlorch.spec import schemas
from mlorch.world.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

    from mlorch.session.options import GlobalOptions

STANDARD = "standard"
_IGNORED = ".gitignore"
_STORED_AS_TEXT = ".txt"
"""Scripts of a template are stored with this at the end: in the package they are data, and not code of ours."""


class Made(NamedTuple):
    """A project that was made: its folder, absolute, and the files that were written, relative to it, sorted."""

    folder: str
    template: str
    files: tuple[str, ...]
    notes: tuple[str, ...]


def templates() -> tuple[str, ...]:
    """The names of the templates, the usual one first."""
    names = sorted(item.name for item in _root().iterdir() if item.is_dir())
    return tuple(sorted(names, key=lambda name: name != STANDARD))


def start(options: GlobalOptions, folder: str, template: str) -> Made:
    """Write the files of a template. Raises `UsageError` when one is there already, `FileError` when one cannot be written."""
    known = templates()
    if template not in known:
        raise UsageError(
            f"there is no template `{template}`{meant(template, list(known))}", f"templates: {', '.join(known)}"
        )
    root = os.path.abspath(folder or options.project or ".")
    yesterday = SystemClock(given_time(options.now) if options.now else None).now() - timedelta(days=1)
    files = {path: text.replace("@START@", f"{yesterday:%Y-%m-%d}") for path, text in _files(_root() / template)}
    files |= {f"schemas/{kind}.schema.json": schemas.text(kind) for kind in schemas.KINDS}
    notes = _leave_ignored(root, files)
    there = sorted(path for path in files if os.path.lexists(os.path.join(root, path)))
    if there:
        raise UsageError(
            f"{root} has {', '.join(there)} already, and nothing is overwritten",
            "name another folder, `mlorch init DIR`, or move these away",
        )
    _write(root, files)
    return Made(root, template, tuple(sorted(files)), notes)


def add(made: Made, path: str, text: str) -> Made:
    """Write one more file of the project. Raises as `start`."""
    if os.path.lexists(os.path.join(made.folder, path)):
        raise UsageError(f"{made.folder} has {path} already, and nothing is overwritten", "move it away")
    _write(made.folder, {path: text})
    return made._replace(files=tuple(sorted((*made.files, path))))


def undo(made: Made) -> None:
    """Remove what was written, and the folders that are empty then."""
    _remove(made.folder, made.files)


def _root() -> Traversable:
    return resources.files("mlorch") / "templates"


def _files(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, str]]:
    for item in folder.iterdir():
        if item.is_dir():
            yield from _files(item, f"{prefix}{item.name}/")
        else:
            # What begins with a dot would already count for git, and be left out of the package.
            name = _IGNORED if item.name == _IGNORED[1:] else item.name.removesuffix(_STORED_AS_TEXT)
            yield prefix + name, item.read_text(encoding="utf-8")


def _leave_ignored(root: str, files: dict[str, str]) -> tuple[str, ...]:
    """A `.gitignore` that is there stays as it is; what it should say as well is told."""
    try:
        with open(os.path.join(root, _IGNORED), encoding="utf-8", errors="replace") as file:
            lines = {line.strip().strip("/") for line in file}
    except OSError:
        return ()
    missing = [line for line in files.pop(_IGNORED).split() if line.strip("/") not in lines]
    return (f"{_IGNORED} is left as it is; add to it: {' '.join(missing)}",) if missing else ()


def _write(root: str, files: dict[str, str]) -> None:
    written: list[str] = []
    for path, text in files.items():
        full = os.path.join(root, path)
        try:
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "x", encoding="utf-8") as file:
                written.append(path)
                file.write(text)
        except OSError as error:
            _remove(root, written)
            raise FileError(f"{full} cannot be written: {error.strerror}", "see `df -h` and `ls -ld`", full) from error


def _remove(root: str, files: tuple[str, ...] | list[str]) -> None:
    for path in files:
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(root, path))
        while path := os.path.dirname(path):
            with contextlib.suppress(OSError):  # one that holds something else stays
                os.rmdir(os.path.join(root, path))
