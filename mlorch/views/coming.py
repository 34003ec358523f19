"""Ticks that come, and what became of a pipeline's agenda: rows, lines and a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlorch.views.text import count, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.table import Table

    from mlorch.model.coming import AgendaNews, ComingTick

Row = dict[str, Any]
_WIDE = 120


def coming_lines(ticks: Iterable[ComingTick]) -> Iterator[str]:
    """A line for each: UTC, local time, pipeline, partitions, note."""
    for tick in ticks:
        note = f"  ({one_line(tick.note)})" if tick.note else ""
        line = f"{_utc(tick)}  {tick.at_local} {tick.timezone}  {tick.pipeline}  {_keys(tick)}"
        yield line.rstrip() + note


def coming_table(ticks: Sequence[ComingTick], width: int) -> Table:
    """The same as a table; a narrow one has UTC below the local time, and no names of zones."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    wide = width >= _WIDE
    for title in ("pipeline", *(("local time", "UTC") if wide else ("local time, UTC",)), "makes due", "note"):
        table.add_column(title, overflow="fold", no_wrap="time" in title or title == "UTC")
    for tick in ticks:
        local = f"{tick.at_local[:16].replace('T', ' ')} {tick.at_local[19:]}"
        times = [f"{local} {tick.timezone}", _utc(tick)] if wide else [f"{local}\n{_utc(tick)}"]
        table.add_row(
            Text(one_line(tick.pipeline)), *map(Text, times), Text(one_line(_keys(tick))), Text(one_line(tick.note))
        )
    return table


def news_row(news: AgendaNews) -> Row:
    """The `data` of `pause`, `resume` and `mark`."""
    missed = None
    if news.missed is not None:
        missed = dict(zip(("first", "last", "count", "why"), news.missed, strict=True))
    return {
        "pipeline": news.pipeline,
        "paused": news.paused,
        "reason": news.reason or None,
        "ticks": news.ticks,
        "due": list(news.due),
        "missed": missed,
        "marked": list(news.marked),
        "as": news.state or None,
    }


def news_lines(news: AgendaNews) -> Iterator[str]:
    """The same for people."""
    why = f": {one_line(news.reason)}" if news.reason else ""
    if news.marked:
        shown = ", ".join(news.marked[:5]) + (" …" if len(news.marked) > 5 else "")
        which = f" ({shown})" if shown else ""
        many = f"{count(len(news.marked), 'partition')} " if shown else ""
        yield f"{news.pipeline}: {many}marked as {news.state}{which}{why}"
        return
    if news.paused:
        yield f"{news.pipeline}: {'paused' if news.changed else 'is paused already'}{why}"
        return
    yield f"{news.pipeline}: {'ticks again' if news.changed else 'was not paused'}{why}"
    if news.ticks:
        yield f"  {count(news.ticks, 'tick')} came meanwhile"
    if news.missed:
        first, last, number, _ = news.missed
        yield f"  left to backfill: {number}" + (f" ({first} to {last})" if first else "")
    if news.due:
        first, last = news.due[0], news.due[-1]
        span = first if first == last else f"{first} to {last}"
        yield f"  the next tick takes up {count(len(news.due), 'partition')}" + (f": {span}" if span else "")
    elif news.changed:
        yield "  nothing is due now"


def _utc(tick: ComingTick) -> str:
    return tick.at[:16] + "Z" if tick.at.endswith(":00.000Z") else tick.at


def _keys(tick: ComingTick) -> str:
    if tick.count <= len(tick.partitions):
        return " ".join(tick.partitions)
    return f"{' '.join(tick.partitions[:-1])} … {tick.partitions[-1]} ({tick.count})"
