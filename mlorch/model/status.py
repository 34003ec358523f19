"""What people ask about pipelines as a whole: their health, their partitions, what flows between them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

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


@dataclass(frozen=True, slots=True)
class PipelineStatus:
    """One row of `mlorch status`.

    `owner` is the address shown. `reasons` say, in words, why `health` is not `ok`. `partitions` are the closed windows in
    order of time with where each stands; a pipeline without partitions has one, with the key "". `fresh_at` is when the
    newest partition that is done was made (ISO 8601 UTC, "" if never), `fresh_key` which one that is. `coming` is its next tick.
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
