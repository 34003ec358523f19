"""`init`: a project to begin with."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from mlorch.cli.app import command, theme
from mlorch.model.errors import MlorchError

if TYPE_CHECKING:
    from mlorch.cli.terminal import Terminal
    from mlorch.session.options import GlobalOptions
    from mlorch.session.starting import Made

app = theme()


@command(
    app,
    "init",
    """
mlorch init                                  a project in this folder: features, a model, predictions
mlorch init shop --template minimal          one pipeline of two steps
mlorch init shop --github --action o/r@v1    with a workflow for GitHub Actions
""",
)
def init(
    ctx: typer.Context,
    folder: Annotated[
        str,
        typer.Argument(metavar="[DIR]", help="Where (default: here); it is made if need be, and need not be empty."),
    ] = "",
    template: Annotated[
        str,
        typer.Option(
            "--template",
            metavar="NAME",
            help="standard (a feature, a training and an inference pipeline) or minimal (one of two steps).",
        ),
    ] = "standard",
    github: Annotated[
        bool, typer.Option("--github", help="With a workflow, as `mlorch github show` makes it.")
    ] = False,
    action: Annotated[
        str,
        typer.Option(
            "--action", metavar="OWNER/REPOSITORY@VERSION", help="Where the workflow finds the action of mlorch."
        ),
    ] = "",
    cron: Annotated[
        bool, typer.Option("--cron", help="With a line in your crontab: as `mlorch cron install`.")
    ] = False,
) -> int:
    """A project that runs at once, with nothing but Python.

    Nothing is overwritten: when one of its files is there, they are named, and nothing is written.
    """
    from mlorch.session.starting import start

    terminal: Terminal = ctx.obj
    made = start(terminal.options, folder, template)
    options = terminal.options._replace(project=made.folder)
    if github:
        made = _with_workflow(options, made, action)
    notes = list(made.notes)
    if cron:
        notes.append(_cron(options))
    if terminal.json:
        data = {"folder": made.folder, "template": made.template, "files": list(made.files), "notes": notes}
        terminal.document(0, data)
    elif not terminal.options.quiet:
        _tell(terminal, made, notes)
    return 0


def _with_workflow(options: GlobalOptions, made: Made, action: str) -> Made:
    from mlorch.session.github import Workflows
    from mlorch.session.starting import add, undo

    try:
        work = Workflows(options._replace(profile=""))
        found = work.show("", action, "")
        return add(made, os.path.relpath(os.path.join(work.top, found.path), made.folder), found.text)
    except MlorchError:
        undo(made)
        raise


def _cron(options: GlobalOptions) -> str:
    from mlorch.session.crontab import CronWork

    report = CronWork(options, "").install()
    return f"{report.whose} calls mlorch tick every minute"


def _tell(terminal: Terminal, made: Made, notes: list[str]) -> None:
    terminal.say(f"made a project in {made.folder}:")
    for path in made.files:
        terminal.say(f"  {path}")
    for note in notes:
        terminal.say(f"· {note}")
    terminal.say("Go on with:")
    if made.folder != os.getcwd():
        terminal.paste(f"cd {shlex.quote(made.folder)}")
    for line in ("mlorch validate", "mlorch run '*'", "mlorch status"):
        terminal.paste(line)
