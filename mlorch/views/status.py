"""The status table: each pipeline with its health and a strip of its partitions."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from mlorch.model.status import Health, PartitionHealth
from mlorch.views.awaited import awaited_lines
from mlorch.views.plain import backfill_total, counts_text, fresh_text, next_text, shown_reasons
from mlorch.views.rows import awaited_row, partition_counts
from mlorch.views.tables import DIM, table
from mlorch.views.text import GLYPHS, STYLES, ago, count, visible, words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rich.console import RenderableType

    from mlorch.model.status import BackfillRow, PipelineStatus

HEALTH_STYLES = {
    Health.OK: "green",
    Health.FAILING: "bold red",
    Health.LATE: "bold yellow",
    Health.STALE: "yellow",
    Health.PAUSED: "magenta",
    Health.NEVER_RAN: DIM,
}
HEALTH_GLYPHS = {
    Health.OK: "✓",
    Health.FAILING: "✗",
    Health.LATE: "!",
    Health.STALE: "~",
    Health.PAUSED: "-",
    Health.NEVER_RAN: "·",
}
CELLS = {
    PartitionHealth.DONE: ("■", "green"),
    PartitionHealth.MISSING: ("□", DIM),
    PartitionHealth.FAILED: ("✗", "bold red"),
    PartitionHealth.STALE: ("◪", "yellow"),
    PartitionHealth.RUNNING: ("▸", "bold cyan"),
}
# A strip that stands for several partitions in one cell shows the one that needs attention most.
_WORST_FIRST = (
    PartitionHealth.FAILED,
    PartitionHealth.RUNNING,
    PartitionHealth.STALE,
    PartitionHealth.MISSING,
    PartitionHealth.DONE,
)
_WIDE, _VERY_WIDE = 100, 130
_STRIP_MIN, _STRIP_MAX = 14, 62


def strip(partitions: Sequence[tuple[str, PartitionHealth]], cells: int, newest: int = 0) -> Text:
    """One cell a partition, oldest first; more partitions than `cells` share cells evenly, each showing its worst.

    `newest` > 0 shows only so many, the newest ones.
    """
    if newest:
        partitions = partitions[-newest:]
    states = [where for _, where in partitions]
    if len(states) > cells:
        total = len(states)
        bounds = [total * index // cells for index in range(cells + 1)]
        states = [_worst(states[low:high]) for low, high in pairwise(bounds)]
    text = Text(no_wrap=True)
    for where in states:
        text.append(*CELLS[where])
    return text


def _worst(states: Sequence[PartitionHealth]) -> PartitionHealth:
    found = set(states)
    return next(where for where in _WORST_FIRST if where in found)


def status_table(pipelines: Sequence[PipelineStatus], now: datetime, width: int, newest: int = 0) -> RenderableType:
    """The table, and below it in words what needs attention."""
    names = max((len(pipeline.name) for pipeline in pipelines), default=0)
    runs = max((_last_run(pipeline, now).cell_len for pipeline in pipelines), default=0)
    room = width - names - 9 - 11 - max(runs, 10) - 8
    if width >= _WIDE:
        room -= max((len(fresh_text(pipeline, now)) for pipeline in pipelines), default=0) + 1
    if width >= _VERY_WIDE:
        room -= max((len(pipeline.owner) for pipeline in pipelines), default=0) + 2
    coming = width >= _VERY_WIDE and any(pipeline.coming for pipeline in pipelines)
    room -= len("2013-01-31 02:30 +02:00") + 1 if coming else 0
    cells = max(_STRIP_MIN, min(room, _STRIP_MAX))
    grid = table()
    grid.add_column("pipeline", overflow="fold", style="bold")
    grid.add_column("kind", no_wrap=True)
    grid.add_column("health", no_wrap=True)
    grid.add_column("last run", no_wrap=True)
    grid.add_column("partitions")
    if width >= _WIDE:
        grid.add_column("fresh", overflow="fold")
    if coming:
        grid.add_column("next", no_wrap=True)
    if width >= _VERY_WIDE:
        grid.add_column("owner", overflow="fold")
    for pipeline in pipelines:
        row: list[RenderableType] = [
            Text(visible(pipeline.name), "bold"),
            Text(pipeline.kind, DIM),
            Text(f"{HEALTH_GLYPHS[pipeline.health]} {words(pipeline.health.value)}", HEALTH_STYLES[pipeline.health]),
            _last_run(pipeline, now),
            _partitions(pipeline, cells, newest),
        ]
        if width >= _WIDE:
            row.append(Text(fresh_text(pipeline, now), DIM))
        if coming:
            row.append(Text(next_text(pipeline), DIM))
        if width >= _VERY_WIDE:
            row.append(Text(visible(pipeline.owner), DIM))
        grid.add_row(*row)
    reasons = [(pipeline, reason) for pipeline in pipelines for reason in _said(pipeline)]
    return Group(grid, Text(), _reasons(reasons)) if reasons else grid


def _said(pipeline: PipelineStatus) -> list[str]:
    """Why its health is what it is, and what is awaited."""
    return [*shown_reasons(pipeline), *awaited_lines(awaited_row(pipeline.awaited))]


def _last_run(pipeline: PipelineStatus, now: datetime) -> Text:
    last = pipeline.last_run
    if last is None:
        return Text("never", DIM)
    state = last.state.value
    text = Text(f"{GLYPHS.get(state, ' ')} ", STYLES.get(state, ""))
    if state == "running":
        return text.append(f"since {ago(last.started_at, now).removesuffix(' ago')}", STYLES["running"])
    return text.append(ago(last.finished_at or last.started_at, now))


def _partitions(pipeline: PipelineStatus, cells: int, newest: int) -> RenderableType:
    counts = partition_counts(pipeline)
    if not pipeline.partitioned:
        where = pipeline.partitions[0][1] if pipeline.partitions else PartitionHealth.MISSING
        glyph, style = CELLS[where]
        return Text.assemble((glyph, style), (f" {where.value}", "" if where is PartitionHealth.DONE else style))
    if not counts["total"]:
        return Text("no window has closed yet", DIM)
    below = Text(counts_text(counts), DIM)
    first, last = pipeline.partitions[0][0], pipeline.partitions[-1][0]
    if cells >= 40:
        below.append(f"  {visible(first)} … {visible(last)}" if first != last else f"  {visible(first)}")
    return Group(strip(pipeline.partitions, cells, newest), below)


def _reasons(reasons: Sequence[tuple[PipelineStatus, str]]) -> RenderableType:
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for pipeline, reason in reasons:
        text = Text(f"{visible(pipeline.name)}: ", "bold")
        text.append(reason, "")
        text.stylize("not bold", len(pipeline.name) + 2)
        grid.add_row(Text(HEALTH_GLYPHS[pipeline.health], HEALTH_STYLES[pipeline.health]), text)
    return grid


def legend(pipelines: Sequence[PipelineStatus]) -> Text:
    """What the cells of the strip mean, of those that occur; and how many pipelines there are."""
    found = {where for pipeline in pipelines for _, where in pipeline.partitions}
    text = Text(count(len(pipelines), "pipeline"), DIM)
    for where, (glyph, style) in CELLS.items():
        if where in found:
            text.append("   ")
            text.append(glyph, style)
            text.append(f" {where.value}", DIM)
    return text


_RUN_CELLS = {
    "succeeded": PartitionHealth.DONE,
    "done": PartitionHealth.DONE,
    "cached": PartitionHealth.DONE,
    "missing": PartitionHealth.MISSING,
    "stale": PartitionHealth.STALE,
    "running": PartitionHealth.RUNNING,
    "incomplete": PartitionHealth.STALE,
    "not_ready": PartitionHealth.MISSING,
    "skipped": PartitionHealth.MISSING,
    "cancelled": PartitionHealth.MISSING,
}
_DAY_LONG = len("2026-01-31")
_GROUPS = {19: 10, 14: 10, 10: 7, 8: 4, 7: 4}


def backfill_view(rows: Sequence[BackfillRow], width: int = 62) -> RenderableType:
    """A calendar of what became of the partitions: a line a month (or day, or year), and counts below."""
    lines: dict[tuple[str, str], Text] = {}
    for row in rows:
        label = row.key.split(",", 1)[0]
        time = label[: _GROUPS.get(len(label), 0)] if label[:4].isdigit() else ""
        text = lines.setdefault((row.pipeline, time), Text(overflow="fold"))
        if len(label) == _DAY_LONG and label == row.key and time:
            text.append(" " * (int(label[-2:]) - 1 - text.cell_len))  # each day below the same day of the month before
        text.append(*CELLS[_RUN_CELLS.get(row.state, PartitionHealth.FAILED)])
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(max_width=width, overflow="fold")
    several = len({pipeline for pipeline, _ in lines}) > 1
    for (pipeline, time), text in lines.items():
        grid.add_row(Text(" ".join(part for part in (pipeline if several else "", time) if part), DIM), text)
    return Group(grid, Text(backfill_total(rows)))
