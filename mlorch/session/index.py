"""Decisions about partitions that need not be taken again: nothing of what was seen for them has changed.

Without the index each answer is the same, only later (docs/decisions/0017). So nothing is kept of what may change without a trace: a run that
has not ended, what a person said, a spec that does not evaluate, a file that was just written.
"""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, cast

from mlorch import __version__
from mlorch.engine.plan import durations_of
from mlorch.lang.expressions import has_expression, references
from mlorch.lang.keys import value_dimensions
from mlorch.lang.references import step_names
from mlorch.lang.zones import UTC_NAMES
from mlorch.model.errors import MlorchError
from mlorch.model.status import PartitionHealth
from mlorch.model.times import parse_iso
from mlorch.world.clock import zone_stamp
from mlorch.world.index import IndexFile
from mlorch.world.layout import encode_name
from mlorch.world.observed import Observation, ObservedFiles, Verifier, listed, signed
from mlorch.world.project import PROJECT_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mlorch.engine.context import Context
    from mlorch.model.history import PartitionState
    from mlorch.model.ports import Files
    from mlorch.model.spec import Pipeline, ValueDimension
    from mlorch.session.jobs import Jobs, Selected
    from mlorch.session.workspace import Workspace

_EARLY_S = 0.001
"""Sums of times are rounded: what ends at a time is believed until so long before it."""


class Standing(NamedTuple):
    """Where a partition stands, and what else is told of it.

    `reason` is a stable word and text if it is not done. `started_at` is when its newest run began, `fresh_at` when the newest of its results was made
    (ISO 8601 UTC, "" for never); `expected_s` what a run of it takes by its history, in seconds, None without one. `reused`: of how many
    steps the result stands, if it is done.
    """

    health: PartitionHealth
    reason: str
    started_at: str = ""
    fresh_at: str = ""
    expected_s: float | None = None
    reused: int = 0


def with_history(health: PartitionHealth, reason: str, reused: int, state: PartitionState) -> Standing:
    """The verdict on a partition with what its journal tells besides."""
    durations = durations_of(state)
    return Standing(
        health,
        reason,
        state.last_run.started_at if state.last_run is not None else "",
        max((checkpoint.at for checkpoint in state.checkpoints.values()), default=""),
        sum(durations.values()) if durations else None,
        reused,
    )


class Index:
    """What is known of the partitions of one pipeline with certain parameters.

    `moving`: partitions are being made while decisions are taken, so how many there are is no fact to keep.
    """

    def __init__(self, workspace: Workspace, jobs: Jobs, selected: Selected) -> None:
        self.selected = selected
        self.moving = False
        self._workspace = workspace
        self._pipeline = selected.pipeline
        self._layout = workspace.layout
        params = sha256(repr(sorted(selected.params.items())).encode("utf-8", "surrogateescape")).hexdigest()
        path = f"{workspace.layout.cache}/index/{encode_name(selected.pipeline.name)}/{params[:16]}"
        grounds = _Grounds(workspace, jobs, selected)
        self._file = IndexFile(path, grounds.as_written, grounds.as_meant, len(Standing._fields))
        self._observed = ObservedFiles(workspace.files)
        self._catalog = _ObservedCatalog(workspace, self._observed)
        self._verifier = Verifier(workspace.files, workspace.root)
        self._ages = [
            item.max_age for step in selected.pipeline.steps for item in step.inputs if item.max_age is not None
        ]
        self._ttls = {step.id: step.cache.ttl for step in selected.pipeline.steps if step.cache.ttl is not None}
        self._now = workspace.clock.now().timestamp()

    def find(self, keys: Sequence[str]) -> Iterator[Standing | None]:
        """Where each partition stands; None where that cannot be said without a decision."""
        journal_of = self._layout.journals(self._pipeline.name)
        for facts in self._file.believed(keys, journal_of, self._now, self._verifier, self._holds):
            yield _standing(facts) if facts is not None else None

    def watch(self, context: Context) -> None:
        """From here on what is asked for a decision is noted."""
        self._observed.begin()
        # A decision only looks.
        context.files = cast("Files", self._observed)
        context.catalog = self._catalog

    def keep(self, key: str, standing: Standing, state: PartitionState) -> None:
        """Remember a decision that was taken under `watch`, if all that it rests on leaves a trace when it changes."""
        last, seen = state.last_run, self._observed.seen
        journal = self._workspace.stamp(self._pipeline.name, key)
        until = self._until(state)
        if (
            not self._observed.sure
            or (self.moving and any(kind == "partitions" for kind, _ in seen))
            or not state.events
            or not journal
            or (last is not None and not (last.finished_at and last.started_at))
            or (until and standing.health is not PartitionHealth.DONE)
        ):
            self._file.forget(key)
            return
        files = self._verifier.plain_files(seen)
        shared = [Observation(kind, what, answer) for (kind, what), answer in seen.items()]
        expected = "" if standing.expected_s is None else repr(standing.expected_s)
        known = (standing.reason, standing.started_at, standing.fresh_at, expected, str(standing.reused))
        self._file.keep(key, journal, until, shared, (standing.health.value, *known), files)

    def forget(self, key: str) -> None:
        """What was said of a partition cannot be kept."""
        self._file.forget(key)

    def save(self) -> None:
        """Keep it for later commands."""
        self._file.save()

    def _until(self, state: PartitionState) -> str:
        """Until when (seconds since the epoch) nothing gets too old; "" if the time does not matter."""
        if not self._ttls and not self._ages:
            return ""
        ends = [
            parse_iso(state.checkpoints[step].at).timestamp() + ttl
            for step, ttl in self._ttls.items()
            if step in state.checkpoints
        ]
        if self._ages:
            ends += [
                float(answer) + min(self._ages)
                for (kind, _), answer in self._observed.seen.items()
                if kind == "modified" and answer != "None"
            ]
        return repr(min(ends, default=float("inf")) - _EARLY_S)

    def _holds(self, seen: Observation) -> bool:
        return self._catalog.holds(seen) if seen.kind in _CATALOG else self._verifier.holds(seen)


