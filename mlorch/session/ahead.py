"""A large new spec, read and checked by a copy of this process while this one imports what runs it.

Both take about as long. What the copy finds sound it tells as it would be kept for the next time; of everything else it says nothing, and
that is looked at here, as if there were no copy.
"""

from __future__ import annotations

import marshal
import os
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from mlorch.world import copies
from mlorch.world.memory import FileMemory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlorch.session.options import GlobalOptions
    from mlorch.world.copies import Copy

LARGE = 16 * 1024
"""Bytes of a spec that take longer to check than a copy of the process to make: some 200 steps."""

_STATE = ".mlorch"
"""As `Project.state`. Where the project says otherwise, a copy may read what is known."""


class Ahead:
    """What a copy tells of the specs of one command, under the key `last` at last; nothing if there is no copy."""

    def __init__(self, copy: Copy | None = None, last: str = "") -> None:
        self._copy = copy
        self._last = last
        self._told: dict[str, str] = {}

    def take(self, key: str) -> str | None:
        """What was found sound under `key`, waited for; None if the copy does not say."""
        while self._copy is not None and key not in self._told:
            _import_what_runs()
            try:
                said, text = marshal.load(self._copy.told)  # noqa: S302 - from a copy of ourselves
            except (EOFError, ValueError, TypeError, OSError):
                self.close()
            else:
                self._told[said] = text
        if key == self._last:
            self.close()
        return self._told.pop(key, None)

    def close(self) -> None:
        """Nothing more is wanted; may be called twice."""
        if self._copy is not None:
            self._copy.close()
            self._copy = None


class AheadMemory(FileMemory):
    """The memory on the disk, and what a copy tells meanwhile."""

    def __init__(self, folder: str, ahead: Ahead) -> None:
        super().__init__(folder)
        self._ahead = ahead

    def recall(self, key: str) -> str | None:
        """The text kept for `key`, None if there is none."""
        known = super().recall(key)
        if known is None and (known := self._ahead.take(key)) is not None:
            self.remember(key, known)
        return known


class _Telling:
    """The memory of the copy: what is to be kept is told."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def recall(self, key: str) -> None:
        """The other one looked."""

    def remember(self, key: str, text: str) -> None:
        """Tell it at once."""
        marshal.dump((key, text), self._file)
        self._file.flush()


def begin(options: GlobalOptions, names: Sequence[str]) -> Ahead:
    """Have a copy read the spec of the one pipeline that is named, if that is large and new."""
    # Few imports, so that the copy begins soon.
    from mlorch.model.errors import UsageError
    from mlorch.world.project import PIPELINES_FOLDER, PROJECT_FILE, find_project

    with suppress(UsageError, OSError):
        root = find_project(os.getcwd(), options.project or None)
        file = f"{PIPELINES_FOLDER}/{names[0]}.yaml" if len(names) == 1 and not options.profile else ""
        if file and os.stat(f"{root}/{file}").st_size >= LARGE:
            data, project = _read(f"{root}/{file}"), _read(f"{root}/{PROJECT_FILE}")
            if data is None:
                return Ahead()
            from mlorch.spec.key import digest_of, key_of

            key = key_of("pipeline", digest_of(data), file, "" if project is None else digest_of(project))
            if not os.path.exists(f"{root}/{_STATE}/cache/specs/{key}"):
                return Ahead(copies.begin(lambda told: _check(data, file, project, _Telling(told))), key)
    return Ahead()


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _check(data: bytes, file: str, project: bytes | None, memory: _Telling) -> None:
    from mlorch.spec.load import load_pipeline, load_project
    from mlorch.world.project import PROJECT_FILE

    known = load_project(project, PROJECT_FILE, memory).value
    if known is not None:
        load_pipeline(data, file, known, memory)


def _import_what_runs() -> None:
    """While the copy is at work: what the run needs in any case, and would be imported next."""
    import filelock  # noqa: F401

    import mlorch.executors.local
    import mlorch.runner.run  # noqa: F401
