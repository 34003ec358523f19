"""What people ask about pipelines as a whole: their health, their partitions, what flows between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mlorch.model.coming import ComingTick
    from mlorch.model.history import RunRecord


class Health(StrEnum):
    """One word for a pipeline."""

    OK = "ok"
    FAILING = "failing"
    LATE = "late"
    STALE = "stale"
    PAUSED = "paused"
    NEVER_RAN = "never_ran"


class PartitionHealth(StrEnum):
    """Where a closed window stands; each partition is in exactly one of these."""

    DONE = "done"
    MISSING = "missing"
    FAILED = "failed"
    STALE = "stale"
    RUNNING = "running"


class TriggerStanding(NamedTuple):
    """What one trigger has seen, and what it waits for.

    `kind` is `data`, `pipeline` or `command`, `watches` the glob, the pipeline's name, or the command with its bound. `counted` is how many
    files or partitions it remembers; `new` are those that the next tick counts, `awaited` those that do not count yet, with the reason.
    `said` is what a command printed last ("" if it was never called).
    """

    kind: str
    watches: str
    counted: int = 0
    new: tuple[str, ...] = ()
    awaited: tuple[tuple[str, str], ...] = ()
    said: str = ""


class DueKey(NamedTuple):
    """A partition that is due and not done: `since` when (ISO 8601 UTC), `by` what (`schedule`, `lookback` or a trigger).

    `state` is how the last try ended: `not_tried`, `running`, `failed` or `not_ready` (its data is awaited).
    """

    key: str
    since: str
    by: str
    state: str


class Awaited(NamedTuple):
    """What is to make a pipeline run, and what is due of it already."""

    triggers: tuple[TriggerStanding, ...] = ()
    due: tuple[DueKey, ...] = ()


@dataclass(frozen=True, slots=True)
class PipelineStatus:
    """One row of `mlorch status`.

    `owner` is the address shown. `reasons` say, in words, why `health` is not `ok`. `partitions` are the closed windows in
    order of time with where each stands; a pipeline without partitions has one, with the key "". `fresh_at` is when the
    newest partition that is done was made (ISO 8601 UTC, "" if never), `fresh_key` which one that is. `coming` is its next tick.
    `awaited` is what its triggers wait for, and what is due.
    """

    name: str
    kind: str
    owner: str
    health: Health
    reasons: tuple[str, ...] = ()
    last_run: RunRecord | None = None
    partitions: tuple[tuple[str, PartitionHealth], ...] = ()
    partitioned: bool = False
    fresh_at: str = ""
    fresh_key: str = ""
    file: str = ""
    coming: ComingTick | None = None
    awaited: Awaited = field(default_factory=Awaited)


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A step, or a pipeline as a whole. `needs` are (id, what flows: outputs or "").

    `note` is a short text beside the name (the command, or the kind).
    """

    id: str
    needs: tuple[tuple[str, str], ...] = ()
    note: str = ""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in an order in which they can run. `name` is the pipeline, "" for the graph of all pipelines."""

    name: str
    nodes: tuple[GraphNode, ...]
    kind: str = ""


@dataclass(frozen=True, slots=True)
class BackfillRow:
    """One partition of a backfill.

    `action` is `run`, `reuse` or `skip` (not asked for by `--only`); `state` a run state once it ran, before that a
    `PartitionHealth`; `reason` a stable word or text; `expected_s` seconds, None without history.
    """

    key: str
    action: str
    state: str
    reason: str = ""
    run_id: str | None = None
    pipeline: str = ""
    expected_s: float | None = None
