"""State as plain rows: dictionaries with the field names of docs/cli.md. What is absent is None; times are ISO 8601 UTC."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

from mlorch.views.text import seconds_between

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlorch.model.coming import ComingTick
    from mlorch.model.diagnostics import Diagnostic
    from mlorch.model.history import RunRecord, StepRecord
    from mlorch.model.manifest import Artifact
    from mlorch.model.plan import Plan, StepPlan
    from mlorch.model.status import Awaited, BackfillRow, Graph, PipelineStatus

Row: TypeAlias = dict[str, Any]
STEP_STATES = (
    "succeeded",
    "cached",
    "skipped",
    "warning",
    "failed",
    "timed_out",
    "cancelled",
    "blocked",
    "not_ready",
    "lost",
    "running",
    "pending",
)
PARTITION_STATES = ("done", "missing", "failed", "stale", "running")


def problem_row(problem: Diagnostic) -> Row:
    """One diagnostic."""
    place = problem.place
    return {
        "code": problem.code,
        "severity": problem.severity.value,
        "file": place.file if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
        "message": problem.message,
        "hint": problem.hint or None,
    }


def run_row(run: RunRecord, log_root: str = "") -> Row:
    """One run with its steps. `log_root` is put before the logs' paths (the state folder)."""
    return {
        "run_id": run.run_id or None,
        "pipeline": run.pipeline,
        "partition": run.partition or None,
        "state": run.state.value,
        "reason": run.reason or None,
        "started_at": run.started_at or None,
        "finished_at": run.finished_at or None,
        "duration_s": _rounded(seconds_between(run.started_at, run.finished_at)),
        "steps": [step_row(step, log_root) for step in run.steps.values()],
    }


def step_row(step: StepRecord, log_root: str = "") -> Row:
    """One step of a run; numbers are of all its attempts together, exit status and log of the last one."""
    attempts = step.attempts
    last = step.last
    started = attempts[0].started_at if attempts else ""
    finished = last.finished_at if last and step.state.ended else ""
    took = seconds_between(started, finished) if len(attempts) > 1 else last.duration_s if last and finished else None
    return {
        "id": step.id,
        "state": step.state.value,
        "reason": step.reason or None,
        "detail": step.detail or None,
        "attempts": last.number if last else 0,
        "exit_code": last.exit_code if last else None,
        "signal": (last.signal or None) if last else None,
        "started_at": started or None,
        "finished_at": finished or None,
        "duration_s": _rounded(took),
        "peak_rss_bytes": max((attempt.peak_rss_bytes for attempt in attempts), default=0) or None,
        "cpu_s": _rounded(sum(attempt.cpu_s for attempt in attempts)) if attempts else None,
        "log": _join(log_root, last.log) if last and last.log else None,
        "outputs": _outputs(step.outputs),
        "values": _json(step.values),
        "metrics": _json(step.metrics),
    }


def plan_row(plan: Plan) -> Row:
    """What `run` would do with one partition."""
    return {
        "pipeline": plan.pipeline,
        "partition": plan.partition or None,
        "order": list(plan.order),
        "steps": [planned_step_row(step) for step in plan.steps],
    }


def planned_step_row(step: StepPlan) -> Row:
    """One step of a plan."""
    return {
        "id": step.id,
        "action": step.action.value,
        "reason": step.reason.value,
        "detail": step.detail or None,
        "needs": list(step.needs),
        "command": step.command,
        "resources": {},
        "pool": dict(step.pool),
        "outputs": dict(step.outputs),
        "in_place": list(step.in_place),
        "expected_s": _rounded(step.expected_s),
    }


def why_row(step: StepPlan, awaited: Awaited) -> Row:
    """What is known of one step, what differs from its last success, and what makes its pipeline due."""
    return {
        "step": step.id,
        "verdict": step.verdict.value,
        "reason": step.reason.value,
        "detail": step.detail or None,
        "differs": [{"what": d.what, "old": d.old or None, "new": d.new or None} for d in step.differs],
        **awaited_row(awaited),
    }


