"""`status`, `why` and `graph`: how everything stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlorch.cli.app import command, theme
from mlorch.model.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rich.console import RenderableType

    from mlorch.cli.terminal import Terminal
    from mlorch.model.status import PipelineStatus

app = theme()
FORMATS = ("tree", "mermaid", "dot", "json")
_WATCH_S = 2.0


@command(
    app,
    "status",
    """
mlorch status
mlorch status kind:feature --watch
mlorch status -o json | jq '.data.pipelines[] | select(.health != "ok")'
""",
)
def status(
    ctx: typer.Context,
    pipelines: Annotated[
        list[str] | None, typer.Argument(metavar="[PIPELINE]...", help="Names, files or selections (default: all).")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every two seconds until Ctrl-C.")] = False,
    partitions: Annotated[
        int, typer.Option("--partitions", metavar="N", min=0, help="Only the newest N partitions in the strip.")
    ] = 0,
) -> int:
    """Each pipeline: kind, health, last run, and its partitions as a strip."""
    from mlorch.cli.deliver import say_passed_over
    from mlorch.views.rows import status_row

    terminal: Terminal = ctx.obj
    session = terminal.session()
    found = session.status(tuple(pipelines or ()))
    for note in session.hearsay:
        terminal.warn(note)
    if terminal.json:
        from mlorch.views.json_ import diagnostics

        rows = [status_row(item, session.state_folder) for item in found]
        terminal.document(0, {"pipelines": rows}, diagnostics(session.diagnostics))
        return 0
    say_passed_over(terminal, session)
    if not found:
        if not session.passed_over:
            terminal.say("no pipelines here yet")
    elif watch and terminal.live:
        _watch(terminal, tuple(pipelines or ()), partitions)
    elif terminal.table:
        terminal.show(_table(terminal, found, partitions))
    else:
        from mlorch.views.plain import status_lines

        terminal.lines(status_lines(found, now(terminal)))
    return 0


def _table(terminal: Terminal, found: Sequence[PipelineStatus], partitions: int) -> RenderableType:
    from rich.console import Group

    from mlorch.views.status import legend, status_table

    return Group(status_table(found, now(terminal), terminal.width, partitions), legend(found))


def _watch(terminal: Terminal, names: tuple[str, ...], partitions: int) -> None:
    """Redraw until Ctrl-C; specs are read anew each time, since they may change meanwhile."""
    import time

    from rich.live import Live

    with Live(console=terminal.console(), auto_refresh=False) as live:
        while True:
            live.update(_table(terminal, terminal.session().status(names), partitions), refresh=True)
            try:
                time.sleep(_WATCH_S)  # how often the table is drawn anew
            except KeyboardInterrupt:
                return


@command(
    app,
    "why",
    """
mlorch why delay_model train
mlorch why flights_features join -p 2013-01-31
""",
)
def why(
    ctx: typer.Context,
    pipeline: Annotated[str, typer.Argument(metavar="PIPELINE", help="A name or a file.")],
    step: Annotated[str, typer.Argument(metavar="STEP", help="The id of a step.")],
    partition: Annotated[
        str, typer.Option("--partition", "-p", metavar="KEY", help="A partition (default: the one run would take).")
    ] = "",
) -> int:
    """Why a step would run again, or not: the first thing that differs from its last success, old and new.

    Of a pipeline with triggers also what they have counted, what is there for the next tick, and what is awaited.
    """
    from mlorch.views.rows import why_row

    terminal: Terminal = ctx.obj
    session = terminal.session()
    row = why_row(session.why(pipeline, step, partition), session.awaited(pipeline))
    for note in session.hearsay:
        terminal.warn(note)
    if terminal.json:
        terminal.document(0, row)
    elif terminal.table:
        from mlorch.views.tables import why_text

        terminal.show(why_text(pipeline, row))
    else:
        from mlorch.views.plain import why_lines

        terminal.lines(why_lines(pipeline, row))
    return 0


@command(
    app,
    "graph",
    """
mlorch graph                          all pipelines, and what flows between them
mlorch graph delay_model              its steps
mlorch graph delay_model --format dot | dot -Tsvg > delay_model.svg
""",
)
def graph(
    ctx: typer.Context,
    pipeline: Annotated[str, typer.Argument(metavar="[PIPELINE]", help="Its steps (default: all pipelines).")] = "",
    format_: Annotated[
        str, typer.Option("--format", metavar="tree|mermaid|dot|json", help="How to draw it (default: tree).")
    ] = "",
) -> int:
    """Steps in the order in which they run, or all pipelines and what flows between them."""
    from mlorch.cli.deliver import say_passed_over
    from mlorch.views import graph as drawing
    from mlorch.views.rows import graph_row

    terminal: Terminal = ctx.obj
    if format_ and format_ not in FORMATS:
        raise UsageError(f"--format {format_}: use one of {', '.join(FORMATS)}")
    form = "json" if terminal.json else format_ or "tree"
    session = terminal.session()
    graphs = session.graph(pipeline or None)
    if form == "json":
        from mlorch.views.json_ import diagnostics

        terminal.document(0, {"graphs": [graph_row(item) for item in graphs]}, diagnostics(session.passed_over))
        return 0
    say_passed_over(terminal, session)
    if form == "tree":
        for item in graphs:
            terminal.lines(drawing.tree_lines(item))
    else:
        draw = drawing.mermaid if form == "mermaid" else drawing.dot
        for item in graphs:
            terminal.lines(draw(item).splitlines())
    return 0


def now(terminal: Terminal) -> datetime:
    """The time that ages go by: `--now`, or the real one."""
    from datetime import UTC, datetime

    from mlorch.session.workspace import given_time

    if not terminal.options.now:
        return datetime.now(UTC)
    return given_time(terminal.options.now)
