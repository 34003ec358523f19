"""What the commands do, put together from specs, state, engine and runner."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from mlorch.cli.contract import Outcome
from mlorch.engine.graph import graph_of
from mlorch.engine.outcome import worst
from mlorch.engine.plan import consider_all, plan_of
from mlorch.lang.partitions import closed, windows
from mlorch.model.errors import UsageError
from mlorch.model.plan import Plan
from mlorch.model.status import Graph, GraphNode
from mlorch.session.driving import DriveOptions, Signals
from mlorch.session.history import History, alive
from mlorch.session.jobs import Folders, Jobs, Selected
from mlorch.session.selection import (
    in_order,
    known_label,
    parameters,
    partition_keys,
    pipeline_needs,
    select_pipelines,
    step_ids,
)
from mlorch.session.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlorch.cli.contract import BackfillObserver, BackfillOutcome
    from mlorch.cli.options import BackfillOptions, GlobalOptions, RunOptions, RunsFilter
    from mlorch.model.diagnostics import Diagnostic, Place
    from mlorch.model.history import RunRecord
    from mlorch.model.plan import StepPlan
    from mlorch.model.ports import Observer
    from mlorch.model.spec import Pipeline
    from mlorch.model.status import PartitionHealth, PipelineStatus
    from mlorch.runner.loop import Job
    from mlorch.runner.loop import Outcome as JobOutcome


def open_session(options: GlobalOptions) -> Session:
    """The session of the project that the options (or the current folder) name. Raises `UsageError`, `SpecError`."""
    return Session(Workspace(os.getcwd(), options.project, options.now))


class Session:
    """See `session.contract.Session` for what each method promises."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._jobs = Jobs(workspace, os.environ)
        self._history = History(workspace)
        self._upstream: dict[str, Selected] = {}
        self._standing: dict[tuple[str, str], tuple[PartitionHealth, str]] = {}

    @property
    def state_folder(self) -> str:
        """The absolute path of the state folder."""
        return self.workspace.layout.root

    @property
    def diagnostics(self) -> Sequence[Diagnostic]:
        """Warnings about the specs that were read."""
        return tuple(self.workspace.warnings)

    def place(self, pipeline: str, step: str) -> Place | None:
        """Where a step is described, if its spec still has it."""
        found = self.workspace.pipeline(pipeline)
        return next((s.place for s in found.steps if s.id == step), None) if found is not None else None

    # Running.

    def run(self, options: RunOptions, observer: Observer) -> Outcome:
        """Bring partitions up to date."""
        jobs, notes = self._wanted(options)
        outcomes = self._drive(jobs, _drive_options(options), observer)
        plans = tuple(
            Plan(outcome.run.pipeline, outcome.run.partition, tuple(outcome.considered), ()) for outcome in outcomes if not outcome.run.run_id
        )
        code = worst(outcome.exit_code for outcome in outcomes)
        return Outcome(code, tuple(outcome.run for outcome in outcomes), plans, notes)

    def _wanted(self, options: RunOptions) -> tuple[list[Job], tuple[str, ...]]:
        """The jobs of a `run`, upstream before downstream, and what mlorch chose by itself."""
        self.workspace.layout.check()
        made: dict[tuple[str, str], Job] = {}
        notes: list[str] = []
        for selected, keys, note in self._selected(options):
            if note:
                notes.append(note)
            if options.with_upstream:
                self._jobs.with_upstream(selected, keys, made)
                continue
            reads = pipeline_needs([selected.pipeline])[selected.pipeline.name]
            before = tuple(job for (name, _), job in made.items() if name in reads)
            for key in keys:
                made[selected.pipeline.name, key] = self._jobs.job(selected, key, before)
        return list(made.values()), tuple(notes)

    def _selected(self, options: RunOptions) -> list[tuple[Selected, tuple[str, ...], str]]:
        found = []
        now = self.workspace.clock.now()
        pipelines = select_pipelines(self.workspace, options.pipelines)
        for pipeline in pipelines:
            params = parameters(self.workspace, pipeline, options.params, options.params_file, strict=len(pipelines) == 1)
            selected = Selected(
                pipeline,
                params,
                only=options.only,
                start=options.from_steps,
                until=options.until,
                force=options.force,
                force_steps=options.force_steps,
            )
            keys, note = partition_keys(pipeline, options.partitions if pipeline.partitions or len(pipelines) == 1 else (), now)
            found.append((selected, keys, note))
        return found

    def _drive(self, jobs: Sequence[Job], options: DriveOptions, observer: Observer) -> list[JobOutcome]:
        """Run jobs to their ends, with this process's signals ending them in order."""
        from mlorch.executors.local import LocalExecutor
        from mlorch.executors.orphans import LocalOrphans
        from mlorch.runner.commit import Committer
        from mlorch.runner.loop import IfBusy, Options, Runner
        from mlorch.runner.ports import Ports
        from mlorch.world.machine import cpus

        workspace = self.workspace
        hidden = self._jobs.hidden(workspace.loaded())
        executor = LocalExecutor({name: value for name, value in os.environ.items() if name not in hidden})
        committer = Committer(workspace.files, executor.wake)
        folders = Folders(workspace)
        ports = Ports(executor, folders, workspace.clock, observer, committer, LocalOrphans(folders.record))
        runner = Runner(
            ports,
            Options(
                options.slots or cpus(),
                options.fail_fast,
                IfBusy(options.if_busy),
                options.wait_timeout,
                options.rerun_unsafe,
                options.max_failures,
                kill_orphans=options.kill_orphans,
            ),
            lambda: workspace.layout.new_run_id(workspace.clock),
            os.getpid(),
        )
        with Signals(runner.stop):
            try:
                return runner.run(jobs)
            finally:
                committer.close()
                executor.close()
                workspace.files.save()
                for job in jobs:
                    workspace.forget(job.name, job.partition)

    # Looking.

    def plan(self, options: RunOptions) -> list[Plan]:
        """What `run` would do."""
        plans = []
        for selected, keys, _ in self._selected(options):
            for key in keys:
                context = self._jobs.context(selected, key)
                plans.append(plan_of(context, consider_all(context, selected.forced)))
        return plans

    def backfill(self, options: BackfillOptions, observer: BackfillObserver) -> BackfillOutcome:
        """Many partitions of one pipeline."""
        from mlorch.session.backfill import Backfill

        self.workspace.layout.check()
        return Backfill(self, options).run(observer)

    def status(self, names: Sequence[str]) -> list[PipelineStatus]:
        """All pipelines, or those selected."""
        from mlorch.session.standing import status_of

        self.workspace.layout.check()
        pipelines = select_pipelines(self.workspace, names) if names else self.workspace.pipelines()
        rows = [status_of(self.workspace, self._jobs, pipeline) for pipeline in pipelines]
        self.workspace.files.save()
        return rows

    def runs(self, wanted: RunsFilter) -> list[RunRecord]:
        """History, newest first."""
        self.workspace.layout.check()
        return self._history.filtered(wanted.pipelines, wanted.states, wanted.partition, wanted.since, wanted.limit)

    def find_run(self, text: str) -> RunRecord:
        """By id, unique prefix, `@latest`, `PIPELINE@latest` or `PIPELINE@KEY`."""
        return self._history.find(text)

    def why(self, pipeline: str, step: str, partition: str) -> StepPlan:
        """What is known of one step."""
        found = select_pipelines(self.workspace, (pipeline,))[0]
        step_ids(found, "STEP", (step,))
        keys, _ = partition_keys(found, (partition,) if partition else (), self.workspace.clock.now())
        selected = Selected(found, parameters(self.workspace, found, (), ""))
        context = self._jobs.context(selected, keys[0])
        plan = plan_of(context, consider_all(context, frozenset()))
        return next(planned for planned in plan.steps if planned.id == step)

    def graph(self, pipeline: str | None) -> list[Graph]:
        """The steps of the selected pipelines, or one graph of all pipelines."""
        if pipeline is None:
            return [_pipelines_graph(self.workspace.pipelines())]
        return [_steps_graph(found) for found in select_pipelines(self.workspace, (pipeline,))]

    def cancel(self, run: RunRecord) -> str:
        """End a run from another shell. Raises `UsageError` when it is over."""
        if run.finished_at or not alive(run):
            raise UsageError(f"run {run.run_id} is over: {run.state.value}")
        os.kill(run.pid, signal.SIGTERM)
        return f"told run {run.run_id} (pid {run.pid}) to end its steps and stop"

    # For `Backfill`.

    def backfill_keys(self, pipeline: Pipeline, options: BackfillOptions) -> list[str]:
        """The partitions that a backfill is about, oldest first. Raises `UsageError`."""
        now = self.workspace.clock.now()
        dimension = pipeline.time_dimension
        if dimension is None:
            raise UsageError(f"{pipeline.name} has no partitions to backfill", f"mlorch run {pipeline.name}")
        if options.partitions:
            return list(partition_keys(pipeline, options.partitions, now)[0])
        keys = [window.label for window in closed(dimension, now)]
        if options.first or options.last:
            first = known_label(pipeline, dimension, options.first) if options.first else (keys[0] if keys else dimension.start)
            last = known_label(pipeline, dimension, options.last) if options.last else (keys[-1] if keys else first)
            wanted = [window.label for window in windows(dimension, first, last)]
            if not wanted:
                raise UsageError(f"--from {first} comes after --to {last}")
            there = set(keys)
            keys = [key for key in wanted if key in there]
        if options.newest is not None:
            keys = keys[-options.newest :] if options.newest > 0 else []
        return keys

    def standing(self, selected: Selected, key: str) -> tuple[PartitionHealth, str]:
        """Where one partition stands."""
        from mlorch.session.standing import standing

        return standing(self._jobs.context(selected, key))

    def standing_upstream(self, selected: Selected, key: str) -> tuple[PartitionHealth, str]:
        """Where a partition that is done stands when what it reads, near and far, is counted in."""
        from mlorch.model.status import PartitionHealth
        from mlorch.session.standing import standing

        for name, keys in self._jobs.reads(selected, key).items():
            other = self.workspace.named(name)
            upstream = self._upstream.get(name)
            if upstream is None:
                upstream = self._upstream[name] = Selected(other, parameters(self.workspace, other, (), ""))
            for read in keys:
                found = self._standing.get((name, read))
                if found is None:
                    found = standing(self._jobs.context(upstream, read))
                    if found[0] is PartitionHealth.DONE:
                        found = self.standing_upstream(upstream, read)
                    self._standing[name, read] = found
                if found[0] is not PartitionHealth.DONE:
                    return PartitionHealth.STALE, f"waiting_upstream: {name} {read}".rstrip() + f" is {found[0].value}"
        return PartitionHealth.DONE, "unchanged"

    def select(self, pipeline: Pipeline, options: BackfillOptions) -> Selected:
        """The pipeline with the backfill's parameters."""
        return Selected(pipeline, parameters(self.workspace, pipeline, options.params, options.params_file))

    def backfill_jobs(self, selected: Selected, keys: Sequence[str], *, with_upstream: bool) -> list[Job]:
        """The jobs of the chosen partitions, with what they read if asked for."""
        made: dict[tuple[str, str], Job] = {}
        if with_upstream:
            self._jobs.with_upstream(selected, keys, made)
        else:
            for key in keys:
                made[selected.pipeline.name, key] = self._jobs.job(selected, key)
        return list(made.values())

    def drive(self, jobs: Sequence[Job], options: DriveOptions, observer: Observer) -> list[JobOutcome]:
        """Run jobs to their ends."""
        return self._drive(jobs, options, observer)


