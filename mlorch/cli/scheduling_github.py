"""`github`: the workflow of a project, and what the steps of its jobs call."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from mlorch.cli.app import command, theme
from mlorch.model.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from mlorch.cli.terminal import Terminal
    from mlorch.session.github import File

app = theme()
ACTIONS = ("show", "check", "restore", "run", "save")


@command(
    app,
    "github",
    """
mlorch github show > .github/workflows/mlorch.yml
mlorch github show delay_model > .github/workflows/mlorch.delay_model.yml   a form with all its parameters
mlorch github check --exit-code   8 when a file is not what show would make of it
mlorch github restore             in a job: bring back the state and the outputs of the job before
mlorch github run                 in a job: what a person asked for, else what is due
mlorch github save                in a job: keep them for the next
""",
)
def github(
    ctx: typer.Context,
    action: Annotated[str, typer.Argument(metavar="show|check|restore|run|save", help="What to do.")],
    pipeline: Annotated[
        str, typer.Argument(metavar="[PIPELINE]", help="show: a workflow to start this one by hand.")
    ] = "",
    uses: Annotated[
        str, typer.Option("--action", metavar="REF", help="show: where mlorch's action is, as uses: names it.")
    ] = "",
    setup: Annotated[
        str,
        typer.Option("--setup", metavar="SHELL", help="show: what a job does before, such as installing libraries."),
    ] = "",
    branch: Annotated[str, typer.Option("--branch", metavar="NAME", help="restore, save: where the state is kept.")] = (
        "mlorch-state"
    ),
    outputs: Annotated[
        bool, typer.Option("--outputs/--no-outputs", help="save: keep the files that steps published, too.")
    ] = True,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="check: end with 8 when something would change.")
    ] = False,
) -> int:
    """A workflow for GitHub Actions: when to call, what may be asked for by hand, and the state kept between jobs.

    The jobs of the workflow call restore, run and save; a person needs show and check. Runners are thrown away, so the state and the
    outputs are kept in a branch of the repository.
    """
    if action not in ACTIONS:
        raise UsageError(f"`mlorch github {action}` does not exist", f"use one of: {', '.join(ACTIONS)}")
    if pipeline and action != "show":
        raise UsageError(f"`mlorch github {action}` takes no pipeline", f"write: mlorch github {action}")
    terminal: Terminal = ctx.obj
    if action in ("show", "check"):
        return _workflow(terminal, action, (pipeline, uses, setup), exit_code=exit_code)
    if action == "run":
        from mlorch.cli.main import invoke
        from mlorch.session.github import asked

        return invoke([*asked(dict(os.environ)), *_global(terminal)])
    return _state(terminal, action, branch, outputs=outputs)


def _workflow(terminal: Terminal, action: str, wanted: tuple[str, str, str], *, exit_code: bool) -> int:
    from mlorch.session.github import Workflows

    work = Workflows(terminal.options)
    files = [work.show(*wanted)] if action == "show" else list(work.check())
    differs = any(file.differs for file in files)
    code = ExitCode.WOULD_CHANGE if exit_code and differs else ExitCode.OK
    if terminal.json:
        terminal.document(
            code, {"action": action, "branch": None, "kept": None, "files": [_row(file) for file in files]}
        )
    elif action == "show":
        terminal.raw(files[0].text.rstrip("\n"))
    else:
        _tell(terminal, files)
    return int(code)


def _row(file: File) -> dict[str, object]:
    from mlorch.views.scheduling import drift_row

    rows = [drift_row(item.what, item.wanted, item.found) for item in file.differs]
    return {"path": file.path, "text": file.text, "differs": rows}


def _tell(terminal: Terminal, files: list[File]) -> None:
    from mlorch.views.scheduling import drift_lines, drift_row

    for file in files:
        terminal.lines(drift_lines(drift_row(item.what, item.wanted, item.found) for item in file.differs))
        if file.text and file.differs:
            command = file.text.partition("\n")[0].removeprefix("# Made by: ")
            terminal.say(f"to make it right: {command} > {file.path}")
        elif not file.differs and not terminal.options.quiet:
            terminal.say(f"{file.path} is as it should be")


def _state(terminal: Terminal, action: str, branch: str, *, outputs: bool) -> int:
    from mlorch.session.github import KeptState

    work = KeptState(terminal.options, branch, outputs=outputs)
    kept = work.restore() if action == "restore" else work.save()
    if terminal.json:
        terminal.document(0, {"action": action, "branch": branch, "kept": kept, "files": []})
    elif not terminal.options.quiet:
        said = (
            f"{kept:,} files"
            if kept
            else "nothing, as the branch is not there yet"
            if action == "restore"
            else "nothing new"
        )
        terminal.say(f"{'restored from' if action == 'restore' else 'saved to'} the branch {branch}: {said}")
    return 0


def _global(terminal: Terminal) -> list[str]:
    """The options of every command, passed on."""
    options = terminal.options
    words = ["--output", options.output]
    words += [
        word
        for name in ("project", "profile", "now")
        if (value := getattr(options, name))
        for word in (f"--{name}", value)
    ]
    return [*words, *(["--quiet"] if options.quiet else []), *(["--verbose"] if options.verbose else [])]
