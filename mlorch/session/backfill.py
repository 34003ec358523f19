"""Many partitions of one pipeline: a decision for each, then those that are wanted, in order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mlorch.engine.outcome import worst
from mlorch.lang.partitions import closed_labels, last_closed, previous_window, windows
from mlorch.model.errors import UsageError
from mlorch.model.status import BackfillRow, PartitionHealth
from mlorch.session.contract import BackfillOutcome
from mlorch.session.driving import MANY, DriveOptions, drive
from mlorch.session.jobs import Selected
from mlorch.session.pace import Pace
from mlorch.session.selection import all_keys, known_label, one_pipeline, parameters, partition_keys
from mlorch.session.standing import Standings

if TYPE_CHECKING:
    from collections.abc import Container, Sequence
    from datetime import datetime

    from mlorch.model.spec import Pipeline, TimeDimension
    from mlorch.runner.loop import Job, Outcome
    from mlorch.session.contract import BackfillObserver
    from mlorch.session.jobs import Jobs
    from mlorch.session.options import BackfillOptions
    from mlorch.session.workspace import Workspace


class Backfill:
    """One `mlorch backfill`. Raises `UsageError` for a pipeline without partitions."""

    def __init__(self, workspace: Workspace, jobs: Jobs, options: BackfillOptions) -> None:
        self._workspace = workspace
        self._jobs = jobs
        self._options = options
        pipeline = one_pipeline(workspace, options.pipeline)
        self._selected = Selected(pipeline, parameters(workspace, pipeline, options.params, options.params_file))
        self._name = pipeline.name
        self._standings = Standings(workspace, jobs)
        self._pace = Pace(workspace)

    def run(self, observer: BackfillObserver) -> BackfillOutcome:
        """Decide, tell, run, tell again. A stopped one goes on when it is called again: what is done is not missing."""
        options = self._options
        rows = self._decide(self._keys())
        stale = sum(row.state == PartitionHealth.STALE and row.action == "skip" for row in rows)
        chosen = [row.key for row in rows if row.action == "run"]
        if options.newest_first:
            chosen.reverse()
        # Without upstream there is nothing to tell of the jobs, and very many of them are made only where they are to run.
        jobs = self._make(chosen) if options.with_upstream else None
        upstream = self._upstream(jobs or (), {row.key for row in rows})
        self._standings.save()
        if not observer.planned((*upstream, *rows)) or options.dry_run or not chosen:
            return BackfillOutcome(0, tuple(rows), stale=stale, upstream=tuple(upstream))
        drive_options = DriveOptions(options.jobs, max_failures=options.max_failures)
        todo = jobs or self._make(chosen)
        many = len(todo) * len(self._selected.pipeline.steps) >= MANY
        standings = self._standings if many else None
        try:
            outcomes = drive(self._workspace, self._jobs, todo, drive_options, observer, standings)
        finally:
            self._standings.save()
        by_key = {(o.run.pipeline, o.run.partition): o for o in outcomes}
        upstream, rows = (
            [_after(row, by_key.get((row.pipeline, row.key))) for row in part] for part in (upstream, rows)
        )
        code = worst(outcome.exit_code for outcome in outcomes)
        runs = tuple(o.run for o in outcomes if o.run.run_id)
        return BackfillOutcome(code, tuple(rows), runs, stale=stale, upstream=tuple(upstream))

    def _keys(self) -> list[str]:
        """The partitions that it is about, oldest first: closed windows only. Raises `UsageError`."""
        options, pipeline = self._options, self._selected.pipeline
        now = self._workspace.clock.now()
        dimension = pipeline.time_dimension
        if not pipeline.partitions:
            raise UsageError(f"{pipeline.name} has no partitions to backfill", f"mlorch run {pipeline.name}")
        if options.partitions:
            return list(partition_keys(self._workspace, pipeline, options.partitions, now)[0])
        if dimension is None:
            if options.first or options.last or options.newest is not None:
                raise UsageError(
                    f"{pipeline.name} has no partitions by time, so it has no range",
                    "leave --from, --to and --last out, or use -p",
                )
            return list(all_keys(self._workspace, pipeline, ()))
        return list(all_keys(self._workspace, pipeline, self._times(pipeline, dimension, now)))

    def _times(self, pipeline: Pipeline, dimension: TimeDimension, now: datetime) -> list[str]:
        """The labels of the closed windows that it is about."""
        options = self._options
        if not dimension.start and not options.first:
            return self._newest(dimension, now)
        if not dimension.start:
            known_label(pipeline, dimension, options.first)
            dimension = dimension._replace(start=options.first)
        keys = closed_labels(dimension, now)
        if options.first or options.last:
            first = (
                known_label(pipeline, dimension, options.first, "--from")
                if options.first
                else (keys[0] if keys else dimension.start)
            )
            last = (
                known_label(pipeline, dimension, options.last, "--to")
                if options.last
                else (keys[-1] if keys else first)
            )
            try:
                wanted = [window.label for window in windows(dimension, first, last)]
            except ValueError as error:
                raise UsageError(f"--from {first} comes after --to {last}") from error
            there = set(keys)
            keys = [key for key in wanted if key in there]
        if options.newest is not None:
            keys = keys[-options.newest :] if options.newest > 0 else []
        return keys

    def _newest(self, dimension: TimeDimension, now: datetime) -> list[str]:
        """The newest windows of a dimension that has no first one."""
        count = self._options.newest
        if count is None or self._options.last:
            raise UsageError(
                f"`{dimension.name}` has no `start`, so the range has no beginning",
                "give --from, --last or -p, or add a `start`",
            )
        window = last_closed(dimension, now)
        labels: list[str] = []
        while window is not None and len(labels) < count:
            labels.append(window.label)
            window = previous_window(dimension, window)
        return labels[::-1]

    def _decide(self, keys: list[str]) -> list[BackfillRow]:
        options, rows = self._options, []
        look = self._standings.with_upstream if options.with_upstream else self._standings.own
        every = "all" in options.only
        for key, found in zip(keys, look(self._selected, keys), strict=True):
            health, reason, expected = found.health, found.reason, found.expected_s
            if health is PartitionHealth.DONE:
                action = "run" if every else "reuse"
            else:
                wanted = every or health.value in options.only or health is PartitionHealth.RUNNING
                action = "run" if wanted else "skip"
            takes = expected if expected is not None else self._as_elsewhere(self._name)
            rows.append(BackfillRow(key, action, health.value, reason, pipeline=self._name, expected_s=takes))
        return rows

    def _upstream(self, jobs: Sequence[Job], own: Container[str]) -> list[BackfillRow]:
        """What else is to run: pipelines in the order in which they do, their keys sorted. `own` are the keys that have rows already."""
        rows = []
        for job in jobs:
            name, key = job.name, job.partition
            if name == self._name and key in own:
                continue
            found = self._standings.of(name, key)
            if found.health is not PartitionHealth.DONE:
                takes = found.expected_s if found.expected_s is not None else self._as_elsewhere(name)
                rows.append(BackfillRow(key, "run", found.health.value, found.reason, pipeline=name, expected_s=takes))
        order = {name: place for place, name in enumerate(dict.fromkeys(row.pipeline for row in rows))}
        return sorted(rows, key=lambda row: (order[row.pipeline], row.key))

    def _as_elsewhere(self, name: str) -> float | None:
        """The seconds that a partition without history may take."""
        durations = self._pace.elsewhere(name)
        return sum(durations.values()) if durations else None

    def _make(self, keys: Sequence[str]) -> list[Job]:
        """The jobs of the chosen partitions, with what they read if asked for."""
        if not self._options.with_upstream:
            return list(self._jobs.jobs(self._selected, keys))
        made: dict[tuple[str, str], Job] = {}
        self._jobs.with_upstream(self._selected, keys, made)
        return list(made.values())


def _after(row: BackfillRow, outcome: Outcome | None) -> BackfillRow:
    if outcome is None:
        return row
    run = outcome.run
    return replace(row, state=run.state.value, reason=run.reason or row.reason, run_id=run.run_id or None)
