"""Where partitions stand: done, missing, failed, stale or running; and what that makes of a pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.engine.agenda import NOT_READY
from mlorch.engine.plan import consider_all, nothing_to_do
from mlorch.lang.keys import time_label
from mlorch.lang.partitions import closed_labels
from mlorch.lang.schedules import Ticks
from mlorch.model.errors import FileError, NotReadyError, SpecError
from mlorch.model.states import Action, RunState, StepState
from mlorch.model.status import Health, PartitionHealth, PipelineStatus
from mlorch.model.times import parse_iso
from mlorch.session.history import told
from mlorch.session.index import Index, Standing, with_history
from mlorch.session.jobs import Selected
from mlorch.session.scheduling import next_of
from mlorch.session.selection import all_keys, parameters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from mlorch.engine.agenda import Agenda, Mark
    from mlorch.engine.context import Context
    from mlorch.model.coming import ComingTick
    from mlorch.model.history import PartitionState, RunRecord
    from mlorch.model.spec import Pipeline
    from mlorch.session.jobs import Jobs
    from mlorch.session.workspace import Workspace

_NEVER = Standing(PartitionHealth.MISSING, "never_done")
_TO_TELL = (PartitionHealth.FAILED, PartitionHealth.STALE)
_FAILED = (RunState.FAILED, RunState.TIMED_OUT, RunState.LOST, RunState.CANCELLED)


def by_record(state: PartitionState, mark: Mark | None = None) -> tuple[PartitionHealth, str] | None:
    """Where a partition stands by its journal alone, with the reason (a stable word and text). What a person said of it goes first."""
    last = told(state.last_run) if state.last_run is not None else None
    if last is not None and last.state is RunState.RUNNING:
        return PartitionHealth.RUNNING, f"run {last.run_id}"
    if mark is not None:
        return PartitionHealth(mark.state), f"marked: {mark.reason}"
    # One without an end was cut off: even if all is done, the next run has to clear up behind it.
    if last is not None and last.state in _FAILED and not (last.finished_at and _healed(state)):
        return PartitionHealth.FAILED, last.reason or last.state.value
    if not state.checkpoints:
        return _NEVER.health, _NEVER.reason
    return None


def by_steps(context: Context) -> tuple[PartitionHealth, str, int]:
    """Where a partition of which something was done stands, by a decision about each step; and how many are reused if it is done.

    Raises `SpecError`, `FileError`.
    """
    found = consider_all(context, frozenset(), assessed=False)
    if nothing_to_do(found):
        reused = sum(considered.state is StepState.CACHED for considered in found.values())
        return PartitionHealth.DONE, "unchanged", reused
    for step, considered in found.items():
        if considered.action is Action.RUN:
            gone = step not in context.state.checkpoints
            health = PartitionHealth.MISSING if gone else PartitionHealth.STALE
            return health, f"{considered.reason.value}: {step}: {considered.detail}", 0
    for step, considered in found.items():
        if considered.state is StepState.NOT_READY:
            return PartitionHealth.MISSING, f"{considered.reason.value}: {step}: {considered.detail}", 0
    return PartitionHealth.STALE, "waiting_upstream", 0


def _healed(state: PartitionState) -> bool:
    """A run may have been cancelled after all its steps were done."""
    return (
        bool(state.checkpoints)
        and not state.unfinished
        and all(
            step.state.good or step.id in state.checkpoints
            for step in (state.last_run.steps.values() if state.last_run else ())
        )
    )


class Standings:
    """Where partitions stand when what they read, near and far, is counted in; each is looked at once."""

    def __init__(self, workspace: Workspace, jobs: Jobs) -> None:
        self._workspace = workspace
        self._jobs = jobs
        self._selected: dict[str, Selected] = {}
        self._found: dict[tuple[str, str], tuple[PartitionHealth, str]] = {}
        self._indexes: dict[str, Index] = {}
        self._with_state: dict[str, frozenset[str]] = {}

    def own(self, selected: Selected, keys: Sequence[str]) -> Iterator[Standing]:
        """Where partitions stand, each by itself."""
        name, index = selected.pipeline.name, self._index(selected)
        marks = self._workspace.marks(name)
        for key, found in zip(keys, index.find(keys), strict=True):
            if found is not None and key not in marks:
                yield found
            elif key in marks or key in self._there(name):
                mark = self._workspace.mark(name, key) if key in marks else None
                yield self._decide(index, selected, key, mark)
            else:
                yield _NEVER

    def known(self, selected: Selected, key: str) -> Standing | None:
        """As `own`; None where that takes a decision."""
        found = next(self._index(selected).find((key,)))
        return None if key in self._workspace.marks(selected.pipeline.name) else found

    def _index(self, selected: Selected) -> Index:
        name = selected.pipeline.name
        index = self._indexes.get(name)
        if index is None:
            index = self._indexes[name] = Index(self._workspace, self._jobs, selected)
        return index

    def remember(self, name: str, key: str, journal: str) -> None:
        """Keep where a partition stands after a run of this command, which left a journal with this signature."""
        index = self._indexes.get(name)
        if index is None:
            return  # nobody asked how that pipeline stands
        workspace = self._workspace
        workspace.confirm(name, key, journal)
        index.moving = True
        self._decide(index, index.selected, key, workspace.mark(name, key))

    def _there(self, name: str) -> frozenset[str]:
        """The partitions with state, listed once: of the others there is nothing to read."""
        found = self._with_state.get(name)
        if found is None:
            found = self._with_state[name] = frozenset(self._workspace.partitions(name))
        return found

    def _decide(self, index: Index, selected: Selected, key: str, mark: Mark | None) -> Standing:
        """The decision, kept if it can be. The partition's state is let go: there may be very many."""
        workspace, name = self._workspace, selected.pipeline.name
        there = workspace.has_state(name, key)
        context = self._jobs.context(selected, key)
        state = context.state
        index.watch(context)
        keep = mark is None
        recorded = by_record(state, mark)
        if recorded is not None:
            verdict = (*recorded, 0)
        else:
            try:
                verdict = by_steps(context)
            except (SpecError, FileError) as error:
                verdict, keep = (PartitionHealth.FAILED, error.message, 0), False
        standing = with_history(*verdict, state)
        if keep:
            index.keep(key, standing, state)
        else:
            index.forget(key)
        if not there:
            workspace.forget(name, key)
        return standing

    def save(self) -> None:
        """Keep what was decided for later commands."""
        self._workspace.files.save()
        for index in self._indexes.values():
            index.save()

    def with_upstream(self, selected: Selected, keys: Sequence[str]) -> Iterator[Standing]:
        """As `own`; one that is done is stale while something that it reads is not done."""
        for key, found in zip(keys, self.own(selected, keys), strict=True):
            health, reason = self._counting(selected, key)
            yield found._replace(health=health, reason=reason)

    def _counting(self, selected: Selected, key: str) -> tuple[PartitionHealth, str]:
        name = selected.pipeline.name
        self._selected[name] = selected
        # By hand instead of by recursion: a pipeline that reads its own windows makes a chain as long as its history.
        stack = [(name, key)]
        reads: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {}
        while stack:
            node = stack[-1]
            if node in self._found:
                stack.pop()
                continue
            of = self._pipeline(node[0])
            if node not in reads:
                found = next(self.own(of, (node[1],)))
                if found.health is not PartitionHealth.DONE:
                    self._found[node] = (found.health, found.reason)
                    continue
                reads[node] = tuple((other, k) for other, keys in self._jobs.reads(of, node[1]).items() for k in keys)
                if todo := [other for other in reads[node] if other not in self._found and other not in reads]:
                    stack.extend(todo)
                    continue
            self._found[node] = self._by_what_it_reads(reads[node])
        return self._found[name, key]

    def of(self, name: str, key: str) -> Standing:
        """As `with_upstream`, of one partition of a pipeline with its usual parameters."""
        return next(self.with_upstream(self._pipeline(name), (key,)))

    def _by_what_it_reads(self, reads: tuple[tuple[str, str], ...]) -> tuple[PartitionHealth, str]:
        for name, key in reads:
            health, _ = self._found.get((name, key), (PartitionHealth.DONE, ""))
            if health is not PartitionHealth.DONE:
                return PartitionHealth.STALE, f"waiting_upstream: {name} {key}".rstrip() + f" is {health.value}"
        return PartitionHealth.DONE, "unchanged"

    def _pipeline(self, name: str) -> Selected:
        selected = self._selected.get(name)
        if selected is None:
            pipeline = self._workspace.named(name)
            selected = self._selected[name] = Selected(pipeline, parameters(self._workspace, pipeline, (), ""))
        return selected


