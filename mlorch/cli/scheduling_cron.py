"""`cron`: the one crontab line that a project needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlorch.cli.app import command, theme
from mlorch.model.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from mlorch.cli.terminal import Terminal
    from mlorch.session.crontab import CronReport
    from mlorch.views.rows import Row

app = theme()
ACTIONS = ("show", "install", "remove", "check")


@command(
    app,
    "cron",
    """
mlorch cron show                  the block as it would be; needs no cron
mlorch cron install               put it into your crontab, or make it right; again: nothing changes
mlorch cron check --exit-code     8 when the crontab is not what install would make of it
mlorch cron remove
sudo mlorch cron install --user dana --project /home/dana/flights
""",
)
def cron(
    ctx: typer.Context,
    action: Annotated[str, typer.Argument(metavar="show|install|remove|check", help="What to do.")],
    user: Annotated[str, typer.Option("--user", metavar="NAME", help="Another user's crontab; only root may.")] = "",
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="check: end with 8 when something would change.")
    ] = False,
) -> int:
    """The one line a project needs in a crontab: mlorch tick, every minute.

    It stands between two marks with the project's folder in them; all other lines are left as they are. When pipelines are due, and in
    which time zone, is not in it: tick reads that from the pipelines. Output goes to cron.log in the state folder.
    """
    from mlorch.session.crontab import CronWork

    if action not in ACTIONS:
        raise UsageError(f"`mlorch cron {action}` does not exist", f"use one of: {', '.join(ACTIONS)}")
    work = CronWork(ctx.obj.options, user)
    report: CronReport = getattr(work, action)()
    code = ExitCode.WOULD_CHANGE if exit_code and report.differs else ExitCode.OK
    _tell(ctx.obj, action, report, code)
    return int(code)


def _tell(terminal: Terminal, action: str, report: CronReport, code: int) -> None:
    from mlorch.views.scheduling import drift_row

    rows = [drift_row(item.what, item.wanted, item.found) for item in report.differs]
    if terminal.json:
        terminal.document(
            code,
            {
                "action": action,
                "block": report.block,
                "installed": None if action == "show" else report.installed,
                "changed": report.changed,
                "differs": rows,
                "notes": list(report.notes),
            },
        )
        return
    if action == "show":
        terminal.lines(report.block.splitlines())
    elif action == "check":
        _checked(terminal, report, rows)
    elif not terminal.options.quiet:
        terminal.say(_said(report))
    for note in () if terminal.options.quiet else report.notes:
        terminal.say(f"note: {note}")


def _checked(terminal: Terminal, report: CronReport, rows: list[Row]) -> None:
    from mlorch.views.scheduling import drift_lines

    terminal.lines(drift_lines(rows))
    if rows:
        terminal.say("`mlorch cron install` makes it right")
    elif not terminal.options.quiet:
        terminal.say(f"{report.whose} is as it should be")


def _said(report: CronReport) -> str:
    if not report.changed:
        return f"{report.whose} is as it was: " + ("the block is there" if report.installed else "there is no block")
    return f"{'installed in' if report.installed else 'removed from'} {report.whose}"
