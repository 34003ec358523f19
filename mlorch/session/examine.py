"""What is wrong with the state folder: every line of every journal is read, one at a time; `repair` mends what can be."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mlorch.engine.compact import Spans
from mlorch.engine.mend import Gaps
from mlorch.model import events as ev
from mlorch.model.errors import StateError
from mlorch.model.findings import Area, Finding, Level
from mlorch.world.journal import encode_line
from mlorch.world.locks import LockFile
from mlorch.world.scan import Damage, Good, Survey, believed, cut, keep_torn, renumbered, rewrite
from mlorch.world.trouble import state_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlorch.world.layout import StateLayout

_SHOWN = 5
_WHY = "`mlorch doctor --repair` keeps a copy and goes on; what the damage covers counts as not done"


@dataclass(slots=True)
class Look:
    """What one reading of a journal found.

    `mends` says for each damage what `Gaps.result` does. `cut_off` are the runs without an end, `staging` the folders in
    which attempts had their staging folders, `aside` the runs that set the former content of an output aside there, `lost`
    those that were cut off.
    """

    survey: Survey
    spans: Spans
    mends: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    cut_off: dict[str, ev.RunStarted] = field(default_factory=dict)
    staging: set[str] = field(default_factory=set)
    aside: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)


def look(path: str) -> Look:
    """Read a journal, damaged or not. Holds no history. Raises `StateError`: unreadable, or of a newer schema."""
    found = Look(Survey(), Spans())
    gaps = Gaps()
    number = 0
    for item in believed(path, found.survey):
        if isinstance(item, Damage):
            gaps.gap(number)
            number += 1
            continue
        event = item.event
        gaps.line(event)
        found.spans.line(event)
        if isinstance(event, ev.RunStarted):
            found.cut_off.clear()  # one at a time: whatever came before is over
            found.cut_off[event.run_id] = event
        elif isinstance(event, (ev.RunEnded, ev.RunLost)):
            found.cut_off.pop(event.run_id, None)
            if isinstance(event, ev.RunLost):
                found.lost.add(event.run_id)
        elif isinstance(event, ev.AttemptStarted):
            found.staging.update(place.rpartition("/")[0].rpartition("/")[0] for place in event.staging)
            if any(kept for _, kept in event.aside):
                found.aside.add(event.run_id)
    found.mends = [mend for _, mend in sorted((gap, (run_id, sound)) for gap, run_id, sound in gaps.result())]
    return found


class JournalDoctor:
    """Looks at the journals below a state folder, and mends them when it may. `now` gives ISO 8601 UTC."""

    def __init__(self, layout: StateLayout, now: Callable[[], str], *, repair: bool) -> None:
        self._layout = layout
        self._now = now
        self._repair = repair
        self.runs: set[str] = set()
        self.over: set[str] = set()
        self.cut_off: list[ev.RunStarted] = []
        self.staging: set[str] = set()
        self.aside: set[str] = set()
        self.lost: set[str] = set()
        self.sound = 0
        self.lines = 0

    def findings(self) -> Iterator[Finding]:
        """Every journal that is not sound; then how many are."""
        for pipeline in self._layout.pipelines():
            for key in self._layout.partitions(pipeline):
                path = self._layout.journal(pipeline, key)
                if os.path.lexists(path):
                    yield from self._journal(pipeline, key, path)
                yield from self._half(pipeline, key, path)
        lines = f"{self.lines:,} lines" if self.lines != 1 else "1 line"
        journals = "1 journal" if self.sound == 1 else f"{self.sound:,} journals"
        if self.sound:
            yield Finding(Area.STATE, Level.OK, f"{journals} with {lines} read and found sound")

    def _journal(self, pipeline: str, key: str, path: str) -> Iterator[Finding]:
        try:
            found = look(path)
        except StateError as error:
            yield Finding(Area.STATE, Level.PROBLEM, error.message, error.hint, path)
            return
        self._take(found)
        survey = found.survey
        if not survey.damages and not survey.torn:
            self.sound += 1
            return
        mended = ""
        try:
            mended = self._mend(pipeline, key, path) if self._repair else ""
        except StateError as error:
            yield Finding(Area.STATE, Level.PROBLEM, error.message, error.hint, path)
        for damage, mend in zip(survey.damages, found.mends, strict=True):
            yield Finding(Area.STATE, Level.PROBLEM, _told(path, damage, *mend), _WHY, path, damage.line, mended)
        if survey.torn:
            what = f"{path} ends in a record that is not whole ({survey.torn} bytes after line {survey.lines}): the trace of a crash"
            remedy = "nothing is lost: the next run cuts it off, and so does `mlorch doctor --repair`"
            yield Finding(Area.STATE, Level.WARNING, what, remedy, path, survey.lines + 1, mended)

    def _take(self, found: Look) -> None:
        runs = found.spans.runs
        self.lines += found.survey.lines
        self.runs.update(runs)
        self.over.update(run_id for run_id, span in runs.items() if span.over)
        self.cut_off.extend(start for run_id, start in found.cut_off.items() if not runs[run_id].over)
        self.staging |= found.staging
        self.aside |= found.aside
        self.lost |= found.lost

    def _mend(self, pipeline: str, key: str, path: str) -> str:
        """Under the lock, so that nobody writes meanwhile. Returns what was done. Raises `StateError`."""
        with self._held(pipeline, key):
            found = look(path)
            survey = found.survey
            if not survey.damages and not survey.torn:
                return "mended meanwhile by another run"
            if survey.damages:
                copy = _free(f"{path}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
                rewrite(path, self._without_damage(path, found, os.path.basename(copy)), keep_as=copy)
                return f"written anew without them; the damaged file is kept as {copy}"
            keep_torn(path, survey.sound)
            cut(path, survey.sound)
            return f"cut off, and kept in {path}.torn"

    @contextlib.contextmanager
    def _held(self, pipeline: str, key: str) -> Iterator[None]:
        lock = LockFile(self._layout.lock(pipeline, key))
        if not lock.acquire(wait=0, note=f"mlorch doctor --repair (pid {os.getpid()}) since {self._now()}"):
            shown = f"{pipeline} {key}".rstrip()
            raise StateError(
                f"{shown} is busy and was not mended: held by {lock.holder()}",
                "wait for it or cancel that run, then call `mlorch doctor --repair` again",
            )
        try:
            yield
        finally:
            lock.release()

    def _without_damage(self, path: str, found: Look, copy: str) -> Iterator[bytes]:
        seq = number = 0
        for item in believed(path, Survey()):
            seq += 1
            if isinstance(item, Good):
                yield renumbered(item.data, seq)
                continue
            run_id, sound = found.mends[number]
            number += 1
            repaired = ev.JournalRepaired(run_id, self._now(), max(item.lost, 1), item.line, copy, sound)
            yield encode_line(ev.record(repaired), seq)

    def _half(self, pipeline: str, key: str, path: str) -> Iterator[Finding]:
        """What a rewriting that was cut off left: nothing points to it."""
        new = f"{path}.new"
        if not os.path.lexists(new):
            return
        mended = ""
        try:
            if self._repair:
                with self._held(pipeline, key), contextlib.suppress(FileNotFoundError):
                    os.unlink(new)
                mended = "removed"
        except OSError as error:
            raise state_error(error, new, "remove") from error
        except StateError:
            return  # it is being written now
        yield Finding(
            Area.STATE,
            Level.WARNING,
            f"{new} is left from a rewriting that was cut off; the journal itself is whole",
            "`mlorch doctor --repair` removes it",
            new,
            mended=mended,
        )


def _told(path: str, damage: Damage, run_id: str, sound: tuple[str, ...]) -> str:
    if damage.bad:
        last = damage.line + damage.bad - 1
        where = f"line {damage.line}" if damage.bad == 1 else f"lines {damage.line} to {last}"
    else:
        where = f"before line {damage.line}"
    lost = "1 event" if damage.lost == 1 else f"{damage.lost:,} events"
    covers = f"of run {run_id}" if run_id else "where a run may have begun or ended"
    stands = f"what is done stays so of {_some(sound)}" if sound else "no step that was done before stays so"
    return f"{path} is damaged ({where}): {damage.what}; {lost} missing {covers}; after a repair {stands}"


def _some(steps: tuple[str, ...]) -> str:
    more = f" and {len(steps) - _SHOWN:,} more" if len(steps) > _SHOWN else ""
    return ", ".join(steps[:_SHOWN]) + more


def _free(path: str) -> str:
    found, number = path, 1
    while os.path.lexists(found):
        number += 1
        found = f"{path}.{number}"
    return found