def awaited_row(awaited: Awaited) -> Row:
    """What triggers wait for, and what is due."""
    return {
        "triggers": [
            {
                "kind": trigger.kind,
                "watches": trigger.watches,
                "counted": trigger.counted,
                "new": list(trigger.new),
                "awaited": [{"what": what, "reason": reason} for what, reason in trigger.awaited],
                "said": trigger.said or None,
            }
            for trigger in awaited.triggers
        ],
        "due": [due._asdict() for due in awaited.due],
    }


def backfill_row(row: BackfillRow) -> Row:
    """One partition of a backfill."""
    return {
        "key": row.key,
        "pipeline": row.pipeline or None,
        "action": row.action,
        "state": row.state or None,
        "reason": row.reason or None,
        "run_id": row.run_id,
    }


def backfill_counts(rows: Iterable[BackfillRow]) -> dict[str, int]:
    """How many partitions are in each state, in all under `total`."""
    counts: dict[str, int] = {"total": 0}
    for row in rows:
        counts["total"] += 1
        counts[row.state] = counts.get(row.state, 0) + 1
    return counts


def partition_counts(status: PipelineStatus) -> dict[str, int]:
    """Closed windows by where they stand; the five exclude each other and add up to `total`."""
    from mlorch.model.status import PartitionHealth  # most commands have no use for it

    found = [where for _, where in status.partitions]
    return {"total": len(found)} | {state.value: found.count(state) for state in PartitionHealth}


def status_row(status: PipelineStatus, log_root: str = "") -> Row:
    """One pipeline. `next` is its next tick (null without a schedule), `model` is null."""
    last = run_row(status.last_run, log_root) if status.last_run else None
    if last:
        del last["steps"]
    return {
        "name": status.name,
        "kind": status.kind,
        "owner": status.owner or None,
        "health": status.health.value,
        "reasons": list(status.reasons),
        "last_run": last,
        "partitions": partition_counts(status),
        "next": coming_row(status.coming) if status.coming else None,
        "model": None,
        "fresh_at": status.fresh_at or None,
        "fresh_key": status.fresh_key or None,
        **awaited_row(status.awaited),
    }


def coming_row(tick: ComingTick) -> Row:
    """A tick that comes. Of very many partitions only some are told, `count` says how many there are."""
    return {
        "pipeline": tick.pipeline,
        "at": tick.at,
        "at_local": tick.at_local,
        "timezone": tick.timezone,
        "partitions": list(tick.partitions),
        "count": tick.count,
        "note": tick.note or None,
    }


def graph_row(graph: Graph) -> Row:
    """A graph: nodes in an order in which they can run, and what flows along each edge."""
    return {
        "name": graph.name or None,
        "kind": graph.kind or None,
        "order": [node.id for node in graph.nodes],
        "nodes": [
            {
                "id": node.id,
                "needs": [need for need, _ in node.needs],
                "note": node.note or None,
                "inputs": list(node.inputs),
                "outputs": list(node.outputs),
            }
            for node in graph.nodes
        ],
        "edges": [
            {"from": need, "to": node.id, "what": what or None} for node in graph.nodes for need, what in node.needs
        ],
    }


def state_counts(rows: Iterable[Row]) -> list[tuple[str, int]]:
    """How many step rows are in each state, in a fixed order, only what there is."""
    counts = dict.fromkeys(STEP_STATES, 0)
    for row in rows:
        counts[row["state"]] += 1
    return [(state, number) for state, number in counts.items() if number]


def _outputs(artifacts: Iterable[Artifact]) -> dict[str, str]:
    return {artifact.name or artifact.path.rstrip("/").rsplit("/", 1)[-1]: artifact.path for artifact in artifacts}


def _json(text: str) -> dict[str, Any]:
    if text in ("", "{}"):
        return {}
    found = json.loads(text, parse_constant=_no_number, parse_float=_finite)
    return found if isinstance(found, dict) else {}


def _no_number(_: str) -> None:
    """NaN and Infinity, which Python writes and reads but JSON does not know."""


def _finite(text: str) -> float | None:
    number = float(text)
    return number if abs(number) != float("inf") else None


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


def _join(root: str, path: str) -> str:
    return path if not root or path.startswith("/") else f"{root}/{path}"