def _drive_options(options: RunOptions) -> DriveOptions:
    return DriveOptions(options.jobs, options.fail_fast, options.if_busy, options.wait_timeout, options.rerun_unsafe, kill_orphans=options.orphans == "kill")


def _steps_graph(pipeline: Pipeline) -> Graph:
    graph = graph_of(pipeline)
    by_id = {step.id: step for step in pipeline.steps}
    nodes = []
    for step_id in graph.order:
        step = by_id[step_id]
        command = step.run if isinstance(step.run, str) else " ".join(step.run)
        nodes.append(
            GraphNode(
                step_id,
                tuple((need, ", ".join(output.name for output in by_id[need].outputs)) for need in graph.needs[step_id]),
                command.strip().splitlines()[0] if command.strip() else "",
                tuple(item.name for item in step.inputs),
                tuple(output.name for output in step.outputs),
            )
        )
    return Graph(pipeline.name, tuple(nodes), pipeline.kind.value)


def _pipelines_graph(pipelines: Sequence[Pipeline]) -> Graph:
    needs = pipeline_needs(pipelines)
    names = {pipeline.name for pipeline in pipelines}
    nodes = []
    for name in in_order(needs):
        pipeline = next(found for found in pipelines if found.name == name)
        flows: dict[str, list[str]] = {}
        for step in pipeline.steps:
            for item in step.inputs:
                if item.upstream is not None and item.upstream.pipeline in names - {name}:
                    flows.setdefault(item.upstream.pipeline, []).append(item.upstream.output)
        edges = tuple((need, ", ".join(dict.fromkeys(outputs))) for need, outputs in flows.items())
        nodes.append(GraphNode(name, edges, pipeline.kind.value))
    return Graph("", tuple(nodes))
