"""A dictionary for a disk."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from mlorch.lang.globs import compile_glob
from mlorch.model.errors import FileError, StateError
from mlorch.model.manifest import Artifact
from mlorch.testing.clock import HandClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlorch.model.ports import Clock


@dataclass(slots=True)
class _File:
    data: bytes
    version: int
    changed: float
    touched: float


class MemoryFiles:
    """The `Files` port in memory, without links. `reads` counts how often a content was looked into, by absolute path.

    `full` True makes every change raise `StateError`, as on a full disk. `flushed` and `flushed_folders` keep what was
    asked to be made durable. `put`, `text` and `listing` are for the test's own hands.
    """

    def __init__(
        self, root: str = "/project", *, roots: Sequence[tuple[str, str]] = (), clock: Clock | None = None
    ) -> None:
        self.root = root
        self.full = False
        self.reads: dict[str, int] = {}
        self.flushed: list[str] = []
        self.flushed_folders: list[str] = []
        self.changes: list[tuple[str, ...]] = []
        self._allowed = (root, *(folder for _, folder in roots))
        self._clock = clock or HandClock()
        self._files: dict[str, _File] = {}
        self._folders: set[str] = {root}
        self._version = 0

    # The test's own hands.

    def put(self, path: str, content: str | bytes) -> None:
        """Write a file, its folders too, as the outside world would."""
        full = self.absolute(path)
        self._make_folders(posixpath.dirname(full))
        self._version += 1
        data = content.encode() if isinstance(content, str) else content
        now = self._clock.wall().timestamp()
        self._files[full] = _File(data, self._version, now, now)

    def age(self, path: str, seconds: float) -> None:
        """Set the time when a file's content was changed back, as `cp -p` does."""
        self._files[self.absolute(path)].changed -= seconds

    def make_folder(self, path: str) -> None:
        """Make a folder, and those above it."""
        self._make_folders(self.absolute(path))

    def text(self, path: str) -> str | None:
        """A file's content, None if there is none."""
        found = self._files.get(self.absolute(path))
        return None if found is None else found.data.decode()

    def listing(self) -> tuple[str, ...]:
        """All files of the project, relative to it, sorted."""
        prefix = self.root + "/"
        return tuple(sorted(path.removeprefix(prefix) for path in self._files))

    # Names.

    def absolute(self, path: str) -> str:
        """The absolute path."""
        return posixpath.normpath(posixpath.join(self.root, path))

    def outside(self, path: str) -> str:
        """Why `path` may not be used; "" when it may."""
        full = self.absolute(path)
        if any(full == allowed or full.startswith(allowed + "/") for allowed in self._allowed):
            return ""
        return f"{path} leads out of the project"

    def expand(self, pattern: str) -> tuple[str, ...]:
        """Paths that match a glob, sorted."""
        prefix = "" if pattern.startswith("/") else self.root + "/"
        matches = compile_glob(pattern)
        everything = list(self._files)
        if posixpath.basename(pattern) != "**":
            everything.extend(self._folders)
        if pattern.endswith("/"):
            everything = list(self._folders)
        found = (path.removeprefix(prefix) for path in everything if path.startswith(prefix))
        return tuple(sorted(path for path in found if matches(path)))

    def exists(self, path: str) -> bool:
        """Whether there is something at `path`."""
        full = self.absolute(path)
        return full in self._files or full in self._folders

    # Content.

    def look(self, path: str, known: Artifact | None = None) -> Artifact | None:
        """The artifact at `path`, None if missing; read only if `known` does not vouch."""
        full = self.absolute(path)
        name = known.name if known is not None else ""
        file = self._files.get(full)
        if file is not None:
            signature = f"{len(file.data)}:{file.version}"
            if known is not None and known.signature == signature and not known.racy:
                return Artifact(path, known.digest, signature, len(file.data), name)
            self.reads[full] = self.reads.get(full, 0) + 1
            return Artifact(path, sha256(file.data).hexdigest(), signature, len(file.data), name)
        if full not in self._folders:
            return None
        below = self._below(full)
        folders = sorted(folder[len(full) :] for folder in self._folders if folder.startswith(full + "/"))
        signature = sha256(repr((folders, [(p, f.version) for p, f in below])).encode()).hexdigest()
        if known is not None and known.signature == signature and not known.racy:
            return Artifact(path, known.digest, signature, known.size, name)
        for inner, _ in below:
            self.reads[full + inner] = self.reads.get(full + inner, 0) + 1
        digest = sha256(repr((folders, [(p, f.data) for p, f in below])).encode()).hexdigest()
        return Artifact(path, digest, signature, sum(len(f.data) for _, f in below), name)

    def same(self, known: Artifact) -> bool:
        """Whether what stands at `known.path` still has its content."""
        found = self.look(known.path, known)
        return found is not None and found.digest == known.digest

    def identity(self, path: str) -> str:
        """What stays the same when `path` is renamed; "" if missing."""
        full = self.absolute(path)
        if full in self._files:
            return str(self._files[full].version)
        return repr([(p, f.version) for p, f in self._below(full)]) if full in self._folders else ""

    def modified(self, path: str) -> float | None:
        """When the content of `path`, of a folder all below, last changed by the clock given; None if missing, 0 if empty."""
        full = self.absolute(path)
        if full in self._files:
            return self._files[full].changed
        return max((f.changed for _, f in self._below(full)), default=0.0) if full in self._folders else None

    def touched(self, path: str) -> float | None:
        """When a file was last changed or renamed, by the clock given; None if missing, 0 for a folder."""
        full = self.absolute(path)
        if full in self._files:
            return self._files[full].touched
        return 0.0 if full in self._folders else None

    def written(self, path: str) -> tuple[int | None, str]:
        """Bytes of a file or of all files of a folder, None if missing; and why it may not be published."""
        full = self.absolute(path)
        outside = self.outside(path)
        wrong = f"is a link, and may not be published: {outside}" if outside else ""
        if full in self._files:
            return len(self._files[full].data), wrong
        if full in self._folders:
            return sum(len(f.data) for _, f in self._below(full)), wrong
        return None, ""

    def read_text(self, path: str, limit: int) -> str | None:
        """Up to `limit` bytes as UTF-8, None if missing. More raise `ValueError`."""
        full = self.absolute(path)
        if full in self._folders:
            raise FileError(f"cannot read {path}: Is a directory", path=path)
        file = self._files.get(full)
        if file is None:
            return None
        if len(file.data) > limit:
            raise ValueError(f"{path} holds more than {limit} bytes")
        return file.data.decode("utf-8", "replace")

    def write_text(self, path: str, text: str) -> None:
        """Create or replace a small file."""
        self._changing("write_text", path)
        if self.absolute(path) in self._folders:
            raise FileError(f"cannot write {path}: Is a directory", path=path)
        self.put(path, text)

    # Publishing.

    def stage(self, folder: str, path: str, *, is_folder: bool) -> str:
        """Make the staging folder and return the staged path."""
        self._changing("stage", folder, path)
        staged = f"{folder.rstrip('/')}/{posixpath.basename(path.rstrip('/'))}"
        self._make_folders(self.absolute(folder))
        self._take(self.absolute(staged))
        if is_folder:
            self._folders.add(self.absolute(staged))
        return staged

    def set_aside(self, path: str, aside: str) -> None:
        """Rename what is at `path` to `aside`; the folder of `path` exists afterwards."""
        self._changing("set_aside", path, aside)
        full, other = self.absolute(path), self.absolute(aside)
        if self.exists(path):
            if self.exists(aside):
                raise FileError(f"cannot put {path} aside: {aside} is there from before", path=path)
            self._rename(full, other)
        self._make_folders(posixpath.dirname(full))

    def move(self, staged: str, final: str) -> None:
        """Put `staged` in place of `final`. `staged` missing, `final` there: done before."""
        self._changing("move", staged, final)
        source, target = self.absolute(staged), self.absolute(final)
        if not self.exists(staged):
            if not self.exists(final):
                raise FileError(f"{final}: neither the output nor what was staged for it is there", path=final)
            return
        if source in self._files and target in self._folders:
            raise FileError(f"a folder stands at {final}, where a file should go", path=final)
        if source in self._folders and target in self._files:
            raise FileError(f"a file stands at {final}, where a folder should go", path=final)
        self._take(target)
        self._rename(source, target)

    def swap(self, staged: str, final: str, identity: str) -> None:
        """Put `staged` in place of `final`; what was there stands at `staged` afterwards."""
        self._changing("swap", staged, final)
        if self.identity(final) == identity:
            return
        if self.identity(staged) != identity:
            raise FileError(f"what was staged at {staged} for {final} is gone", path=final)
        self._swap(staged, final)

    def unswap(self, staged: str, final: str, identity: str) -> None:
        """Undo `swap`."""
        self._changing("unswap", staged, final)
        if self.identity(final) == identity:
            self._swap(final, staged)

    def _swap(self, one: str, other: str) -> None:
        source, target, between = self.absolute(one), self.absolute(other), "/.between"
        if source in self._files and target in self._folders:
            raise FileError(f"a folder stands at {other}, where a file should go", path=other)
        if source in self._folders and target in self._files:
            raise FileError(f"a file stands at {other}, where a folder should go", path=other)
        if self.exists(other):
            self._rename(target, between)
        self._rename(source, target)
        if self.exists(between):
            self._rename(between, source)

    def remove(self, path: str) -> None:
        """Remove a file or a whole folder; missing is fine."""
        self._changing("remove", path)
        full = self.absolute(path)
        if full == self.root:
            raise FileError(f"{path} is the project itself", path=path)
        self._take(full)

    def flush(self, paths: Sequence[str]) -> None:
        """Note what was to be made durable."""
        self.flushed.extend(self.absolute(path) for path in paths)

    def flush_folders(self, paths: Sequence[str]) -> None:
        """Note whose names were to be made durable."""
        self.flushed_folders.extend(self.absolute(path) for path in paths)

    # Inside.

    def _changing(self, *what: str) -> None:
        if self.full:
            raise StateError(f"cannot write {what[-1]}: No space left on device", "free some space")
        self.changes.append(what)

    def _make_folders(self, folder: str) -> None:
        while folder not in self._folders and folder != "/":
            if folder in self._files:
                raise FileError(f"cannot use {folder}: Not a directory", path=folder)
            self._folders.add(folder)
            folder = posixpath.dirname(folder)

    def _below(self, folder: str) -> list[tuple[str, _File]]:
        return sorted(
            ((path[len(folder) :], file) for path, file in self._files.items() if path.startswith(folder + "/")),
            key=lambda pair: pair[0],
        )

    def _take(self, full: str) -> None:
        self._files.pop(full, None)
        self._folders.discard(full)
        for path in [path for path in self._files if path.startswith(full + "/")]:
            del self._files[path]
        self._folders = {folder for folder in self._folders if not folder.startswith(full + "/")}

    def _rename(self, source: str, target: str) -> None:
        self._make_folders(posixpath.dirname(target))
        if source in self._files:
            self._files[target] = self._files.pop(source)
            self._files[target].touched = self._clock.wall().timestamp()
            return
        for path in [path for path in self._files if path.startswith(source + "/")]:
            self._files[target + path[len(source) :]] = self._files.pop(path)
        moved = {folder for folder in self._folders if folder == source or folder.startswith(source + "/")}
        self._folders = (self._folders - moved) | {target + folder[len(source) :] for folder in moved}
