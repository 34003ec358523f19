"""What the commands ask of a session: the seam between the words of the command line and the work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mlorch.model.ports import Observer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlorch.cli.options import BackfillOptions, RunOptions, RunsFilter
    from mlorch.model.diagnostics import Diagnostic, Place
    from mlorch.model.history import RunRecord
    from mlorch.model.plan import Plan, StepPlan
    from mlorch.model.status import BackfillRow, Graph, PipelineStatus


@dataclass(frozen=True, slots=True)
class Outcome:
    """How `run` ended. `runs` in the order they started; `idle` are the plans of partitions where there was nothing to do."""

    exit_code: int
    runs: tuple[RunRecord, ...] = ()
    idle: tuple[Plan, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BackfillOutcome:
    """How `backfill` ended: every partition of the range, and the runs there were. `stale` windows were left alone."""

    exit_code: int
    rows: tuple[BackfillRow, ...] = ()
    runs: tuple[RunRecord, ...] = ()
    notes: tuple[str, ...] = ()
    stale: int = 0


class BackfillObserver(Observer, Protocol):
    """An observer that is first told what the backfill is about to do."""

    def planned(self, rows: Sequence[BackfillRow]) -> bool:
        """The decision for each partition, before the first run. False: start nothing."""
        ...


class Session(Protocol):
    """A project that was found; its specs are read when they are first needed.

    Every method may raise a `MlorchError`: `UsageError` for an unknown pipeline, step, partition or run, `SpecError` for
    wrong specs or parameters, `StateError`, `NotReadyError`, `BusyError`.
    """

    @property
    def state_folder(self) -> str:
        """The absolute path of the state folder; the `log` of an attempt is relative to it."""
        ...

    @property
    def diagnostics(self) -> Sequence[Diagnostic]:
        """Warnings about the specs."""
        ...

    def place(self, pipeline: str, step: str) -> Place | None:
        """Where a step is described, if its spec still has it."""
        ...

    def run(self, options: RunOptions, observer: Observer) -> Outcome:
        """Bring partitions up to date."""
        ...

    def plan(self, options: RunOptions) -> Sequence[Plan]:
        """What `run` would do."""
        ...

    def backfill(self, options: BackfillOptions, observer: BackfillObserver) -> BackfillOutcome:
        """Many partitions. Calls `observer.planned` once; nothing is started when it says False or for a dry run."""
        ...

    def status(self, names: Sequence[str]) -> Sequence[PipelineStatus]:
        """All pipelines, or those selected."""
        ...

    def runs(self, wanted: RunsFilter) -> Sequence[RunRecord]:
        """History, newest first."""
        ...

    def find_run(self, text: str) -> RunRecord:
        """By id, unique prefix, `@latest`, `PIPELINE@latest` or `PIPELINE@KEY`."""
        ...

    def why(self, pipeline: str, step: str, partition: str) -> StepPlan:
        """What is known of one step; `partition` "" for the one that `run` would take."""
        ...

    def graph(self, pipeline: str | None) -> Sequence[Graph]:
        """The steps of the selected pipelines, or one graph of all pipelines."""
        ...

    def cancel(self, run: RunRecord) -> str:
        """End a run from another shell; says in words what was done. Raises `UsageError` when it is over."""
        ...