_HEALTH = {health.value: health for health in PartitionHealth}


def _standing(facts: Sequence[str]) -> Standing | None:
    try:
        health, reason, started_at, fresh_at, expected, reused = facts
        takes = float(expected) if expected else None
        return Standing(_HEALTH[health], reason, started_at, fresh_at, takes, int(reused))
    except (ValueError, KeyError):
        return None


_CATALOG = frozenset({"pipeline", "journal", "partitions", "labels"})


class _ObservedCatalog:
    """The other pipelines, as far as a decision looks at them: what it asks is noted."""

    def __init__(self, workspace: Workspace, observed: ObservedFiles) -> None:
        self._workspace = workspace
        self._observed = observed
        self._prints: dict[str, str] = {}
        self._keys: dict[str, str] = {}

    def pipeline(self, name: str) -> Pipeline | None:
        """As `Catalog.pipeline`."""
        found = self._workspace.pipeline(name)
        self._observed.note("pipeline", name, self._print(name))
        return found

    def state(self, pipeline: str, partition: str) -> PartitionState:
        """As `Catalog.state`."""
        found = self._workspace.state(pipeline, partition)
        journal = self._workspace.stamp(pipeline, partition)
        self._observed.sure = self._observed.sure and bool(journal)
        self._observed.note("journal", f"{pipeline}/{partition}", journal)
        return found

    def partitions(self, pipeline: str) -> tuple[str, ...]:
        """As `Catalog.partitions`."""
        self._observed.note("partitions", pipeline, self._listed(pipeline))
        return self._workspace.partitions(pipeline)

    def labels(self, pipeline: Pipeline, dimension: ValueDimension) -> tuple[str, ...]:
        """As `Catalog.labels`."""
        found = self._workspace.labels(pipeline, dimension)
        self._observed.note("labels", f"{pipeline.name}/{dimension.name}", listed(found))
        return found

    def holds(self, seen: Observation) -> bool:
        """Whether the same question gets the same answer now."""
        kind, what, answer = seen
        workspace = self._workspace
        name, _, rest = what.partition("/")
        try:
            match kind:
                case "pipeline":
                    return self._print(name) == answer
                case "journal":
                    return signed(workspace.layout.journal(name, rest)) == answer
                case "partitions":
                    return self._listed(name) == answer
                case _:
                    pipeline = workspace.named(name)
                    dimension = next(dim for dim in value_dimensions(pipeline.partitions) if dim.name == rest)
                    return listed(workspace.labels(pipeline, dimension)) == answer
        except (MlorchError, StopIteration):
            return False

    def _print(self, name: str) -> str:
        found = self._prints.get(name)
        if found is None:
            pipeline = self._workspace.pipeline(name)
            found = self._prints[name] = print_of(pipeline) if pipeline is not None else ""
        return found

    def _listed(self, name: str) -> str:
        found = self._keys.get(name)
        if found is None:
            found = self._keys[name] = listed(self._workspace.partitions(name))
        return found


def print_of(pipeline: Pipeline) -> str:
    """What stands for a spec and its time zone, as another pipeline sees them."""
    return _print((_meaning(pipeline), _clock(pipeline)))


class _Grounds:
    """What stands for all that decides about every partition: this mlorch, the spec, its parameters, the project, git if it is asked."""

    def __init__(self, workspace: Workspace, jobs: Jobs, selected: Selected) -> None:
        project, self._pipeline = workspace.project, selected.pipeline
        places = [os.path.realpath(place) for place in (workspace.root, *(folder for _, folder in project.roots))]
        self._facts: tuple[object, ...] = (
            __version__,
            sorted(selected.params.items()),
            workspace.root,
            places,
            _git_facts(workspace, jobs.git, self._pipeline),
            _clock(self._pipeline),
        )
        self._project = project
        self.as_written = _print((*self._facts, self._pipeline.digest, project))

    def as_meant(self) -> str:
        """The same whatever comments say, and however it is laid out; it takes a moment for very many steps."""
        return _print((*self._facts, _meaning(self._pipeline), self._project.env, self._project.roots))


def _print(facts: tuple[object, ...]) -> str:
    return sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()


def _meaning(pipeline: Pipeline) -> str:
    """What stands for all that a spec says, but not where it says it."""
    found = sha256(repr(pipeline._replace(digest="", steps=())).encode("utf-8", "surrogateescape"))
    for step in pipeline.steps:  # one by one: of very many the text would be large
        found.update(repr(step._replace(place=None)).encode("utf-8", "surrogateescape"))
    return found.hexdigest()


def _clock(pipeline: Pipeline) -> str:
    """What stands for the rules of its time zone, which are data as well."""
    dimension = pipeline.time_dimension
    return zone_stamp(dimension.timezone) if dimension is not None and dimension.timezone not in UTC_NAMES else ""


def _git_facts(workspace: Workspace, git: Mapping[str, object], pipeline: Pipeline) -> tuple[object, ...]:
    written = workspace.texts.get(pipeline.file, b"git") + workspace.texts.get(PROJECT_FILE, b"")
    if b"git" not in written and b"\\" not in written:
        return ()  # most never name it, and then very many steps need not be gone through
    texts = [text for _, text in (*workspace.project.env, *pipeline.env) if has_expression(text)]
    names = (name for found in (*map(references, texts), *map(step_names, pipeline.steps)) for name in found)
    return (git.get("commit"), git.get("dirty")) if any(name[0] == "git" for name in names) else ()
