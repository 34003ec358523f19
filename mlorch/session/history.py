"""Runs that were: found by id or by words, listed, told apart from those that were cut off."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mlorch.lang.units import parse_duration
from mlorch.model.errors import FileError, UsageError
from mlorch.model.states import RunState, StepState
from mlorch.model.times import parse_iso
from mlorch.world.machine import boot_id, same_process
from mlorch.world.project import LARGEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlorch.model.history import RunRecord
    from mlorch.session.workspace import Workspace


def alive(run: RunRecord) -> bool:
    """Whether the process of a run that has no end yet still lives on this machine."""
    return run.boot_id == boot_id() and same_process(run.pid, run.start_ticks, run.boot_id)


def told(run: RunRecord) -> RunRecord:
    """The run as people should see it: one whose process is gone is lost, whatever the journal has not yet heard."""
    if run.state is RunState.RUNNING and not alive(run):
        run.state = RunState.LOST
        what = f"cut off: process {run.pid} ended without a word"
        run.reason = f"{what}; the next run of {run.pipeline} recovers it"
        for step in run.steps.values():
            if step.state is StepState.RUNNING:
                step.state = StepState.LOST
                step.detail = what
    return run


class History:
    """The runs of a project, newest first."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def by_id(self, run_id: str) -> RunRecord | None:
        """The run of that very id; None if its folder or its journal does not know it."""
        where = self.where(run_id)
        if where is None:
            return None
        for run in reversed(self._workspace.state(*where).runs):
            if run.run_id == run_id:
                return told(run)
        return None

    def spec(self, run: RunRecord) -> tuple[str, bytes] | None:
        """The pipeline file that a run ran, as path and text; None if the run did not keep it."""
        folder = self._workspace.layout.run(run.run_id)
        file = (self._facts(run.run_id) or {}).get("file")
        try:
            text = self._workspace.files.read_text(f"{folder}/spec.yaml", LARGEST)
        except (ValueError, FileError):
            return None
        return (file, text.encode()) if isinstance(file, str) and text else None

    def where(self, run_id: str) -> tuple[str, str] | None:
        """The pipeline and the partition of a run; None if its folder does not say."""
        facts = self._facts(run_id)
        try:
            return (facts["pipeline"], facts["partition"]) if facts is not None else None
        except KeyError:
            return None

    def _facts(self, run_id: str) -> dict[str, Any] | None:
        layout = self._workspace.layout
        try:
            facts = json.loads(
                self._workspace.files.read_text(f"{layout.run(run_id)}/run.json", 64 * 1024 * 1024) or ""
            )
        except (ValueError, FileError):
            return None
        return facts if isinstance(facts, dict) else None

    def all(self) -> Iterator[RunRecord]:
        """Every run, newest first."""
        for run_id in reversed(self._workspace.layout.run_ids()):
            run = self.by_id(run_id)
            if run is not None:
                yield run

    def filtered(
        self, pipelines: Sequence[str], states: Sequence[str], partition: str, since: str, limit: int
    ) -> list[RunRecord]:
        """As `mlorch runs` filters them. Raises `UsageError` for a state or a time that is none."""
        unknown = [state for state in states if state not in RunState.__members__.values()]
        if unknown:
            raise UsageError(f"--status {unknown[0]}: no such state", f"states: {', '.join(RunState)}")
        earliest = self._since(since)
        found: list[RunRecord] = []
        for run in self.all():
            if earliest is not None and parse_iso(run.started_at).timestamp() < earliest:
                break
            if pipelines and run.pipeline not in pipelines:
                continue
            if (states and run.state.value not in states) or (partition and run.partition != partition):
                continue
            found.append(run)
            if limit and len(found) >= limit:
                break
        return found

    def _since(self, since: str) -> float | None:
        if not since:
            return None
        try:
            return self._workspace.clock.now().timestamp() - parse_duration(since)
        except ValueError:
            pass
        try:
            return parse_iso(since).timestamp()
        except ValueError as error:
            raise UsageError(
                f"--since {since}: neither a duration such as 2d nor a time such as 2026-11-23T15:00"
            ) from error

    def find(self, text: str) -> RunRecord:
        """By id, unique prefix, `@latest`, `PIPELINE@latest` or `PIPELINE@KEY`. Raises `UsageError`."""
        name, at, what = text.rpartition("@")
        if not at:
            return self._by_prefix(text)
        for run in self.all():
            if (not name or run.pipeline == name) and what in ("latest", run.partition):
                return run
        raise UsageError(f"there is no run {text}", "`mlorch runs` lists them")

    def _by_prefix(self, prefix: str) -> RunRecord:
        found = self._workspace.layout.find_run(prefix)
        if len(found) > 1:
            raise UsageError(
                f"{prefix} is the beginning of {len(found)} runs: {', '.join(found[:5])}", "type more of the id"
            )
        run = self.by_id(found[0]) if found else None
        if run is None:
            raise UsageError(f"there is no run {prefix}", "`mlorch runs` lists them")
        return run
