"""Lines for pipes, files and logs: no colour, nothing cut, one thing a line. Made of the rows of `rows`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.views.awaited import awaited_lines
from mlorch.views.rows import PARTITION_STATES, Row, awaited_row, partition_counts, state_counts
from mlorch.views.text import (
    ago,
    clock,
    count,
    duration,
    name_of,
    one_line,
    size,
    step_text,
    tally,
    visible,
    why,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from mlorch.model.status import BackfillRow, PipelineStatus

_REASONS = 5


def columns(rows: Sequence[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    """Cells in columns, two spaces between; the columns numbered in `right` are aligned to the right."""
    if not rows:
        return []
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    to_right = set(right)
    return [
        "  ".join(
            cell.rjust(width) if index in to_right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def step_line(step: Row, prefix: str = "") -> str:
    """What is said when a step ends: `name  succeeded  1.2s`."""
    parts = [prefix + visible(step["id"]), words(step["state"])]
    if step["duration_s"] is not None:
        parts.append(duration(step["duration_s"]))
    if step["attempts"] > 1:
        parts.append(count(step["attempts"], "attempt"))
    if step["state"] not in ("succeeded", "running"):
        parts.append(step_text(step))
    return "  ".join(part for part in parts if part)


def run_line(run: Row) -> str:
    """One run in one line: name, state, its steps by state, how long it took."""
    name = name_of(run["pipeline"], run["partition"] or "")
    if run["run_id"] is None and run["state"] == "succeeded":
        return f"{name}  nothing to do  {count(len(run['steps']), 'step')}: {tally(state_counts(run['steps']))}"
    parts = [name, words(run["state"])]
    if run["steps"]:
        parts.append(f"{count(len(run['steps']), 'step')}: {tally(state_counts(run['steps']))}")
    if run["duration_s"] is not None:
        parts.append(duration(run["duration_s"]))
    if run["reason"] and run["state"] != "succeeded":
        parts.append(why("", run["reason"]))
    if run["run_id"] is not None:
        parts.append(f"run {run['run_id']}")
    return "  ".join(parts)


def plan_lines(plan: Row) -> list[str]:
    """Step, action, reason, command, expected time; then a line that adds up."""
    name = name_of(plan["pipeline"], plan["partition"] or "")
    cells = [("step", "action", "reason", "expected", "command")]
    for step in plan["steps"]:
        reason = why(step["reason"], step["detail"] or "")
        if step["in_place"]:
            reason += f" (writes in place: {', '.join(step['in_place'])})"
        if step["pool"] and step["action"] != "reuse":
            reason += f" ({pool_text(step['pool'])})"
        cells.append(
            (
                visible(step["id"]),
                step["action"],
                reason,
                duration(step["expected_s"]) if step["action"] != "reuse" else "",
                one_line(step["command"]),
            )
        )
    return [name, *(f"  {line}" for line in columns(cells, right=(3,))), f"  {plan_total(plan)}"]


def pool_text(pool: dict[str, int]) -> str:
    """`pool gpu`, `pool gpu, warehouse: 2`."""
    return "pool " + ", ".join(name + (f": {slots}" if slots > 1 else "") for name, slots in pool.items())


_STOPPED = frozenset({"input_missing", "upstream_failed", "unsafe"})
"""Why a step is skipped that is not as it should be."""


def plan_total(plan: Row) -> str:
    """`2 to run, 3 to reuse`, with the time expected when history knows it of all that runs."""
    counts = dict.fromkeys(("run", "reuse", "skip", "unknown"), 0)
    for step in plan["steps"]:
        counts[step["action"]] += 1
    if not counts["run"] and not counts["unknown"]:
        stopped = any(step["action"] == "skip" and step["reason"] in _STOPPED for step in plan["steps"])
        return f"nothing {'can run' if stopped else 'to do'}: {count(counts['reuse'], 'step')} reused" + (
            f", {counts['skip']:,} skipped" if counts["skip"] else ""
        )
    text = f"{counts['run']:,} to run, {counts['reuse']:,} to reuse"
    if counts["skip"]:
        text += f", {counts['skip']:,} skipped"
    if counts["unknown"]:
        text += f", {counts['unknown']:,} depend on what runs before"
    expected = [step["expected_s"] for step in plan["steps"] if step["action"] in ("run", "unknown")]
    if all(seconds is not None for seconds in expected):
        text += f", about {duration(sum(expected))} of work"
    return text


def counts_text(counts: dict[str, int]) -> str:
    """`19 done, 1 missing, 1 failed`."""
    return tally((state, counts[state]) for state in PARTITION_STATES) or "none yet"


def status_lines(pipelines: Sequence[PipelineStatus], now: datetime) -> list[str]:
    """One line a pipeline, and below it why its health is what it is."""
    coming = ["next"] if any(pipeline.coming for pipeline in pipelines) else []
    cells = [("pipeline", "kind", "health", "last run", "partitions", "fresh", *coming, "owner")]
    for pipeline in pipelines:
        last = pipeline.last_run
        ran = f"{words(last.state.value)} {ago(last.finished_at or last.started_at, now)}" if last else "never"
        counts = partition_counts(pipeline)
        windows = f"{counts_text(counts)} (of {counts['total']:,})" if pipeline.partitioned else counts_text(counts)
        cells.append(
            (
                pipeline.name,
                pipeline.kind,
                words(pipeline.health.value),
                ran,
                windows,
                fresh_text(pipeline, now),
                *([next_text(pipeline)] if coming else []),
                visible(pipeline.owner),
            )
        )
    lines = columns(cells)
    for pipeline in pipelines:
        lines += [f"{pipeline.name}: {reason}" for reason in shown_reasons(pipeline)]
        lines += [f"{pipeline.name}: {line}" for line in awaited_lines(awaited_row(pipeline.awaited))]
    return lines


def shown_reasons(pipeline: PipelineStatus) -> list[str]:
    """Why its health is what it is: the first few, and how many more there are."""
    reasons = [one_line(reason) for reason in pipeline.reasons]
    more = len(reasons) - _REASONS
    return [*reasons[:_REASONS], f"… and {more:,} more"] if more > 1 else reasons


def fresh_text(pipeline: PipelineStatus, now: datetime) -> str:
    """Which partition is the newest that is done, and when it was made."""
    return "  ".join(part for part in (visible(pipeline.fresh_key), ago(pipeline.fresh_at, now)) if part) or "-"


def next_text(pipeline: PipelineStatus) -> str:
    """When its next tick comes, by the clock of its schedule."""
    tick = pipeline.coming
    return f"{tick.at_local[:16].replace('T', ' ')} {tick.at_local[19:]}" if tick else "-"


def runs_lines(runs: Sequence[Row]) -> list[str]:
    """History: one line a run."""
    cells = [("run", "pipeline", "partition", "state", "started (UTC)", "took", "steps", "reason")]
    cells += [
        (
            run["run_id"],
            run["pipeline"],
            visible(run["partition"] or "-"),
            words(run["state"]),
            clock(run["started_at"] or ""),
            duration(run["duration_s"]),
            tally(state_counts(run["steps"])),
            one_line(run["reason"] or "") if run["state"] != "succeeded" else "",
        )
        for run in runs
    ]
    return columns(cells, right=(5,))


def show_lines(run: Row) -> list[str]:
    """One run with its steps, resources, outputs, values and metrics."""
    lines = [run_line(run)]
    if run["started_at"]:
        ended = f", ended {clock(run['finished_at'])}" if run["finished_at"] else ""
        lines.append(f"started {clock(run['started_at'])} UTC{ended}")
    cells = [("step", "state", "reason", "attempts", "exit", "took", "cpu", "memory")]
    cells += [
        (
            visible(step["id"]),
            words(step["state"]),
            step_text(step),
            str(step["attempts"] or ""),
            step["signal"] or ("" if step["exit_code"] is None else str(step["exit_code"])),
            duration(step["duration_s"]),
            duration(step["cpu_s"] or None),
            size(step["peak_rss_bytes"]),
        )
        for step in run["steps"]
    ]
    lines += [f"  {line}" for line in columns(cells, right=(3, 4, 5, 6, 7))]
    for step in run["steps"]:
        lines += [f"  {step['id']}: {text}" for text in result_texts(step)]
    return lines


def result_texts(step: Row) -> list[str]:
    """Outputs, values, metrics and the log of a step, one text each."""
    import json

    texts = [f"output {visible(name)} {visible(path)}" for name, path in step["outputs"].items()]
    texts += [f"value {visible(name)} {json.dumps(value)}" for name, value in step["values"].items()]
    texts += [f"metric {visible(name)} {json.dumps(value)}" for name, value in flat(step["metrics"])]
    if step["log"]:
        texts.append(f"log {visible(step['log'])}")
    return texts


def flat(metrics: Row, prefix: str = "") -> list[tuple[str, object]]:
    """Nested metrics with dotted names."""
    found: list[tuple[str, object]] = []
    for name, value in metrics.items():
        found += flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(f"{prefix}{name}", value)]
    return found


def why_lines(pipeline: str, step: Row) -> list[str]:
    """The verdict, its reason, and what differs."""
    verdict = {"fresh": "is fresh", "stale": "would run again", "unknown": "is not known yet"}[step["verdict"]]
    lines = [f"{pipeline}.{step['step']} {verdict}: {why(step['reason'], step['detail'] or '')}"]
    for item in step["differs"]:
        lines.append(f"  {visible(item['what'])}")
        lines.append(f"    was  {one_line(item['old'] or '(absent)')}")
        lines.append(f"    is   {one_line(item['new'] or '(absent)')}")
    return [*lines, *awaited_lines(step)]


def backfill_lines(rows: Sequence[BackfillRow]) -> list[str]:
    """One line a partition: what is or was done with it, and why."""
    several = len({row.pipeline for row in rows}) > 1
    cells = [("partition", "action", "state", "reason", "run")]
    cells += [
        (
            name_of(row.pipeline if several else "", row.key),
            row.action,
            words(row.state),
            words(one_line(row.reason)),
            row.run_id or "",
        )
        for row in rows
    ]
    return columns(cells)


def decision_lines(rows: Sequence[BackfillRow], limit: int = 40) -> list[str]:
    """What a backfill is about to do: a line for each partition that it runs, of very many the first; then how long that may take."""
    chosen = [row for row in rows if row.action == "run"]
    if not chosen:
        return []
    several = len({row.pipeline for row in rows}) > 1
    cells = [("partition", "action", "reason", "expected")]
    for row in chosen[:limit]:
        expected = duration(row.expected_s) if row.expected_s is not None else ""
        name = name_of(row.pipeline if several else "", row.key)
        cells.append((name, row.action, words(one_line(row.reason)), expected))
    lines = columns(cells)
    if len(chosen) > limit:
        lines.append(f"… and {count(len(chosen) - limit, 'more partition')} to run")
    known = [row.expected_s for row in chosen if row.expected_s is not None]
    if known:
        whole = sum(known) / len(known) * len(chosen)
        lines.append(f"about {duration(whole)} of work")
    return lines


def backfill_total(rows: Sequence[BackfillRow]) -> str:
    """`21 partitions: 20 succeeded, 1 failed`."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.state] = counts.get(row.state, 0) + 1
    return f"{count(len(rows), 'partition')}: {tally(counts.items())}" if rows else "no partitions in this range"
