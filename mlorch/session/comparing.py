"""What differs between two runs: their specs and parameters, what their steps depended on, what came of them."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

from mlorch.engine.fingerprint import difference
from mlorch.engine.fold import fold
from mlorch.model import events as ev
from mlorch.model.comparison import Comparison, StepCompared
from mlorch.model.plan import Difference
from mlorch.model.states import StepState
from mlorch.world.journal import FileJournal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlorch.model.history import RunRecord, StepRecord
    from mlorch.model.manifest import Manifest
    from mlorch.session.history import History
    from mlorch.session.workspace import Workspace

_HAS_RESULT = (StepState.SUCCEEDED, StepState.CACHED)


def compare(workspace: Workspace, history: History, old: RunRecord, new: RunRecord) -> Comparison:
    """Two runs side by side; they may be of different pipelines."""
    before, after = _manifests(workspace, old), _manifests(workspace, new)
    steps = []
    for step in dict.fromkeys((*old.steps, *new.steps)):
        one, two = old.steps.get(step), new.steps.get(step)
        facts = difference(before[step], after[step]) if step in before and step in after else ()
        differs = (*(change for _, change in facts), *_results(one, two))
        steps.append(StepCompared(step, one, two, differs))
    return Comparison(old, new, tuple(_heads(old, new)), tuple(steps), tuple(_specs(history, old, new)))


def _manifests(workspace: Workspace, run: RunRecord) -> dict[str, Manifest]:
    """What the results of a run's steps depended on, as the journal had it when the run ended."""
    until: list[ev.Event] = []
    for event in FileJournal(workspace.layout.journal(run.pipeline, run.partition)).read():
        until.append(event)
        if isinstance(event, (ev.RunEnded, ev.RunLost)) and event.run_id == run.run_id:
            break
    checkpoints = fold(run.pipeline, run.partition, until).checkpoints
    good = (step.id for step in run.steps.values() if step.state in _HAS_RESULT)
    return {step: checkpoints[step].manifest for step in good if step in checkpoints}


def _heads(old: RunRecord, new: RunRecord) -> Iterator[Difference]:
    for what in ("pipeline", "partition", "state", "profile", "git_commit", "git_dirty"):
        yield from _one(what.replace("_", " "), getattr(old, what), getattr(new, what))
    yield from _one("selection", " ".join(old.selection), " ".join(new.selection))
    yield from _each("parameter ", dict(old.params), dict(new.params))


def _results(old: StepRecord | None, new: StepRecord | None) -> Iterator[Difference]:
    if old is None or new is None:
        return
    for kind in ("values", "metrics"):
        yield from _each("", _flat(kind, getattr(old, kind)), _flat(kind, getattr(new, kind)))


def _flat(name: str, text: str) -> dict[str, Any]:
    """Nested numbers by their dotted names, as expressions call them."""
    found: dict[str, Any] = {}
    left: list[tuple[str, Any]] = [(name, json.loads(text))]
    while left:
        path, value = left.pop()
        if isinstance(value, dict):
            left.extend((f"{path}.{key}", inner) for key, inner in value.items())
        else:
            found[path] = value
    return found


def _each(prefix: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    for name in sorted(old.keys() | new.keys()):
        yield from _one(f"{prefix}{name}", old.get(name, ""), new.get(name, ""))


def _one(what: str, old: Any, new: Any) -> Iterator[Difference]:
    if old != new or type(old) is not type(new):
        yield Difference(what, _text(old), _text(new))


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _specs(history: History, old: RunRecord, new: RunRecord) -> Iterator[str]:
    if old.spec_digest == new.spec_digest:
        return
    before, after = history.spec(old), history.spec(new)
    if before is None or after is None:
        return
    texts = [data.decode("utf-8", "replace").splitlines() for _, data in (before, after)]
    yield from difflib.unified_diff(texts[0], texts[1], old.run_id, new.run_id, lineterm="")
