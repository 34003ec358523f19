"""What the commands do, put together from specs, state, engine and runner."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias

from mlorch.engine.outcome import worst
from mlorch.engine.plan import consider_all, plan_of
from mlorch.model.errors import ExitCode
from mlorch.runner.ports import ORPHAN_GRACE
from mlorch.session.contract import Outcome
from mlorch.session.driving import CANCEL, MANY, DriveOptions, drive
from mlorch.session.history import History, alive
from mlorch.session.jobs import Jobs, Selected
from mlorch.session.pace import Pace
from mlorch.session.selection import (
    known_parameters,
    one_pipeline,
    parameters,
    partition_keys,
    pipeline_needs,
    select_pipelines,
    step_ids,
)
from mlorch.session.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mlorch.model.coming import AgendaNews, ComingTick
    from mlorch.model.comparison import Comparison
    from mlorch.model.diagnostics import Diagnostic, Place
    from mlorch.model.history import RunRecord
    from mlorch.model.plan import Plan, StepPlan
    from mlorch.model.ports import Observer
    from mlorch.model.shell import StepShell
    from mlorch.model.status import Awaited, Graph, PipelineStatus
    from mlorch.runner.loop import Job
    from mlorch.session.ahead import Ahead
    from mlorch.session.contract import BackfillObserver, BackfillOutcome
    from mlorch.session.options import BackfillOptions, GlobalOptions, RunOptions, RunsFilter
    from mlorch.session.standing import Standings

_Chosen: TypeAlias = tuple[Selected, tuple[str, ...], str]
"""A pipeline, the keys of its partitions that are meant, and what mlorch chose by itself."""


def open_session(options: GlobalOptions, ahead: Ahead | None = None) -> Session:
    """The session of the project that the options (or the current folder) name. Raises `UsageError`, `SpecError`."""
    return Session(Workspace(os.getcwd(), options.project, options.now, options.profile, ahead))


class Session:
    """A project that was found; its specs are read when they are first needed.

    Every method may raise a `MlorchError`: `UsageError` for an unknown pipeline, step, partition or run, `SpecError` for
    wrong specs or parameters, `StateError`, `NotReadyError`.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._jobs = Jobs(workspace, os.environ)
        self._history = History(workspace)

    @property
    def state_folder(self) -> str:
        """The absolute path of the state folder."""
        return self.workspace.layout.root

    @property
    def diagnostics(self) -> Sequence[Diagnostic]:
        """Warnings about the specs that were read, and what is wrong with those that were passed over."""
        return (*self.workspace.warnings, *self.workspace.passed_over)

    @property
    def passed_over(self) -> Sequence[Diagnostic]:
        """The problems of specs that a selection might have meant, had they been sound."""
        return self.workspace.passed_over

    @property
    def hearsay(self) -> Sequence[str]:
        """What was not asked but taken from a command's last answer, with its age."""
        return tuple(self.workspace.answers.notes) if "answers" in vars(self.workspace) else ()

    def place(self, pipeline: str, step: str) -> Place | None:
        """Where a step is described, if its spec still has it."""
        found = self.workspace.pipeline(pipeline)
        return next((s.place for s in found.steps if s.id == step), None) if found is not None else None

    # Running.

    def run(self, options: RunOptions, observer: Observer, *, brief: bool = False) -> Outcome:
        """Bring partitions up to date. `brief`: where nothing is to be done, the results of steps may be left out of what is told."""
        self.workspace.answers.calls = True
        chosen = self._selected(options)
        jobs, notes = self._wanted(options, chosen)
        standings = self._standings(jobs, chosen)
        found = self._known(standings, chosen) if standings is not None and brief else None
        if found is None:
            try:
                outcomes = drive(self.workspace, self._jobs, jobs, _drive_options(options), observer, standings)
            finally:
                if standings is not None:
                    standings.save()
            found = [(outcome.run, outcome.exit_code) for outcome in outcomes]
        wrong = [int(ExitCode.SPEC)] if self.passed_over else []
        return Outcome(worst((*(code for _, code in found), *wrong)), tuple(run for run, _ in found), notes)

    def latest_failed(self) -> RunRecord | None:
        """The run that `mlorch retry` takes when none is named; None if there is nothing to mend."""
        from mlorch.session.retrying import latest_failed

        self.workspace.layout.check()
        return latest_failed(self._history)

    def retry_options(self, run: RunRecord, base: RunOptions, *, then: bool) -> tuple[RunOptions, tuple[str, ...]]:
        """What runs that run again, for `run` or `plan`; see `session.retrying`."""
        from mlorch.session.retrying import retry_options

        return retry_options(self.workspace, self._history, run, base, then=then)

    def tick(self, names: Sequence[str], options: RunOptions, observer: Observer) -> Outcome:
        """What is due now of all pipelines, or of those selected. Wrong specs do not stop the others, but show in the exit code."""
        from mlorch.session.ticking import Ticking

        self.workspace.layout.check()
        self.workspace.answers.calls = True
        chosen = select_pipelines(self.workspace, names) if names else self.workspace.selectable()
        driven = _drive_options(options)
        if not names:
            driven = driven._replace(
                patience=None
            )  # a partition in use is for the next tick; what needs a slot of a pool waits
        outcome = Ticking(self.workspace, self._jobs, chosen, whole=not names).run(observer, driven)
        if self.passed_over:
            outcome = outcome._replace(exit_code=worst((outcome.exit_code, int(ExitCode.SPEC))))
        return outcome

    def coming(
        self, name: str, count: int | None, span: tuple[str, str] | None, outage: tuple[str, str] | None
    ) -> list[ComingTick]:
        """The ticks that come, of all pipelines or the selected ones; with `span` those of a replay."""
        from mlorch.session import scheduling

        chosen = select_pipelines(self.workspace, (name,)) if name else self.workspace.selectable()
        if span is not None:
            return scheduling.simulate(self.workspace, chosen, span, outage)
        return scheduling.coming(self.workspace, chosen, count or (10 if name else 1))

    def pause(self, name: str, reason: str) -> AgendaNews:
        """No ticks of a pipeline until `resume`."""
        from mlorch.session import scheduling

        return scheduling.pause(self.workspace, one_pipeline(self.workspace, name), reason)

    def resume(self, name: str, reason: str) -> AgendaNews:
        """Ticks of a pipeline count again."""
        from mlorch.session import scheduling

        return scheduling.resume(self.workspace, one_pipeline(self.workspace, name), reason)

    def mark(self, name: str, partitions: Sequence[str], state: str, reason: str) -> AgendaNews:
        """Partitions count as done or missing."""
        from mlorch.session import scheduling

        return scheduling.mark(self.workspace, one_pipeline(self.workspace, name), partitions, state, reason)

    def _standings(self, jobs: Sequence[Job], chosen: Sequence[_Chosen]) -> Standings | None:
        """Where what is known of a pipeline is kept, for a run of one partition that takes a moment to decide about; else None."""
        if len(jobs) != 1 or len(chosen) != 1:
            return None
        selected = chosen[0][0]
        if selected.words or len(selected.pipeline.steps) < MANY:
            return None
        from mlorch.session.standing import Standings

        return Standings(self.workspace, self._jobs)

    def _known(self, standings: Standings, chosen: Sequence[_Chosen]) -> list[tuple[RunRecord, int]] | None:
        """How a run of the one partition that was chosen ends, with its exit code, if it is known that nothing is to be done."""
        from mlorch.session.known import done_before

        ((selected, (key,), _),) = chosen
        run = done_before(standings, selected, key)
        return [(run, 0)] if run is not None else None

    def _wanted(self, options: RunOptions, chosen: Iterable[_Chosen]) -> tuple[list[Job], tuple[str, ...]]:
        """The jobs of a `run`, upstream before downstream, and what mlorch chose by itself."""
        made: dict[tuple[str, str], Job] = {}
        notes: list[str] = []
        for selected, keys, note in chosen:
            if note:
                notes.append(note)
            if options.with_upstream:
                self._jobs.with_upstream(selected, keys, made)
                continue
            reads = pipeline_needs([selected.pipeline])[selected.pipeline.name]
            before = tuple(job for (name, _), job in made.items() if name in reads)
            made |= {(job.name, job.partition): job for job in self._jobs.jobs(selected, keys, before)}
        return list(made.values()), tuple(notes)

    def _selected(self, options: RunOptions) -> list[_Chosen]:
        self.workspace.layout.check()
        found = []
        now = self.workspace.clock.now()
        pipelines = select_pipelines(self.workspace, options.pipelines)
        if len(pipelines) > 1:
            known_parameters(pipelines, options.params, options.params_file)
        for pipeline in pipelines:
            params = parameters(
                self.workspace,
                pipeline,
                options.params,
                options.params_file,
                strict=len(pipelines) == 1,
                before=options.values,
            )
            selected = Selected(
                pipeline,
                params,
                only=options.only,
                start=options.from_steps,
                until=options.until,
                force=options.force,
                force_steps=options.force_steps,
                due=options.due,
            )
            keys, note = partition_keys(
                self.workspace, pipeline, options.partitions if pipeline.partitions or len(pipelines) == 1 else (), now
            )
            found.append((selected, keys, note))
        return found

    # Looking.

    def plan(self, options: RunOptions) -> list[Plan]:
        """What `run` would do."""
        from mlorch.session.planning import plans_of

        return plans_of(
            self._wanted(options, self._selected(options))[0], Pace(self.workspace), rerun_unsafe=options.rerun_unsafe
        )

    def expected(self, pipeline: str, partition: str) -> Mapping[str, float]:
        """The seconds that each step of a run may take, as far as history knows."""
        return Pace(self.workspace).of(pipeline, partition)

    def backfill(self, options: BackfillOptions, observer: BackfillObserver) -> BackfillOutcome:
        """Many partitions of one pipeline."""
        from mlorch.session.backfill import Backfill

        self.workspace.layout.check()
        self.workspace.answers.calls = not options.dry_run
        return Backfill(self.workspace, self._jobs, options).run(observer)

    def status(self, names: Sequence[str]) -> list[PipelineStatus]:
        """All pipelines, or those selected."""
        from dataclasses import replace

        from mlorch.session.awaited import awaited_by
        from mlorch.session.standing import Standings, status_of

        self.workspace.layout.check()
        pipelines = select_pipelines(self.workspace, names) if names else self.workspace.selectable()
        standings = Standings(self.workspace, self._jobs)
        rows = [
            replace(status_of(self.workspace, standings, pipeline), awaited=awaited_by(self.workspace, pipeline))
            for pipeline in pipelines
        ]
        standings.save()
        return rows

    def runs(self, wanted: RunsFilter) -> list[RunRecord]:
        """History, newest first. Raises `UsageError` for a pipeline of which nobody knows."""
        self.workspace.layout.check()
        recorded = self.workspace.layout.pipelines()
        for name in wanted.pipelines:
            if name not in recorded:
                self.workspace.named(name)
        return self._history.filtered(wanted.pipelines, wanted.states, wanted.partition, wanted.since, wanted.limit)

    def find_run(self, text: str) -> RunRecord:
        """By id, unique prefix, `@latest`, `PIPELINE@latest` or `PIPELINE@KEY`."""
        return self._history.find(text)

    def why(self, pipeline: str, step: str, partition: str) -> StepPlan:
        """What is known of one step."""
        found = one_pipeline(self.workspace, pipeline)
        step_ids(found, "STEP", (step,))
        keys, _ = partition_keys(self.workspace, found, (partition,) if partition else (), self.workspace.clock.now())
        selected = Selected(found, parameters(self.workspace, found, (), ""))
        context = self._jobs.context(selected, keys[0])
        plan = plan_of(context, consider_all(context, frozenset(), rerun_unsafe=False))
        return next(planned for planned in plan.steps if planned.id == step)

    def awaited(self, pipeline: str) -> Awaited:
        """What the triggers of a pipeline wait for, and what is due of it."""
        from mlorch.session.awaited import awaited_by

        return awaited_by(self.workspace, one_pipeline(self.workspace, pipeline))

    def graph(self, pipeline: str | None) -> list[Graph]:
        """The steps of the selected pipelines, or one graph of all pipelines."""
        from mlorch.session.graphs import pipelines_graph, steps_graph

        if pipeline is None:
            return [pipelines_graph(self.workspace.selectable())]
        return [steps_graph(found) for found in select_pipelines(self.workspace, (pipeline,))]

    def compare(self, old: str, new: str) -> Comparison:
        """Two runs side by side."""
        from mlorch.session.comparing import compare

        return compare(self.workspace, self._history, self.find_run(old), self.find_run(new))

    def shell(self, run: RunRecord, step: str, attempt: int | None, scratch: str, *, conceal: bool) -> StepShell:
        """The surroundings of a step of a past run; see `session.shell`."""
        from mlorch.session.shell import ShellMaker

        return ShellMaker(self.workspace, self._jobs, scratch, conceal=conceal).make(self._history, run, step, attempt)

    def cancel(self, run: RunRecord) -> str:
        """End a run from another shell, if it is not over; says what came of it."""
        if run.finished_at or not alive(run):
            if not run.finished_at and (ended := self._end_orphans(run)):
                return f"ended what outlived the mlorch of run {run.run_id}: {ended}"
            return f"nothing to cancel: run {run.run_id} is over, {run.state.value.replace('_', ' ')}"
        os.kill(run.pid, CANCEL)
        return f"told run {run.run_id} (pid {run.pid}) to end its steps and stop"

    def _end_orphans(self, run: RunRecord) -> str:
        """End the steps of a run whose own process is gone; says which they were, "" for none. Waits until they are."""
        from mlorch.executors.orphans import LocalOrphans

        orphans = LocalOrphans(self.workspace.layout.records)
        found = orphans.find(run)
        if found:
            orphans.end(run, ORPHAN_GRACE, watched_too=True)
        return ", ".join(f"{orphan.token.split('/')[1]} (pid {orphan.pid})" for orphan in found)


def _drive_options(options: RunOptions) -> DriveOptions:
    return DriveOptions(
        options.jobs,
        options.fail_fast,
        options.if_busy,
        options.wait_timeout,
        options.wait_timeout if options.if_busy == "wait" else 0.0,
        options.rerun_unsafe,
        kill_orphans=options.orphans == "kill",
    )
