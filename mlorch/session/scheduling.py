"""When pipelines are due next, what a span of ticks would run, and what a person changes about it."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

from mlorch.engine import ticks as due
from mlorch.engine.agenda import Agenda, apply
from mlorch.lang.cron import oddity
from mlorch.lang.keys import keys_of
from mlorch.lang.schedules import Ticks
from mlorch.lang.zones import zone
from mlorch.model.coming import AgendaNews, ComingTick
from mlorch.model.errors import NotReadyError, SpecError, UsageError
from mlorch.model.events import ScheduleNoted
from mlorch.model.times import iso_utc, parse_iso
from mlorch.session.selection import partition_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from mlorch.model.spec import Pipeline
    from mlorch.session.workspace import Workspace

_SHOWN = 6
_SIMULATED_AT_MOST = 200_000


def coming(workspace: Workspace, pipelines: Sequence[Pipeline], count: int) -> list[ComingTick]:
    """The next `count` ticks of each scheduled pipeline, by time. A paused one is among them, with a note."""
    agendas, now = workspace.agendas, workspace.clock.now()
    found = [
        tick
        for pipeline in pipelines
        if pipeline.schedule is not None
        for tick in _coming(workspace, pipeline, agendas.of(pipeline.name), now, count)
    ]
    return sorted(found, key=lambda tick: (tick.at, tick.pipeline))


def next_of(workspace: Workspace, pipeline: Pipeline, agenda: Agenda) -> ComingTick | None:
    """The next tick of one pipeline; None without a schedule, or after its end."""
    if pipeline.schedule is None:
        return None
    return next(iter(_coming(workspace, pipeline, agenda, workspace.clock.now(), 1)), None)


def _coming(
    workspace: Workspace, pipeline: Pipeline, agenda: Agenda, now: datetime, count: int
) -> Iterator[ComingTick]:
    assert pipeline.schedule is not None  # noqa: S101 - the caller looked
    ticks = Ticks(pipeline.schedule)
    before = ticks.last(now)
    if agenda.covered and parse_iso(agenda.covered) <= now:
        before = parse_iso(agenda.covered)
    at = now
    for _ in range(count):
        tick = ticks.next(at)
        if tick is None:
            return
        times = due.windows_of(pipeline.time_dimension, before, tick)
        note = oddity(ticks.cron, ticks.zone, tick)
        if agenda.paused is not None:
            note = "; ".join(filter(None, (note, "paused" + (f": {agenda.paused}" if agenda.paused else ""))))
        yield _told(workspace, pipeline, tick, times, note)
        before = at = tick


def _told(workspace: Workspace, pipeline: Pipeline, tick: datetime, times: Sequence[str], note: str) -> ComingTick:
    assert pipeline.schedule is not None  # noqa: S101 - the caller looked
    name = pipeline.schedule.timezone
    local = tick.astimezone(zone(name)).isoformat(timespec="seconds")
    try:
        keys = tuple(keys_of(pipeline.partitions, times, lambda dim: workspace.labels(pipeline, dim)))
    except (SpecError, NotReadyError) as error:
        keys, note = (), "; ".join(filter(None, (note, error.message)))
    keys = keys if pipeline.partitions else ()
    shown = keys if len(keys) <= _SHOWN else (*keys[: _SHOWN - 1], keys[-1])
    return ComingTick(pipeline.name, iso_utc(tick), local, name, shown, len(keys), note)


def simulate(
    workspace: Workspace, pipelines: Iterable[Pipeline], span: tuple[str, str], outage: tuple[str, str] | None
) -> list[ComingTick]:
    """What the ticks of a span would make due, if each were seen at its time but for an `outage`; nothing runs.

    Each pipeline is taken as known and up to date at the begin of the span. Raises `UsageError` for times that are none.
    """
    begin, end = (_moment("--simulate", text) for text in span)
    dark = tuple(_moment("--outage", text) for text in outage) if outage else ()
    if end <= begin or (dark and dark[1] <= dark[0]):
        raise UsageError("a span ends after it begins", "mlorch next --simulate 2026-01-01 2027-01-01")
    found = [
        tick
        for pipeline in pipelines
        if pipeline.schedule is not None
        for tick in _simulated(workspace, pipeline, begin, end, dark)
    ]
    return sorted(found, key=lambda tick: (tick.at, tick.pipeline))


def _simulated(
    workspace: Workspace, pipeline: Pipeline, begin: datetime, end: datetime, dark: tuple[datetime, ...]
) -> Iterator[ComingTick]:
    assert pipeline.schedule is not None  # noqa: S101 - the caller looked
    ticks = Ticks(pipeline.schedule)
    after = begin - timedelta(milliseconds=1)
    agenda = Agenda(seen=True, tick=iso_utc(after), covered=iso_utc(ticks.last(after) or after))
    for at in islice(_calls(ticks.between(after, end), dark, end), _SIMULATED_AT_MOST):
        found = due.look(pipeline, agenda, at)
        if found is None:
            continue
        notes = [oddity(ticks.cron, ticks.zone, found.tick)]
        if found.ticks > 1:
            notes.append(f"{found.ticks} ticks came while nobody looked (catchup: {pipeline.schedule.catchup.value})")
        if found.missed:
            notes.append(f"{found.missed[2]} left to backfill: {found.missed[0]} to {found.missed[1]}")
        facts = (("tick", iso_utc(found.tick)), ("covered", found.covered))
        apply(agenda, ScheduleNoted("", iso_utc(at), "ticked", "", facts))
        yield _told(workspace, pipeline, at, found.due, "; ".join(filter(None, notes)))


def _calls(ticks: Iterator[datetime], dark: tuple[datetime, ...], end: datetime) -> Iterator[datetime]:
    """When somebody looks: at each tick, but at none in the dark, and once when it is over."""
    lost = False
    for tick in ticks:
        if dark and dark[0] <= tick < dark[1]:
            lost = True
            continue
        if lost and tick > dark[1]:
            yield dark[1]
        lost = False
        yield tick
    if lost and dark[1] <= end:
        yield dark[1]


def pause(workspace: Workspace, pipeline: Pipeline, reason: str) -> AgendaNews:
    """No ticks from now on. Raises `UsageError` for a pipeline that nothing makes due."""
    if pipeline.schedule is None and not pipeline.triggers:
        raise UsageError(f"{pipeline.name} has neither schedule nor triggers, so there is nothing to pause")
    agendas = workspace.agendas
    with agendas.open(pipeline.name) as book:
        changed = book.agenda.paused is None
        if changed and not book.agenda.seen and pipeline.schedule is not None:
            # One that was never looked at is seen now, so that `resume` can tell what came meanwhile.
            now = workspace.clock.now()
            tick = iso_utc(Ticks(pipeline.schedule).last(now) or now)
            book.note("ticked", tick=tick, covered=tick)
        if changed or reason:
            book.note("paused", reason=reason)
        return AgendaNews(pipeline.name, True, book.agenda.paused or "", changed=changed)


def resume(workspace: Workspace, pipeline: Pipeline, reason: str) -> AgendaNews:
    """Ticks count again; what came meanwhile is for `catchup`, when the next tick call comes."""
    agendas = workspace.agendas
    agenda = agendas.of(pipeline.name)
    changed = agenda.paused is not None
    if changed:
        with agendas.open(pipeline.name) as book:
            book.note("resumed", reason=reason)
            agenda = book.agenda
    found = due.look(pipeline, agenda, workspace.clock.now())
    if found is None:
        return AgendaNews(pipeline.name, False, reason, due=tuple(agenda.pending), changed=changed)
    keys = tuple(agenda.pending)
    if found.due:
        times = () if pipeline.time_dimension is None else found.due
        every = keys_of(pipeline.partitions, times, lambda dim: workspace.labels(pipeline, dim))
        keys = (*keys, *(every if pipeline.partitions else ("",)))
    return AgendaNews(pipeline.name, False, reason, found.ticks, keys, found.missed, changed=changed)


def mark(workspace: Workspace, pipeline: Pipeline, partitions: Sequence[str], state: str, reason: str) -> AgendaNews:
    """Let partitions count as done or missing. Raises `UsageError` and `NotReadyError` for keys as `run` does, and for none."""
    if pipeline.partitions and not partitions:
        raise UsageError(f"which partition of {pipeline.name}?", f"mlorch mark {pipeline.name} -p KEY …")
    keys, _ = partition_keys(workspace, pipeline, partitions, workspace.clock.now())
    with workspace.agendas.open(pipeline.name) as book:
        for key in keys:
            book.note("marked", key, **{"as": state, "reason": reason})
        paused = book.agenda.paused is not None
    return AgendaNews(pipeline.name, paused, reason, marked=keys, state=state)


def _moment(option: str, text: str) -> datetime:
    from mlorch.world.clock import parse_now

    try:
        return parse_now(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None
