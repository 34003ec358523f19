"""What was decided of a pipeline's partitions, in a file that may be lost at any time.

One line of JSON says what all of it rests on (`written`, `meant`) and holds the checksum of the rest; then come lines of texts with tabs between
them: first the observations that partitions share, then the keys of the partitions, then a line for each of them. A file that is not whole, or of another version, is
as good as none. Written under a name of its own and renamed: two that write at once do no harm.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING
from zlib import crc32

from mlorch.world.digests import signature
from mlorch.world.halves import asked
from mlorch.world.observed import Observation
from mlorch.world.regular import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mlorch.world.observed import Verifier

FORMAT = 3
_FIXED = 3
"""What each entry has before its facts: the signature of the journal, until when it is believed, the numbers of the shared observations."""
_MOST = 4
"""Files in one folder: indexes of one pipeline with different parameters."""


class IndexFile:
    """One pipeline's index at `path`, read when it is made; others may stand beside it. `facts` is how many of them each entry has.

    What all of it rests on is the same if `written` is, or else if what `meant` gives is.
    """

    def __init__(self, path: str, written: str, meant: Callable[[], str], facts: int) -> None:
        self._path = path
        self._written = written
        self._meant = meant
        self._files_at = _FIXED + facts
        self._observations: list[Observation] = []
        self._numbers: dict[Observation, int] = {}
        self._lines: dict[str, str] = {}
        self._held: dict[str, bool] = {"": True}
        self._changed = False
        self._read()

    def believed(
        self,
        keys: Sequence[str],
        journal_of: Callable[[str], str],
        now: float,
        verifier: Verifier,
        holds: Callable[[Observation], bool],
    ) -> Iterator[list[str] | None]:
        """For each key the facts that were kept; None where anything that they rest on has changed.

        `journal_of` gives the file of a partition's journal. `now` is seconds since the epoch. `holds` says of an observation that partitions share whether it still does.
        """
        lines, files_at, lstat, unchanged = self._lines, self._files_at, os.lstat, verifier.unchanged

        words: list[str] = []

        def same(number: int) -> bool:
            nonlocal words
            key = keys[number]
            line = lines.get(key)
            if line is None:
                return False
            words = line.split("\t")
            try:
                return (
                    signature(lstat(journal_of(key))) == words[0]
                    and (words[1] == "" or float(words[1]) > now)
                    and (words[2] == "" or self._all_hold(words[2], holds))
                    and unchanged(words, files_at)
                )
            except (OSError, ValueError, IndexError):
                return False  # no journal, or a line that nobody wrote so

        for key, good in zip(keys, asked(same, len(keys)), strict=True):
            # Unless a copy of this process was asked, its line was just taken apart.
            yield (words or lines[key].split("\t", files_at))[_FIXED:files_at] if good else None
            words = []

    def _all_hold(self, shared: str, holds: Callable[[Observation], bool]) -> bool:
        found = self._held.get(shared)
        if found is None:
            found = self._held[shared] = all(self._one_holds(number, holds) for number in shared.split(","))
        return found

    def _one_holds(self, number: str, holds: Callable[[Observation], bool]) -> bool:
        found = self._held.get(number)
        if found is None:
            found = self._held[number] = holds(self._observations[int(number)])
        return found

    def keep(
        self,
        key: str,
        stamp: str,
        until: str,
        seen: Sequence[Observation],
        facts: Sequence[str],
        files: Sequence[str],
    ) -> None:
        """Remember a partition in place of what was known of it; one whose texts do not fit into a line is forgotten.

        `stamp` is the signature of its journal, `seen` are observations that others may share, `files` paths with the signature after each;
        `until` is when (seconds since the epoch) it is no longer to be believed, "" for never.
        """
        shared = ",".join(str(self._number(observation)) for observation in seen)
        line = "\t".join((stamp, until, shared, *facts, *files))
        if line.count("\t") == self._files_at - 1 + len(files) and "\n" not in line + key and "\t" not in key:
            self._lines[key] = line
            self._changed = True
        else:
            self.forget(key)

    def forget(self, key: str) -> None:
        """Nothing is known of a partition any more."""
        if self._lines.pop(key, None) is not None:
            self._changed = True

    def save(self) -> None:
        """Write what is new. That it cannot be written is no error: all of it can be found out again."""
        folder = os.path.dirname(self._path)
        if not self._changed or not os.path.isdir(os.path.dirname(os.path.dirname(os.path.dirname(folder)))):
            return  # no state folder yet: looking at a project leaves nothing behind
        self._changed = False
        observations, lines = self._compact()
        body = "\n".join((*observations, "\t".join(lines), *lines.values())).encode("utf-8", "surrogateescape")
        basis = {"written": self._written, "meant": self._meant()}
        head = {"index": FORMAT, **basis, "observations": len(observations), "crc": f"{crc32(body):08x}"}
        temporary = f"{self._path}.{os.getpid()}"
        with contextlib.suppress(OSError):
            os.makedirs(folder, 0o700, exist_ok=True)
            self._sweep()
            try:
                with open(temporary, "wb") as file:
                    file.write(json.dumps(head).encode("ascii") + b"\n")
                    file.write(body)
                os.rename(temporary, self._path)
            except OSError:
                os.unlink(temporary)
                raise

    def _sweep(self) -> None:
        """Remove what was being written by a process that was killed, and all but the newest of the files beside this one."""
        folder, own = os.path.split(self._path)
        others: list[tuple[float, str]] = []
        for name in os.listdir(folder):
            path = f"{folder}/{name}"
            _, dot, pid = name.partition(".")
            if not dot and name != own:
                others.append((os.path.getmtime(path), path))
            elif dot and not os.path.exists(f"/proc/{pid}"):
                os.unlink(path)
        for _, path in sorted(others)[: 1 - _MOST]:
            os.unlink(path)

    def _number(self, observation: Observation) -> int:
        number = self._numbers.get(observation)
        if number is None:
            number = self._numbers[observation] = len(self._observations)
            self._observations.append(observation)
        return number

    def _compact(self) -> tuple[list[str], dict[str, str]]:
        """The lines of the observations that an entry still refers to and that fit into a line, and those of the entries by key."""
        renumbered: dict[str, str] = {}
        observations: list[str] = []
        refused: set[str] = set()
        lines: dict[str, str] = {}
        known: dict[str, str | None] = {"": ""}
        for key, line in self._lines.items():
            stamp, until, shared, rest = line.split("\t", _FIXED)
            if shared not in known:
                numbers = shared.split(",")
                for number in numbers:
                    if number in renumbered or number in refused:
                        continue
                    text = "\t".join(self._observations[int(number)])
                    if text.count("\t") == 2 and "\n" not in text:
                        renumbered[number] = str(len(observations))
                        observations.append(text)
                    else:
                        refused.add(number)
                fits = refused.isdisjoint(numbers)
                known[shared] = ",".join(renumbered[number] for number in numbers) if fits else None
            new = known[shared]
            if new is not None:
                lines[key] = line if new == shared else f"{stamp}\t{until}\t{new}\t{rest}"
        return observations, lines

    def _read(self) -> None:
        try:
            with open_regular(self._path) as file:
                head = json.loads(file.readline(4096))
                if head["index"] != FORMAT or (head["written"] != self._written and head["meant"] != self._meant()):
                    return
                body = file.read()
            if head["crc"] != f"{crc32(body):08x}" or not body:
                return
            lines = body.decode("utf-8", "surrogateescape").split("\n")
            count = head["observations"]
            observations = [Observation(*line.split("\t")) for line in lines[:count]]
            entries = dict(zip(lines[count].split("\t"), lines[count + 1 :], strict=True))
        except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
            return
        self._observations = observations
        self._numbers = {observation: number for number, observation in enumerate(observations)}
        self._lines = entries
