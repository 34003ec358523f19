"""`tick` and `run --due`: what is due now, upstream first; tried once per tick of its schedule."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from mlorch.engine import agenda as words
from mlorch.engine.outcome import worst
from mlorch.engine.plan import consider_all
from mlorch.engine.ticks import look, still_covered
from mlorch.lang.keys import time_label
from mlorch.lang.partitions import parse_label, split_key
from mlorch.lang.schedules import Ticks
from mlorch.lang.zones import zone
from mlorch.model.errors import ExitCode, FileError, MlorchError, SpecError
from mlorch.model.states import Action, RunState, StepState
from mlorch.model.times import iso_utc, parse_iso
from mlorch.session.agendas import FOLDER, works
from mlorch.session.contract import Outcome
from mlorch.session.driving import DriveOptions, drive
from mlorch.session.jobs import Selected
from mlorch.session.selection import all_keys, in_order, parameters, pipeline_needs
from mlorch.session.triggers import Triggers, needs_of
from mlorch.world.idle import keep
from mlorch.world.machine import boot_id, start_ticks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from mlorch.engine.agenda import Agenda, Pending
    from mlorch.model.history import RunRecord, StepRecord
    from mlorch.model.ports import Observer
    from mlorch.model.spec import Pipeline
    from mlorch.runner.loop import Job
    from mlorch.session.agendas import Book
    from mlorch.session.jobs import Jobs
    from mlorch.session.workspace import Workspace

_ENDS = {
    RunState.SUCCEEDED: words.DONE,
    RunState.INCOMPLETE: words.DONE,
    RunState.FAILED: words.FAILED,
    RunState.TIMED_OUT: words.FAILED,
    RunState.NOT_READY: words.NOT_READY,
}
"""Runs that ended otherwise (cancelled, busy, lost) were no try: the next call takes them up again."""
_STOPPED = 128


class Ticking:
    """One `tick`, over `pipelines`; `whole` if that is all of the project."""

    def __init__(self, workspace: Workspace, jobs: Jobs, pipelines: Sequence[Pipeline], *, whole: bool) -> None:
        self._workspace = workspace
        self._jobs = jobs
        self._agendas = workspace.agendas
        self._triggers = Triggers(workspace)
        needs = {name: before | needs_of(found) for name, before, found in _with_needs(pipelines)}
        by_name = {pipeline.name: pipeline for pipeline in pipelines}
        self._order = [by_name[name] for name in in_order(needs)]
        self._needs = needs
        self._slots: dict[tuple[str, str], str] = {}
        self._notes: list[str] = []
        self._codes: list[int] = []
        self._whole = whole

    def run(self, observer: Observer, options: DriveOptions) -> Outcome:
        """Bring up to date what is due; again as long as that made something else due."""
        runs: list[RunRecord] = []
        watcher = _Watcher(observer, self._ended)
        for _ in range(len(self._order) + 1):
            made: dict[tuple[str, str], Job] = {}
            for pipeline in self._order:
                before = tuple(job for (name, _), job in made.items() if name in self._needs[pipeline.name])
                for selected, key in self._due(pipeline, check=not before):
                    if (job := self._job(selected, key, before)) is not None:
                        made[pipeline.name, key] = job
            if not made:
                self._keep_idle()
                break
            outcomes = drive(self._workspace, self._jobs, list(made.values()), options, watcher)
            for outcome in outcomes:
                if not outcome.run.run_id:
                    self._ended(outcome.run)
            runs += [outcome.run for outcome in outcomes]
            self._codes += [outcome.exit_code for outcome in outcomes]
            if any(code >= _STOPPED for code in self._codes) or not any(p.triggers for p in self._order):
                break
        return Outcome(worst(self._codes), tuple(runs), tuple(self._notes))

    def _job(self, selected: Selected, key: str, before: tuple[Job, ...]) -> Job | None:
        """The job of what is due; None for a partition that would write where another one does, which does not stop the others."""
        name = selected.pipeline.name
        try:
            return self._jobs.job(selected, key, before)
        except SpecError as error:
            self._notes.append(f"{name}: {error.message}")
            self._codes.append(int(error.exit_code))
        with self._agendas.open(name) as book:
            book.note("ended", key, slot=self._slots[name, key], state=words.FAILED, run_id="")
        return None

    def _keep_idle(self) -> None:
        """Spare the next calls the looking, if nothing but the time can make something due."""
        workspace = self._workspace
        if self._codes or not self._whole or workspace.unsound or any(p.triggers for p in self._order):
            return
        now = workspace.clock.now()
        scheduled = [pipeline for pipeline in self._order if pipeline.schedule is not None]
        for pipeline in scheduled:
            agenda = workspace.agendas.of(pipeline.name)
            if agenda.paused is None and any(p.ended != words.FAILED for p in agenda.pending.values()):
                return
        coming = [
            tick for p in scheduled if p.schedule is not None and (tick := Ticks(p.schedule).next(now)) is not None
        ]
        keep(
            workspace.root,
            workspace.layout.root,
            workspace.project.pipelines,
            workspace.spec_files(),
            (workspace.layout.journal(FOLDER, pipeline.name) for pipeline in scheduled),
            min(coming, default=None),
        )

    def _due(self, pipeline: Pipeline, *, check: bool) -> list[tuple[Selected, str]]:
        """What to run of a pipeline now, noted as taken; with `check` only what does not await its data. A pipeline whose agenda cannot be made out does not stop the others."""
        if pipeline.schedule is None and not pipeline.triggers:
            return []
        try:
            return self._take(pipeline, check=check)
        except MlorchError as error:
            if not isinstance(error, (SpecError, FileError)) and error.exit_code != 5:
                raise
            self._notes.append(f"{pipeline.name}: {error.message}")
            self._codes.append(int(error.exit_code))
            return []

    def _take(self, pipeline: Pipeline, *, check: bool) -> list[tuple[Selected, str]]:
        agenda = self._agendas.of(pipeline.name)
        if agenda.paused is not None:
            return []
        now = self._workspace.clock.now()
        fired = self._triggers.look(pipeline, agenda)
        if look(pipeline, agenda, now) is None and not fired and not self._candidates(pipeline, agenda):
            return []
        params = parameters(self._workspace, pipeline, (), "")
        with self._agendas.open(pipeline.name) as book:
            if book.agenda.paused is not None:
                return []
            self._note_ticks(pipeline, book)
            for found in fired:
                if book.agenda.cursors.get(found.name) == agenda.cursors.get(found.name):
                    facts: dict[str, Any] = {
                        "name": found.name,
                        "cursor": found.cursor,
                        "due": list(found.due),
                        "now": iso_utc(now),
                    }
                    if found.left:
                        why = f"{found.detail}, beyond catchup"
                        facts["missed"] = [found.left[0], found.left[-1], len(found.left), why]
                        self._notes.append(f"{pipeline.name}: left to backfill {_span(*facts['missed'])}")
                    book.note("triggered", **facts)
            slot = self._slot(pipeline, book.agenda)
            ready = self._ready(pipeline, params, book, slot, check=check)
            me = {"pid": os.getpid(), "start_ticks": start_ticks(os.getpid()) or 0, "boot_id": boot_id()}
            for key in ready:
                book.note("taken", key, slot=slot, **me)
                self._slots[pipeline.name, key] = slot
            due = {key: book.agenda.pending[key] for key in ready}
        return [(self._selected(pipeline, params, slot, pending), key) for key, pending in due.items()]

    def _ready(self, pipeline: Pipeline, params: dict[str, Any], book: Book, slot: str, *, check: bool) -> list[str]:
        """The keys to run; of those that await their data it is noted that they do."""
        taken = self._candidates(pipeline, book.agenda)
        ready = []
        for key in taken:
            pending = book.agenda.pending[key]
            if not check or not self._awaits(self._selected(pipeline, params, slot, pending), key):
                ready.append(key)
            elif (pending.tried, pending.ended) != (slot, words.NOT_READY):
                book.note("ended", key, slot=slot, state=words.NOT_READY, run_id="")
        if len(ready) < len(taken):
            self._codes.append(int(ExitCode.NOT_READY))
            if not self._whole:
                self._notes.append(f"{pipeline.name}: {len(taken) - len(ready)} of {len(taken)} due await their data")
        return ready

    def _selected(self, pipeline: Pipeline, params: dict[str, Any], slot: str, pending: Pending) -> Selected:
        """Without a window of its own, that a tick came makes the steps without inputs stale."""
        due = "" if pipeline.time_dimension is not None else f"trigger {pending.event}" if pending.event else slot
        return Selected(pipeline, params, due=due, scheduled_at=_scheduled_at(pipeline, pending))

    def _note_ticks(self, pipeline: Pipeline, book: Book) -> None:
        """Write down the ticks that came, with what they make due and what they leave."""
        agenda = book.agenda
        gone = [key for key in agenda.pending if not _is_key(pipeline, key)]
        if gone:
            book.note("dropped", keys=gone, why="no partition of this pipeline any more")
        found = look(pipeline, agenda, self._workspace.clock.now())
        if found is None:
            return
        tried = [key for key, pending in agenda.pending.items() if not works(pending)]
        kept = still_covered(pipeline, tried, found.tick)
        if dropped := [key for key in tried if key not in kept]:
            why = "not done, and no longer covered by catchup"
            labels = _time_labels(pipeline, dropped)
            missed = [labels[0], labels[-1], len(labels), why]
            book.note("dropped", keys=dropped, why=why, missed=missed, now=iso_utc(found.tick))
            self._notes.append(f"{pipeline.name}: {_some(dropped)} not done and given up (catchup); left to backfill")
        due = list(self._keys(pipeline, found.due))
        again = [key for key in self._keys(pipeline, found.again) if self._was_done(pipeline, key)]
        facts: dict[str, Any] = {"tick": iso_utc(found.tick), "covered": found.covered, "due": due}
        if again:
            facts["again"] = again
        if found.missed:
            facts["missed"] = list(found.missed)
            self._notes.append(f"{pipeline.name}: missed {_span(*found.missed)}")
        book.note("ticked", **facts)

    def _keys(self, pipeline: Pipeline, times: tuple[str, ...]) -> Iterable[str]:
        if not times:
            return ()
        return all_keys(self._workspace, pipeline, times) if pipeline.partitions else ("",)

    def _was_done(self, pipeline: Pipeline, key: str) -> bool:
        return bool(self._workspace.state(pipeline.name, key).checkpoints)

    def _slot(self, pipeline: Pipeline, agenda: Agenda) -> str:
        """What the present try is for: the newest tick; where only triggers make it due, the hour."""
        if pipeline.schedule is not None and agenda.seen:
            return Ticks(pipeline.schedule).slot(parse_iso(agenda.tick))
        return self._workspace.clock.now().strftime("%Y-%m-%dT%HZ")

    def _candidates(self, pipeline: Pipeline, agenda: Agenda) -> list[str]:
        """The keys that are due, and neither tried for this slot nor at work; one whose data was awaited is looked at again."""
        slot = self._slot(pipeline, agenda)
        return [
            key
            for key, pending in agenda.pending.items()
            if (pending.tried != slot or pending.ended == words.NOT_READY)
            and not works(pending)
            and not self._marked_done(pipeline, key)
        ]

    def _marked_done(self, pipeline: Pipeline, key: str) -> bool:
        mark = self._workspace.mark(pipeline.name, key)
        return mark is not None and mark.state == words.DONE

    def _awaits(self, selected: Selected, key: str) -> bool:
        """Whether all that is left to do in a partition awaits its data: a run of it would only leave a record."""
        try:
            found = consider_all(self._jobs.context(selected, key), frozenset()).values()
        except FileError:
            return False  # the run tells of it
        waits = any(considered.state is StepState.NOT_READY for considered in found)
        return waits and not any(considered.action in (Action.RUN, Action.UNKNOWN) for considered in found)

    def _ended(self, run: RunRecord) -> None:
        """Note how the try of a key ended, as soon as it has."""
        state = _ENDS.get(run.state)
        slot = self._slots.get((run.pipeline, run.partition))
        if state is None or slot is None:
            return
        with self._agendas.open(run.pipeline) as book:
            book.note("ended", run.partition, slot=slot, state=state, run_id=run.run_id)


class _Watcher:
    """An observer that also hears of ends."""

    def __init__(self, inner: Observer, ended: Any) -> None:
        self._inner = inner
        self._ended = ended

    def run_started(self, run: RunRecord, order: Sequence[str]) -> None:
        """Pass it on."""
        self._inner.run_started(run, order)

    def step_changed(self, run: RunRecord, step: StepRecord) -> None:
        """Pass it on."""
        self._inner.step_changed(run, step)

    def step_runs(self, run: RunRecord, step: str, *, runs: bool) -> None:
        """Pass it on."""
        self._inner.step_runs(run, step, runs=runs)

    def step_waits(self, run: RunRecord, step: str, pool: str, holders: str) -> None:
        """Pass it on."""
        self._inner.step_waits(run, step, pool, holders)

    def run_ended(self, run: RunRecord) -> None:
        """Note it, pass it on."""
        self._ended(run)
        self._inner.run_ended(run)

    def note(self, message: str) -> None:
        """Pass it on."""
        self._inner.note(message)

    def tick(self) -> None:
        """Pass it on."""
        self._inner.tick()

    def close(self) -> None:
        """Pass it on."""
        self._inner.close()


def _with_needs(pipelines: Sequence[Pipeline]) -> list[tuple[str, set[str], Pipeline]]:
    needs = pipeline_needs(pipelines)
    return [(pipeline.name, needs[pipeline.name], pipeline) for pipeline in pipelines]


def _scheduled_at(pipeline: Pipeline, pending: Pending) -> datetime | None:
    """The tick that made it due, in the zone of the schedule; None for what a trigger made due."""
    if pipeline.schedule is None or pending.why not in (words.SCHEDULE, words.LOOKBACK):
        return None
    return parse_iso(pending.due_at).astimezone(zone(pipeline.schedule.timezone))


def _is_key(pipeline: Pipeline, key: str) -> bool:
    try:
        split_key(pipeline.partitions, key)
    except ValueError:
        return False
    return True


def _time_labels(pipeline: Pipeline, keys: Iterable[str]) -> list[str]:
    """The windows of the keys, oldest first (one "" without a time dimension)."""
    dimension = pipeline.time_dimension
    if dimension is None:
        return [""]
    labels = {time_label(pipeline.partitions, key) for key in keys}
    return sorted(labels, key=lambda label: parse_label(dimension, label).start.timestamp())


def _span(first: str, last: str, count: int, why: str) -> str:
    named = f" ({first})" if first == last else f" ({first} to {last})"
    return f"{count}{named if first else ''}: {why}"


def _some(keys: list[str]) -> str:
    return keys[0] if len(keys) == 1 else f"{len(keys)} partitions ({keys[0]} to {keys[-1]})"
