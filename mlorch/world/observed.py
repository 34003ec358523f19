"""What a decision asked of the disk, with the answers; and whether the disk would answer the same today.

Deciding is a function of the spec, the journal and these answers: while all of them stay, so does the decision.
"""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING, NamedTuple

from mlorch.model.errors import MlorchError
from mlorch.world.digests import is_racy, signature

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlorch.model.manifest import Artifact
    from mlorch.world.files import ProjectFiles

MISSING = "missing"
_MANY = 16
"""Folders in one folder: from so many on all of them are listed at once."""


class Observation(NamedTuple):
    """A question and its answer, as texts.

    `kind` is `content` (`answer`: the signature of what stands at the path `what`, "" if nothing does), `exists`, `modified`, `outside`
    or `glob`; whoever else is asked adds kinds of its own.
    """

    kind: str
    what: str
    answer: str


class ObservedFiles:
    """The project's files, as far as a decision looks at them; `seen` is what it asked since `begin`.

    `sure` is false when an answer may change without a trace: what was read had just been changed, or could not be read.
    """

    def __init__(self, files: ProjectFiles) -> None:
        self._files = files
        self.seen: dict[tuple[str, str], str] = {}
        self.sure = True

    def begin(self) -> None:
        """A new decision."""
        self.seen = {}
        self.sure = True

    def note(self, kind: str, what: str, answer: str) -> None:
        """Remember an answer."""
        if self.seen.setdefault((kind, what), answer) != answer:
            self.sure = False  # it changed while the decision was taken

    def outside(self, path: str) -> str:
        """As `Files.outside`."""
        found = self._files.outside(path)
        self.note("outside", path, found)
        return found

    def expand(self, pattern: str) -> tuple[str, ...]:
        """As `Files.expand`."""
        found = self._files.expand(pattern)
        self.note("glob", pattern, listed(found))
        return found

    def exists(self, path: str) -> bool:
        """As `Files.exists`."""
        found = self._files.exists(path)
        self.note("exists", path, str(found))
        return found

    def look(self, path: str, known: Artifact | None = None) -> Artifact | None:
        """As `Files.look`."""
        found = self._files.look(path, known)
        if found is not None and found.racy:
            self.sure = False
        self.note("content", path, found.signature if found is not None else "")
        return found

    def same(self, known: Artifact) -> bool:
        """As `Files.same`."""
        found = self.look(known.path, known)
        return found is not None and found.digest == known.digest

    def modified(self, path: str) -> float | None:
        """As `Files.modified`."""
        found = self._files.modified(path)
        self.note("modified", path, repr(found))
        return found


class Verifier:
    """Whether what was observed still holds. What lies in between (a folder, a link) is looked at once a command."""

    def __init__(self, files: ProjectFiles, root: str) -> None:
        self._files = files
        self._prefix = root.rstrip("/") + "/"
        self._plain = {root.rstrip("/")}
        self._asked: dict[str, int] = {}

    def plain_files(self, seen: dict[tuple[str, str], str]) -> list[str]:
        """Takes out of `seen` what can be said of regular files that no link leads to: their paths, each with its signature after it.

        That such a path leads nowhere outside and that there is something is implied by its signature.
        """
        pairs: list[str] = []
        for (kind, path), signed in list(seen.items()):
            if kind == "content" and signed and self.unchanged((path, signed)):
                pairs += (path, signed)
                del seen[kind, path]
                for implied, answer in (("outside", ""), ("exists", str(True))):
                    if seen.get((implied, path)) == answer:
                        del seen[implied, path]
        return pairs

    def unchanged(self, words: Sequence[str], at: int = 0) -> bool:
        """Whether regular files stand at the paths in `words` (from `at` on, each with its signature after it), and no link on the way."""
        prefix, plain, lstat, is_file = self._prefix, self._plain, os.lstat, stat.S_ISREG
        try:
            for index in range(at, len(words), 2):
                path = words[index]
                full = path if path.startswith("/") else prefix + path
                found = lstat(full)
                if signature(found) != words[index + 1] or not is_file(found.st_mode):
                    return False
                folder = full.rpartition("/")[0]
                if folder not in plain and not self._is_plain(folder):
                    return False
        except (OSError, ValueError):
            return False
        return True

    def _is_plain(self, folder: str) -> bool:
        """Whether it is a folder below the project, by a path without links or detours."""
        if not folder.startswith(self._prefix):
            return False
        above, _, name = folder.rpartition("/")
        if name in ("", ".", "..") or (above not in self._plain and not self._is_plain(above)):
            return False
        asked = self._asked[above] = self._asked.get(above, 0) + 1
        if asked == _MANY:  # there may be a folder for each partition
            with os.scandir(above) as entries:
                self._plain.update(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
            return folder in self._plain
        if not stat.S_ISDIR(os.lstat(folder).st_mode):
            return False
        self._plain.add(folder)
        return True

    def holds(self, seen: Observation) -> bool:
        """Whether the same question gets the same answer now. False also where it cannot be asked."""
        files, (kind, what, answer) = self._files, seen
        try:
            match kind:
                case "content":
                    return files.signature(what) == answer
                case "exists":
                    return str(files.exists(what)) == answer
                case "modified":
                    return repr(files.modified(what)) == answer
                case "outside":
                    return files.outside(what) == answer
                case "glob":
                    return listed(files.expand(what)) == answer
                case _:
                    return False
        except (OSError, ValueError, MlorchError):
            return False


def listed(names: Iterable[str]) -> str:
    """What stands for a list of names."""
    from hashlib import sha256

    return sha256("\0".join(names).encode("utf-8", "surrogateescape")).hexdigest()


def signed(path: str) -> str:
    """The signature of what stands at the absolute `path`, links not followed; `MISSING` if nothing does, "" if it cannot be told."""
    try:
        return signature(os.lstat(path))
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    except OSError:
        return ""


def stamp(path: str) -> str:
    """As `signed` for a regular file; "" also if its signature proves nothing: it was just changed, or is something else."""
    looked = time.time_ns()
    try:
        status = os.lstat(path)
    except OSError:
        return signed(path)
    return signature(status) if stat.S_ISREG(status.st_mode) and not is_racy(status, looked) else ""
