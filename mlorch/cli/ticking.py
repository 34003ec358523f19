"""What `tick`, `next`, `pause`, `resume` and `mark` do and print."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlorch.cli.terminal import Terminal
    from mlorch.model.coming import AgendaNews
    from mlorch.session.options import RunOptions


def perform_tick(terminal: Terminal, names: Sequence[str], options: RunOptions, *, waiting: int | None) -> int:
    """Run what is due and tell of it, if there was something. `waiting` is the exit code when data is awaited or a partition is busy (None: as `run`)."""
    from mlorch.cli.deliver import observer_for, show_outcome

    session = terminal.session()
    observer = observer_for(terminal, session)
    try:
        outcome = session.tick(names, options, observer)
    finally:
        observer.close()
    if waiting is not None and outcome.exit_code in (5, 6):
        outcome = outcome._replace(exit_code=waiting)
    return show_outcome(terminal, session, outcome, options)


def show_next(
    terminal: Terminal, pipeline: str, count: int | None, span: tuple[str, str] | None, outage: tuple[str, str] | None
) -> int:
    """The ticks that come."""
    from mlorch.cli.deliver import say_passed_over
    from mlorch.views.coming import coming_lines
    from mlorch.views.rows import coming_row

    session = terminal.session()
    ticks = session.coming(pipeline, count, span, outage)
    if not terminal.json:
        say_passed_over(terminal, session)
    if terminal.json:
        from mlorch.views.json_ import diagnostics

        terminal.document(0, {"ticks": [coming_row(tick) for tick in ticks]}, diagnostics(session.diagnostics))
    elif not ticks:
        terminal.say("nothing comes: no pipeline has a schedule with a tick" + (" in that span" if span else ""))
    elif terminal.table:
        from mlorch.views.coming import coming_table

        terminal.show(coming_table(ticks, terminal.width))
    else:
        terminal.lines(coming_lines(ticks))
    return 0


def say_done(terminal: Terminal, news: AgendaNews) -> int:
    """What became of a pipeline's agenda."""
    from mlorch.views.coming import news_lines, news_row

    if terminal.json:
        terminal.document(0, news_row(news))
    elif not terminal.options.quiet:
        terminal.lines(news_lines(news))
    return 0
