"""Steps of a run that are ready and wait for slots of pools, and the slots that its steps hold."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from mlorch.model.history import RunRecord
from mlorch.model.pools import Shortage
from mlorch.model.times import iso_utc
from mlorch.runner.ports import ORPHAN_GRACE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlorch.model.pools import Holder
    from mlorch.model.ports import Orphans, Slots
    from mlorch.model.spec import Step, Wanted
    from mlorch.runner.ports import Ports

INTERVAL = 0.1
"""Seconds between two looks at slots that others hold."""
_TOLD = 50
"""So many steps of those that wait are shown when who stands in their way changes."""


@dataclass(slots=True)
class _Line:
    """Steps that want the same slots, each with the time since when it waits. `blamed`: since when others stand in their way."""

    short: Shortage
    steps: deque[tuple[str, float]] = field(default_factory=deque)
    blamed: float | None = None
    ended_at: float = 0.0


class SlotQueue:
    """The waiting and the holding of one run. A step that waits keeps nobody waiting that wants other slots.

    `patience`: seconds to wait for others, None for as long as it takes.
    """

    def __init__(self, ports: Ports, run_id: str, name: str, pid: int, patience: float | None) -> None:
        self._ports = ports
        self._run_id = run_id
        self._owner = f"{name}, run {run_id} (pid {pid})"
        self._patience = patience
        self._held: dict[str, Slots] = {}
        self._lines: dict[Wanted, _Line] = {}
        self._tried: set[Wanted] = set()
        self._seen = -1
        self._again = 0.0

    def __bool__(self) -> bool:
        """Whether a step waits."""
        return bool(self._lines)

    def admit(self, run: RunRecord, step: Step) -> bool:
        """Whether the step has its slots and may start; else it waits, and comes back by `pop`."""
        if step.id in self._held:
            return True
        if step.pool not in self._lines:
            found = self._take(step.id, step.pool)
            if found is None:
                return True
            self._lines[step.pool] = _Line(found, blamed=self._ports.clock.monotonic() if found.holders else None)
        line = self._lines[step.pool]
        line.steps.append((step.id, self._ports.clock.monotonic()))
        self._tell(run, line, step.id)
        return False

    def pop(self, run: RunRecord) -> str | None:
        """A step that waited and has its slots now. What others hold is looked at ten times a second."""
        if not self._lines:
            return None
        now = self._ports.clock.monotonic()
        if self._ports.pools.changes != self._seen or now >= self._again:
            self._seen, self._again = self._ports.pools.changes, now + INTERVAL
            self._tried.clear()
        for wanted, line in list(self._lines.items()):
            if wanted in self._tried:
                continue
            step, _ = line.steps[0]
            found = self._take(step, wanted)
            if found is None:
                line.steps.popleft()
                line.blamed = None
                if not line.steps:
                    del self._lines[wanted]
                return step
            self._tried.add(wanted)
            if self._blame(line, found):
                for waiting, _ in islice(line.steps, _TOLD):
                    self._tell(run, line, waiting)
        return None

    def given_up(self, now: float) -> Iterator[tuple[str, str]]:
        """Steps that have waited for others long enough, each with who they are. They wait no longer."""
        for wanted, line in list(self._lines.items()):
            if line.blamed is None:
                continue
            self._end_stragglers(line, now)
            while (
                self._patience is not None and line.steps and now - max(line.blamed, line.steps[0][1]) >= self._patience
            ):
                step, _ = line.steps.popleft()
                yield step, f"no slot of the pool {line.short.pool} is free: held by {self._holders(line.short)}"
            if not line.steps:
                del self._lines[wanted]

    def drain(self) -> list[str]:
        """All that wait; they wait no longer."""
        steps = [step for line in self._lines.values() for step, _ in line.steps]
        self._lines.clear()
        return steps

    def lent(self, step: str) -> tuple[int, ...]:
        """The descriptors of the slots that a step holds."""
        return self._held[step].descriptors if step in self._held else ()

    def release(self, step: str) -> None:
        """The step needs its slots no longer; it may have none."""
        held = self._held.pop(step, None)
        if held is not None:
            held.release()

    def _take(self, step: str, wanted: Wanted) -> Shortage | None:
        since = iso_utc(self._ports.clock.wall())
        found = self._ports.pools.take(wanted, self._run_id, f"step {step} of {self._owner} since {since}")
        if isinstance(found, Shortage):
            return found
        self._held[step] = found
        return None

    def _blame(self, line: _Line, found: Shortage) -> bool:
        """Note who stands in the way; whether that is news."""
        news = line.short != found
        line.short = found
        if not found.holders:
            line.blamed = None
        elif line.blamed is None:
            line.blamed = self._ports.clock.monotonic()
        return news

    def _tell(self, run: RunRecord, line: _Line, step: str) -> None:
        if self._patience != 0 or not line.short.holders:  # else its end tells the same at once
            self._ports.observer.step_waits(run, step, line.short.pool, self._holders(line.short))

    def _holders(self, short: Shortage) -> str:
        return "; ".join(
            holder.note + (", which outlived its mlorch" if self._deserted(holder) else "") for holder in short.holders
        )

    def _deserted(self, holder: Holder) -> bool:
        return bool(holder.run_id) and self._ports.orphans.deserted(_run_of(holder))

    def _end_stragglers(self, line: _Line, now: float) -> None:
        """End what nobody watches of runs that were deserted: a daemon must not hold a slot for ever."""
        if line.blamed is None or now - max(line.blamed, line.ended_at) < ORPHAN_GRACE:
            return
        line.ended_at = now
        end_deserted(self._ports.orphans, line.short.holders)


def end_deserted(orphans: Orphans, holders: Iterable[Holder]) -> bool:
    """End what nobody watches of runs that hold slots and whose mlorch is gone; whether there was one."""
    deserted = [run for run in map(_run_of, holders) if run.run_id and orphans.deserted(run)]
    for run in deserted:
        orphans.end(run, ORPHAN_GRACE)
    return bool(deserted)


def _run_of(holder: Holder) -> RunRecord:
    run = RunRecord(holder.run_id, "", "")
    run.pid, run.start_ticks, run.boot_id = holder.pid, holder.start_ticks, holder.boot_id
    return run
