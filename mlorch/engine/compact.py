"""Giving up the beginning of a journal without forgetting what is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlorch.engine.fold import apply
from mlorch.model import events as ev
from mlorch.model.history import PartitionState
from mlorch.model.states import RunState

if TYPE_CHECKING:
    from collections.abc import Container, Iterator


@dataclass(slots=True)
class Span:
    """A run in a journal: numbers of its first and its last line, and whether it is over."""

    run_id: str
    started_at: str
    first: int
    last: int
    over: bool = False


class Spans:
    """Fed with a journal's events in their order, it tells where its runs stand and up to where it may be given up."""

    def __init__(self) -> None:
        self.runs: dict[str, Span] = {}
        self.lines = 0
        self._first_unknown = 0

    def line(self, event: ev.Event) -> None:
        """The next event."""
        self.lines += 1
        if isinstance(event, (ev.Unknown, ev.ScheduleNoted)):
            # What a schedule remembers belongs to no run. What is unknown was written by a newer version, which may need it.
            # Nothing from here on is given up.
            self._first_unknown = self._first_unknown or self.lines
            return
        if isinstance(event, (ev.JournalCompacted, ev.CheckpointKept)):
            return
        if isinstance(event, ev.JournalRepaired):
            for known in self.runs.values():
                known.over = known.over or known.run_id != event.run_id
            return
        span = self.runs.get(event.run_id)
        if span is None:
            at = event.at if isinstance(event, ev.RunStarted) else ""
            span = self.runs[event.run_id] = Span(event.run_id, at, self.lines, self.lines)
        span.last = self.lines
        if isinstance(event, (ev.RunEnded, ev.RunLost)):
            span.over = True

    def cut(self, given_up: Container[str]) -> int:
        """How many lines from the beginning hold nothing but runs that are over and in `given_up`; 0 for none.

        A run is given up only together with all that were before it, and the newest never.
        """
        spans = sorted(self.runs.values(), key=lambda span: span.first)
        kept = [span for span in spans[:-1] if span.run_id not in given_up or not span.over] + spans[-1:]
        if not kept:
            return 0
        first = min(span.first for span in kept)
        if self._first_unknown:
            first = min(first, self._first_unknown)
        for span in reversed(spans):
            if span.first < first <= span.last:
                first = span.first  # its later lines are beyond the cut: it stays whole
        return first - 1


class Prefix:
    """Fed with the lines up to the cut, it gives the events that take their place. Holds checkpoints, but no history."""

    def __init__(self) -> None:
        self._state = PartitionState("", "")
        self._runs = 0
        self._last = ""

    def line(self, event: ev.Event) -> None:
        """The next event."""
        state = self._state
        if isinstance(event, ev.JournalCompacted):
            self._runs, self._last = event.runs, event.run_id
        elif isinstance(event, ev.RunStarted):
            self._runs += 1
            self._last = event.run_id
            # What ended before is of no more use; of what has not, only a line that says that lines are missing may speak.
            state.runs = [run for run in state.runs if run.state is RunState.RUNNING]
        apply(state, event)

    def events(self, at: str) -> Iterator[ev.Event]:
        """What folds to the same checkpoints, unfinished and removed."""
        state = self._state
        for found in state.checkpoints.values():
            yield ev.CheckpointKept(
                found.run_id,
                found.at,
                found.step,
                found.attempt,
                found.fingerprint,
                found.manifest,
                found.outputs,
                found.values,
                found.metrics,
                found.duration_s,
                found.peak_rss_bytes,
                found.how,
            )
        # Last: without this line, which says what of them may not be believed, a repair believes none of them.
        yield ev.JournalCompacted(
            self._last,
            at,
            state.events,
            self._runs,
            tuple(state.unfinished.items()),
            tuple(sorted(state.removed)),
            state.doubt,
        )
