"""What a run writes down, and tells those who watch: a record first, then the state that follows from it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlorch.engine.fold import apply
from mlorch.model import events as ev
from mlorch.model.times import iso_utc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlorch.engine.context import Context
    from mlorch.model.history import RunRecord
    from mlorch.model.ports import RunFolders
    from mlorch.runner.commit import SharedJournal
    from mlorch.runner.ports import Ports

# A line for each fact: `indent` takes json's slow way, and a backfill has hundreds of runs.
_in_lines = json.JSONEncoder(ensure_ascii=False, separators=(",\n ", ": ")).encode


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is recorded of a run beside its steps."""

    selection: tuple[str, ...] = ()
    git_commit: str = ""
    git_dirty: bool = False
    pid: int = 0
    start_ticks: int = 0
    boot_id: str = ""
    host: str = ""
    spec: str = ""


@dataclass(frozen=True, slots=True)
class Recorder:
    """The journal of one run: what is appended is folded into the context's state and shown at once."""

    run_id: str
    context: Context
    journal: SharedJournal
    ports: Ports
    secrets: Mapping[str, str]

    @property
    def record(self) -> RunRecord:
        """The run, as the journal has it so far."""
        run = self.context.state.last_run
        assert run is not None and run.run_id == self.run_id  # noqa: S101, PT018 - `start` wrote it
        return run

    def start(self, facts: RunFacts, folders: RunFolders) -> None:
        """Record that the run begins, and keep in its folder what it runs."""
        context = self.context
        pipeline = context.pipeline
        started = ev.RunStarted(
            self.run_id,
            self.now(),
            pipeline.name,
            context.key,
            tuple(context.params.items()),
            facts.selection,
            len(context.selected),
            pipeline.digest,
            facts.git_commit,
            facts.git_dirty,
            facts.pid,
            facts.start_ticks,
            facts.boot_id,
            facts.host,
        )
        about = ev.record(started) | {"file": pipeline.file}
        folders.make(self.run_id, _in_lines(about), facts.spec)
        self.append(started)

    def append(self, *events: ev.Event) -> None:
        """Write events down and act on them."""
        if events:
            self.journal.append(events)
            for event in events:
                self.apply(event)

    def apply(self, event: ev.Event) -> None:
        """Act on an event that stands in the journal."""
        apply(self.context.state, event)
        if isinstance(event, ev.OutputRemoved):
            return  # nothing that the step did: it ended before
        steps, tell = self.record.steps, self.ports.observer.step_changed
        step_id = getattr(event, "step", None)
        if step_id is not None and step_id in steps:
            tell(self.record, steps[step_id])
        elif isinstance(event, ev.StepsReused):
            for reused in event.steps:
                tell(self.record, steps[reused])

    def masked(self, text: str) -> str:
        """Text without the values of secrets."""
        for value in self.secrets.values():
            text = text.replace(value, "***")
        return text

    def now(self) -> str:
        """The time for a record: ISO 8601 UTC."""
        return iso_utc(self.ports.clock.wall())

    def later(self, seconds: float) -> str:
        """As `now`, so many seconds later."""
        from datetime import timedelta

        return iso_utc(self.ports.clock.wall() + timedelta(seconds=seconds))