def status_of(workspace: Workspace, standings: Standings, pipeline: Pipeline) -> PipelineStatus:
    """One row of the status table."""
    try:
        selected = Selected(pipeline, parameters(workspace, pipeline, (), ""))
    except SpecError as error:
        return _row(pipeline, Health.FAILING, (error.message,), None, ())
    dimension = pipeline.time_dimension
    now = workspace.clock.now()
    times: Iterable[str] = closed_labels(dimension, now) if dimension is not None and dimension.start else ()
    if dimension is not None and not dimension.start:
        times = sorted({time_label(pipeline.partitions, key) for key in workspace.partitions(pipeline.name)})
    try:
        keys = list(all_keys(workspace, pipeline, times)) if pipeline.partitions else [""]
    except (SpecError, NotReadyError) as error:
        return _row(pipeline, Health.NEVER_RAN, (error.message,), None, ())
    rows: list[tuple[str, PartitionHealth]] = []
    reasons: list[str] = []
    newest = fresh = ("", "")
    done = PartitionHealth.DONE
    for key, (health, reason, started_at, fresh_at, *_) in zip(keys, standings.own(selected, keys), strict=True):
        rows.append((key, health))
        if started_at > newest[0]:
            newest = (started_at, key)
        if health is done:
            fresh = (fresh_at, key)
        elif health in _TO_TELL:
            reasons.append(f"{key}: {reason}" if key else reason)
    last = workspace.state(pipeline.name, newest[1]).last_run if newest[0] else None
    agenda = workspace.agendas.of(pipeline.name) if pipeline.schedule is not None or pipeline.triggers else None
    overall, why = _overall(pipeline, agenda, now, {health for _, health in rows}, ran=last is not None)
    reasons += [why] if why else []
    if agenda is not None and (left := _left_to_backfill(pipeline, agenda, rows)):
        reasons.append(left)
    return _row(
        pipeline,
        overall,
        tuple(reasons[-5:]),
        told(last) if last is not None else None,
        tuple(rows),
        *fresh,
        next_of(workspace, pipeline, agenda) if agenda is not None else None,
    )


