"""What a pipeline's triggers have counted, what is there for the next tick, and what is awaited. Looking changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.engine.agenda import DONE
from mlorch.model.status import Awaited, DueKey, TriggerStanding
from mlorch.session.agendas import works
from mlorch.session.triggers import Triggers, name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlorch.model.spec import Pipeline, Trigger
    from mlorch.session.triggers import Sighting
    from mlorch.session.workspace import Workspace


def awaited_by(workspace: Workspace, pipeline: Pipeline) -> Awaited:
    """Nothing for a pipeline without schedule and triggers. A command is not called: what it said last counts."""
    if pipeline.schedule is None and not pipeline.triggers:
        return Awaited()
    agenda = workspace.agendas.of(pipeline.name)
    looker = Triggers(workspace)
    standings = tuple(
        _standing(workspace, looker, pipeline, t, agenda.cursors.get(name_of(t))) for t in pipeline.triggers
    )
    due = tuple(
        DueKey(key, pending.due_at, pending.why, "running" if works(pending) else pending.ended or "not_tried")
        for key, pending in agenda.pending.items()
        if not ((mark := workspace.mark(pipeline.name, key)) and mark.state == DONE)
    )
    return Awaited(standings, due)


def _standing(
    workspace: Workspace, looker: Triggers, pipeline: Pipeline, trigger: Trigger, cursor: Mapping[str, object] | None
) -> TriggerStanding:
    known = {name: str(stamp) for name, stamp in (cursor or {}).items()}
    if trigger.glob:
        return _sightings("data", trigger.glob, known, looker.files(trigger, known))
    if trigger.pipeline:
        return _sightings("pipeline", trigger.pipeline, known, looker.partitions(pipeline, trigger, known))
    run = trigger.run if isinstance(trigger.run, str) else " ".join(trigger.run)
    said = (workspace.answers.ask(f"{pipeline.name}, its trigger", trigger.run) or "").strip().rpartition("\n")[2]
    return TriggerStanding("command", f"{run} ({_bound(trigger)})", said=said)


def _sightings(kind: str, watches: str, known: Mapping[str, str], found: Iterable[Sighting]) -> TriggerStanding:
    new, waits = [], []
    for sighting in found:
        if sighting.waits:
            waits.append((sighting.name, sighting.waits))
        elif sighting.is_new(known.get(sighting.name, "")):
            new.append(sighting.name)
    return TriggerStanding(kind, watches, len(known), tuple(new), tuple(waits))


def _bound(trigger: Trigger) -> str:
    if trigger.changed:
        return "due when it changes"
    return f"due above {trigger.above:g}" if trigger.above is not None else f"due below {trigger.below:g}"
