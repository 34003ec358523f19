"""`tick`, `next`, `pause`, `resume` and `mark`: when pipelines are due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlorch.cli.app import command, theme
from mlorch.model.errors import UsageError
from mlorch.session.options import RunOptions

if TYPE_CHECKING:
    from mlorch.cli.terminal import Terminal

app = theme()
Name = Annotated[str, typer.Argument(metavar="PIPELINE", help="A name or a file.")]


@command(
    app,
    "tick",
    """
mlorch tick                     everything that is due now
*/5 * * * * cd /srv/flights && mlorch tick -q     the one crontab line that a project needs
MLORCH_NOW=2013-02-01T06:00 mlorch tick     as if it were that time
""",
)
def tick(
    ctx: typer.Context,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", metavar="N", min=1, help="Steps at once (default: the CPUs).")
    ] = None,
) -> int:
    """Run everything that is due now, upstream first.

    Looks at schedules, windows that were missed, and triggers. May be called every minute, and twice at once. Says nothing and
    exits 0 when nothing is due, or when data is awaited. A window is tried once per tick of its schedule; a failed one again
    at the next tick, as long as `catchup` covers it.
    """
    from mlorch.cli.ticking import perform_tick

    return perform_tick(ctx.obj, (), RunOptions((), jobs=jobs, if_busy="skip"), waiting=0)


@command(
    app,
    "next",
    """
mlorch next                              the next tick of each pipeline
mlorch next flights_features --count 20
mlorch next --simulate 2026-01-01 2027-01-01 --outage 2026-03-01 2026-03-08
""",
)
def next_(
    ctx: typer.Context,
    pipeline: Annotated[str, typer.Argument(metavar="[PIPELINE]", help="Only this one (default: all).")] = "",
    count: Annotated[
        int | None,
        typer.Option(
            "--count", "-n", metavar="N", min=1, help="How many ticks of each (default: 1, of one pipeline 10)."
        ),
    ] = None,
    simulate: Annotated[
        tuple[str, str] | None,
        typer.Option("--simulate", metavar="FROM TO", help="Replay the ticks of a span: what each would run."),
    ] = None,
    outage: Annotated[
        tuple[str, str] | None,
        typer.Option("--outage", metavar="FROM TO", help="With --simulate: nobody ticks in this span."),
    ] = None,
) -> int:
    """Coming ticks in local time and UTC, the partition each stands for, and what a change of the clock does to them."""
    from mlorch.cli.ticking import show_next

    terminal: Terminal = ctx.obj
    if outage and not simulate:
        raise UsageError("--outage belongs to --simulate", "mlorch next --simulate FROM TO --outage FROM TO")
    return show_next(terminal, pipeline, count, simulate, outage)


@command(
    app,
    "pause",
    """
mlorch pause delay_model --reason 'the warehouse is being moved'
""",
)
def pause(
    ctx: typer.Context,
    pipeline: Name,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept and shown.")] = "",
) -> int:
    """No ticks of a pipeline until `resume`. `run` and `backfill` work as before."""
    from mlorch.cli.ticking import say_done

    terminal: Terminal = ctx.obj
    return say_done(terminal, terminal.session().pause(pipeline, reason))


@command(
    app,
    "resume",
    """
mlorch resume delay_model
""",
)
def resume(
    ctx: typer.Context,
    pipeline: Name,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept.")] = "",
) -> int:
    """Ticks of a pipeline count again. Says what was missed, and what the next tick will do about it."""
    from mlorch.cli.ticking import say_done

    terminal: Terminal = ctx.obj
    return say_done(terminal, terminal.session().resume(pipeline, reason))


@command(
    app,
    "mark",
    """
mlorch mark flights_features -p 2013-01-07 --as done --reason 'the airport was closed'
mlorch mark flights_features -p 2013-01-07 --as missing --reason 'the source was corrected'
""",
)
def mark(
    ctx: typer.Context,
    pipeline: Name,
    as_: Annotated[str, typer.Option("--as", metavar="done|missing", help="What it counts as from now on.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept and shown.")],
    partition: Annotated[
        list[str] | None,
        typer.Option("--partition", "-p", metavar="KEY", help="A partition; may end early or hold *. Repeatable."),
    ] = None,
) -> int:
    """Say that a partition, or a pipeline without partitions, counts as done, or as missing.

    `done`: backfill and tick leave it alone, whatever is there. `missing`: they run all its steps again. A run of it that
    succeeds takes the mark away.
    """
    from mlorch.cli.ticking import say_done

    terminal: Terminal = ctx.obj
    if as_ not in ("done", "missing"):
        raise UsageError(f"--as {as_}: use done or missing")
    if not reason.strip():
        raise UsageError("--reason is empty", "say why: it is all that others will know of it")
    return say_done(terminal, terminal.session().mark(pipeline, partition or (), as_, reason))