def _left_to_backfill(pipeline: Pipeline, agenda: Agenda, rows: Sequence[tuple[str, PartitionHealth]]) -> str:
    """The windows that no tick will make due any more and that are missing still; "" for none."""
    if not agenda.missed or pipeline.time_dimension is None:
        return ""
    place: dict[str, int] = {}
    missing: dict[str, int] = {}
    for key, health in rows:
        label = time_label(pipeline.partitions, key)
        at = place.setdefault(label, len(place))
        if health is PartitionHealth.MISSING and key not in agenda.pending:
            missing[label] = at
    left: dict[str, None] = {}
    since = ""
    for given_up in agenda.missed:
        # A label that is none any more lies before a `start` or after an `end` that was moved.
        first, last = place.get(given_up.first, 0), place.get(given_up.last, len(place))
        found = [label for label, at in missing.items() if first <= at <= last]
        left.update(dict.fromkeys(found))
        since = given_up.at if found else since
    if not left:
        return ""
    labels = sorted(left, key=place.__getitem__)
    named = labels[0] if len(labels) == 1 else f"{labels[0]} to {labels[-1]}"
    return f"left to backfill since {since[:16]}Z: {len(labels)} ({named})"


def _overall(
    pipeline: Pipeline, agenda: Agenda | None, now: datetime, seen: set[PartitionHealth], *, ran: bool
) -> tuple[Health, str]:
    """One word for a pipeline, and why if its partitions do not say it."""
    if agenda is not None and agenda.paused is not None:
        return Health.PAUSED, "paused" + (f": {agenda.paused}" if agenda.paused else "")
    late = _late(pipeline, agenda, now) if agenda is not None else ""
    if PartitionHealth.FAILED in seen:
        return Health.FAILING, late
    if late:
        return Health.LATE, late
    if PartitionHealth.STALE in seen:
        return Health.STALE, ""
    return (Health.OK if ran or PartitionHealth.DONE in seen else Health.NEVER_RAN), ""


def _late(pipeline: Pipeline, agenda: Agenda, now: datetime) -> str:
    """Why a pipeline is late: something was due longer ago than its `deadline` and is not done, or nobody ticked; "" if it is not."""
    if pipeline.deadline is None:
        return ""
    for key, pending in agenda.pending.items():
        if (now - parse_iso(pending.due_at)).total_seconds() > pipeline.deadline and pending.why == "schedule":
            how = {"": "not tried", NOT_READY: "its data is awaited"}.get(pending.ended, pending.ended)
            return f"{key}: ".lstrip(": ") + f"due since {pending.due_at[:16]}Z, and not done ({how})"
    if agenda.seen and pipeline.schedule is not None:
        first = next(Ticks(pipeline.schedule).between(parse_iso(agenda.tick), now), None)
        if first is not None and (now - first).total_seconds() > pipeline.deadline:
            return f"the tick of {first.isoformat()[:16]}Z was not seen: is `mlorch tick` called?"
    return ""


def _row(
    pipeline: Pipeline,
    health: Health,
    reasons: tuple[str, ...],
    last: RunRecord | None,
    partitions: tuple[tuple[str, PartitionHealth], ...],
    fresh_at: str = "",
    fresh_key: str = "",
    coming: ComingTick | None = None,
) -> PipelineStatus:
    owner = pipeline.owner.email or pipeline.owner.name
    return PipelineStatus(
        pipeline.name,
        pipeline.kind.value,
        owner,
        health,
        reasons,
        last,
        partitions,
        bool(pipeline.partitions),
        fresh_at,
        fresh_key,
        pipeline.file,
        coming,
    )
