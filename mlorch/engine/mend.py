"""What may still be believed when lines of a journal are missing.

Only one run at a time writes to a journal, so lines missing between two lines of one run were that run's. Of its steps those
that it reused or finished, by lines that are left, had nothing else to tell; every other checkpoint from before the gap
may have been followed by an attempt that nobody knows of. When runs may have begun or ended in the gap nothing from before it counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlorch.model import events as ev

if TYPE_CHECKING:
    from collections.abc import Iterator

_BOUNDARIES = (ev.RunEnded, ev.RunLost, ev.JournalRepaired, ev.JournalCompacted)


@dataclass(slots=True)
class _Open:
    """A gap whose neighbours are known so far: what follows may prove more."""

    number: int
    run_id: str
    settled: set[str]


class Gaps:
    """Fed with the lines that are left, in their order, it says for each gap what `JournalRepaired` has to say.

    Holds the steps of one run at a time, and the ids of what stands at each gap.
    """

    def __init__(self) -> None:
        self._gaps: list[_Open] = []
        self._pending: list[int] = []
        self._run_id = ""
        self._settled: set[str] = set()
        self._kept: list[str] = []

    def gap(self, number: int) -> None:
        """Lines are missing here; `number` is what the caller knows the gap by."""
        self._pending.append(number)

    def line(self, event: ev.Event) -> None:
        """The next line that is left."""
        for number in self._pending:
            self._gaps.append(self._between(number, event))
        self._pending.clear()
        if isinstance(event, ev.CheckpointKept):
            self._kept.append(event.step)
        elif isinstance(event, _BOUNDARIES):
            self._enter("")
        else:
            self._in_run(event)

    def result(self) -> Iterator[tuple[int, str, tuple[str, ...]]]:
        """Each gap with the run whose lines are missing ("" if that is not sure) and the steps that were not touched."""
        for number in self._pending:
            self._gaps.append(_Open(number, "", set()))
        self._pending.clear()
        for gap in self._gaps:
            yield gap.number, gap.run_id, tuple(sorted(gap.settled))

    def _between(self, number: int, event: ev.Event) -> _Open:
        if self._run_id and event.run_id == self._run_id and not isinstance(event, ev.RunStarted):
            return _Open(number, self._run_id, self._settled)  # shared: what the run still tells is added to it
        if isinstance(event, (ev.CheckpointKept, ev.JournalCompacted)):
            # Copies of checkpoints are missing: what they stood for is not done. The others are as they were, if the line that
            # closes them is left: where that is missing too, the gap is followed by something else, and none of them counts.
            return _Open(number, "", set(self._kept))
        return _Open(number, "", set())

    def _in_run(self, event: ev.Event) -> None:
        if event.run_id != self._run_id or isinstance(event, ev.RunStarted):
            self._enter(event.run_id)
        if isinstance(event, ev.StepsReused):
            self._settled.update(event.steps)
        elif isinstance(event, ev.StepSucceeded):
            self._settled.add(event.step)

    def _enter(self, run_id: str) -> None:
        self._run_id = run_id
        self._settled = set()
