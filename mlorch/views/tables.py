"""Tables for a terminal, made of the rows of `rows`. All text of others goes through `Text`: it is never markup."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mlorch.views.awaited import awaited_lines
from mlorch.views.plain import flat, plan_total, pool_text
from mlorch.views.rows import Row, state_counts
from mlorch.views.text import (
    GLYPHS,
    STYLES,
    WENT_WRONG,
    ago,
    clipped,
    clock,
    count,
    duration,
    name_of,
    one_line,
    size,
    step_text,
    visible,
    why,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rich.console import RenderableType

    from mlorch.model.status import BackfillRow

DIM = "bright_black"
WIDE = 100
MANY = 60
ACTION_STYLES = {"run": "bold cyan", "reuse": "green", "skip": DIM, "unknown": "yellow"}
ACTION_GLYPHS = {"run": "▸", "reuse": "=", "skip": "-", "unknown": "?"}
_LEAST_TEXT = 16


def table(*, expand: bool = False) -> Table:
    """The one look of all tables: no frame, a thin rule below quiet headings."""
    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style=DIM,
        border_style=DIM,
        expand=expand,
    )


def state_text(state: str) -> Text:
    """Glyph and word of a state in its colour; the glyph says the same to those who see no colour."""
    return Text(f"{GLYPHS.get(state, ' ')} {words(state)}", STYLES.get(state, ""))


def heading(run: Row) -> Text:
    """`flights_features 2013-01-31  ✓ succeeded in 12s`."""
    text = Text()
    text.append(visible(run["pipeline"]), "bold")
    if run["partition"]:
        text.append(f" {visible(run['partition'])}", "bold")
    text.append("  ")
    if run["run_id"] is None:
        text.append(f"{GLYPHS['succeeded']} nothing to do", "green")
        return text
    text.append_text(state_text(run["state"]))
    if run["duration_s"] is not None:
        text.append(f" in {duration(run['duration_s'])}")
    text.append(f"  {run['run_id']}", DIM)
    return text


def counts_text(rows: Sequence[Row]) -> Text:
    """`3 succeeded · 2 cached`, each in its colour."""
    text = Text()
    for state, number in state_counts(rows):
        if text:
            text.append(" · ", DIM)
        text.append(f"{number:,} {words(state)}", STYLES.get(state, ""))
    return text


def run_table(run: Row, width: int) -> RenderableType:
    """The summary after a run. Of very many steps those that went wrong themselves, and counts for the rest."""
    steps: list[Row] = run["steps"]
    shown = steps
    if len(steps) > MANY:
        quiet = ("succeeded", "cached", "skipped", "cancelled", "blocked", "pending")
        shown = [step for step in steps if step["state"] not in quiet][:MANY]
    parts: list[RenderableType] = [heading(run)]
    if shown:
        parts.append(Padding(_steps_table(shown, width), (0, 0, 0, 2)))
    parts.append(Padding(counts_text(steps), (0, 0, 0, 2)))
    if run["reason"] and run["state"] != "succeeded" and run["run_id"]:
        parts.append(Padding(Text(one_line(run["reason"]), STYLES.get(run["state"], "")), (0, 0, 0, 2)))
    return Group(*parts)


def _steps_table(steps: Sequence[Row], width: int) -> Table:
    retried = any(step["attempts"] > 1 for step in steps)
    measured = width >= WIDE and any(step["peak_rss_bytes"] for step in steps)
    grid = table()
    grid.add_column("step", overflow="fold", max_width=max(width // 3, _LEAST_TEXT))
    grid.add_column("state", no_wrap=True)
    grid.add_column("took", justify="right", no_wrap=True)
    if retried:
        grid.add_column("tries", justify="right", no_wrap=True)
    if measured:
        grid.add_column("cpu", justify="right", no_wrap=True)
        grid.add_column("memory", justify="right", no_wrap=True)
    grid.add_column("why", overflow="fold", ratio=1)
    for step in steps:
        quiet = step["state"] in ("cached", "skipped")
        cells: list[RenderableType] = [
            Text(visible(step["id"]), DIM if quiet else ""),
            state_text(step["state"]),
            Text(duration(step["duration_s"])),
        ]
        if retried:
            cells.append(Text(str(step["attempts"] or "")))
        if measured:
            cells += [Text(duration(step["cpu_s"] or None)), Text(size(step["peak_rss_bytes"]))]
        cells.append(Text(step_text(step), "" if step["state"] in WENT_WRONG else DIM))
        grid.add_row(*cells)
    return grid


def plan_table(plan: Row, width: int) -> RenderableType:
    """What `run` would do: step, action, reason, expected time, command."""
    title = Text(name_of(plan["pipeline"], plan["partition"] or ""), "bold")
    grid = table(expand=True)
    grid.add_column("step", overflow="fold", max_width=max(width // 4, _LEAST_TEXT))
    grid.add_column("action", no_wrap=True)
    grid.add_column("why", overflow="fold", ratio=2)
    timed = any(step["expected_s"] is not None and step["action"] != "reuse" for step in plan["steps"])
    if timed:
        grid.add_column("expected", justify="right", no_wrap=True)
    grid.add_column("command", overflow="fold", ratio=3)
    for step in plan["steps"]:
        action = step["action"]
        reused = action in ("reuse", "skip")
        reason = Text(why(step["reason"], step["detail"] or ""), DIM if reused else "")
        if step["in_place"]:
            reason.append(f"\nwrites in place: {', '.join(step['in_place'])}", "yellow")
        if step["pool"] and action != "reuse":
            reason.append(f"\n{pool_text(step['pool'])}", DIM)
        cells: list[RenderableType] = [
            Text(visible(step["id"]), DIM if reused else ""),
            Text(f"{ACTION_GLYPHS[action]} {action}", ACTION_STYLES[action]),
            reason,
        ]
        if timed:
            cells.append(Text("" if reused else duration(step["expected_s"])))
        # A command that names hundreds of files would bury the plan: JSON and pipes have it whole.
        cells.append(Text(clipped(one_line(step["command"]), 3 * max(width // 3, _LEAST_TEXT)), DIM if reused else ""))
        grid.add_row(*cells)
    return Group(title, Padding(grid, (0, 0, 0, 2)), Padding(Text(plan_total(plan)), (0, 0, 0, 2)))


def runs_table(runs: Sequence[Row], now: datetime, width: int) -> RenderableType:
    """History, newest first."""
    wide = width >= WIDE
    grid = table()
    grid.add_column("run", no_wrap=True)
    grid.add_column("pipeline", overflow="fold")
    if any(run["partition"] for run in runs):
        grid.add_column("partition", overflow="fold")
    grid.add_column("state", no_wrap=True)
    grid.add_column("started", no_wrap=True)
    grid.add_column("took", justify="right", no_wrap=True)
    if wide:
        grid.add_column("steps")
    for run in runs:
        started = run["started_at"] or ""
        cells: list[RenderableType] = [Text(run["run_id"]), Text(visible(run["pipeline"]))]
        if len(grid.columns) == (7 if wide else 6):
            cells.append(Text(visible(run["partition"] or "")))
        cells += [
            state_text(run["state"]),
            Text(f"{clock(started)}  {ago(started, now)}" if wide else ago(started, now)),
            Text(duration(run["duration_s"])),
        ]
        if wide:
            cells.append(counts_text(run["steps"]))
        grid.add_row(*cells)
    return grid


def show_table(run: Row, now: datetime, width: int) -> RenderableType:
    """One run in full: its steps, then what they produced."""
    about = Text(f"started {clock(run['started_at'] or '')} UTC, {ago(run['started_at'] or '', now)}", DIM)
    results = Table.grid(padding=(0, 2, 0, 0))
    results.add_column(overflow="fold", style="bold", max_width=max(width // 4, _LEAST_TEXT))
    results.add_column(no_wrap=True, style=DIM)
    results.add_column(overflow="fold")
    for step in run["steps"]:
        label = visible(step["id"])
        for kind, text in _results(step):
            results.add_row(Text(label), Text(kind), Text(text))
            label = ""
    parts: list[RenderableType] = [run_table(run, width), Padding(about, (0, 0, 0, 2))]
    if results.row_count:
        parts += [Text(), Padding(results, (0, 0, 0, 2))]
    return Group(*parts)


def _results(step: Row) -> list[tuple[str, str]]:
    found = [("output", f"{visible(name)}  {visible(path)}") for name, path in step["outputs"].items()]
    found += [("value", f"{visible(name)} = {one_line(json.dumps(value))}") for name, value in step["values"].items()]
    found += [("metric", f"{visible(name)} = {_number(value)}") for name, value in flat(step["metrics"])]
    if step["log"]:
        found.append(("log", visible(step["log"])))
    return found


def _number(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else one_line(json.dumps(value))


def why_text(pipeline: str, step: Row) -> RenderableType:
    """The verdict of one step and what differs, old above new."""
    verdict, style = {
        "fresh": ("is fresh", "green"),
        "stale": ("would run again", "bold yellow"),
        "unknown": ("is not known yet", "yellow"),
    }[step["verdict"]]
    text = Text()
    text.append(f"{visible(pipeline)}.{visible(step['step'])}", "bold")
    text.append(f" {verdict}", style)
    text.append(f": {why(step['reason'], step['detail'] or '')}")
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for item in step["differs"]:
        grid.add_row("", Text(visible(item["what"]), "bold"))
        grid.add_row(Text("-", "red"), Text(one_line(item["old"] or "(absent)"), "red"))
        grid.add_row(Text("+", "green"), Text(one_line(item["new"] or "(absent)"), "green"))
    found: list[RenderableType] = [text, *([Padding(grid, (0, 0, 0, 2))] if step["differs"] else [])]
    return Group(*found, *(Text(line, DIM) for line in awaited_lines(step)))


def backfill_table(rows: Sequence[BackfillRow], limit: int = MANY) -> RenderableType:
    """The decision for each partition. Of very many, those that run first of all."""
    grid = table()
    grid.add_column("partition", overflow="fold")
    grid.add_column("action", no_wrap=True)
    grid.add_column("state", no_wrap=True)
    grid.add_column("why", overflow="fold", ratio=1)
    timed = any(row.expected_s is not None and row.action == "run" for row in rows)
    if timed:
        grid.add_column("expected", justify="right", no_wrap=True)
    shown = rows if len(rows) <= limit else [row for row in rows if row.action == "run"][:limit]
    several = len({row.pipeline for row in rows}) > 1
    for row in shown:
        grid.add_row(
            Text(name_of(row.pipeline if several else "", row.key)),
            Text(f"{ACTION_GLYPHS.get(row.action, ' ')} {row.action}", ACTION_STYLES.get(row.action, "")),
            Text(words(row.state), STYLES.get(row.state, "")),
            Text(words(one_line(row.reason)), DIM),
            *([Text(duration(row.expected_s) if row.expected_s and row.action == "run" else "", DIM)] if timed else []),
        )
    if len(shown) == len(rows):
        return grid
    return Group(grid, Text(f"… and {count(len(rows) - len(shown), 'more partition')}", DIM))
