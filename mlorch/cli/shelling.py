"""`shell`: the surroundings of a step of a past run, to look around in."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlorch.cli import history
from mlorch.cli.app import command, theme
from mlorch.model.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from types import FrameType

    from mlorch.cli.terminal import Terminal
    from mlorch.model.shell import StepShell

app = theme()
Run = history.Run
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP)
_OURS_TO_SURVIVE = (signal.SIGINT, signal.SIGQUIT)


@command(
    app,
    "shell",
    """
mlorch shell @latest train
mlorch shell flights_features@2013-01-31 join --keep
mlorch shell 20130131 join --command > join.sh
echo '"$MLORCH_COMMAND"' | mlorch shell @latest train
""",
)
def shell(
    ctx: typer.Context,
    run: Run,
    step: Annotated[str, typer.Argument(metavar="STEP", help="The step, also one that was not started.")],
    attempt: Annotated[
        int | None, typer.Option("--attempt", metavar="N", min=1, help="As in this attempt (default: the last one).")
    ] = None,
    as_command: Annotated[
        bool, typer.Option("--command", help="Print a text for sh that opens it, and open nothing. It holds no secret.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the scratch folder, and say where it is.")] = False,
) -> int:
    """A shell in that step's very environment and folder: inputs in place, outputs to a scratch folder.

    The step is as that run had it: its text, its parameters, its variables. $MLORCH_COMMAND runs its command. What it writes
    to $MLORCH_OUTPUT_… is removed when the shell ends, and nothing is published or recorded. Without a terminal the shell
    reads what comes on stdin, and a script that ends badly makes this exit with 1.
    """
    import tempfile

    from mlorch.views.shell import notes, script

    terminal: Terminal = ctx.obj
    if terminal.json and not as_command:
        raise UsageError("-o json and a shell do not go together", "add --command: it prints what would open it")
    session = terminal.session()
    scratch = tempfile.mkdtemp(prefix="mlorch-shell-")
    kept = False
    try:
        made = session.shell(session.find_run(run), step, attempt, scratch, conceal=as_command)
        if as_command:
            return _print(terminal, made, script(made))
        if not terminal.options.quiet:
            for line in notes(made):
                terminal.warn(f"· {line}")
        _fill(made)
        kept = keep
        return _open(terminal, made)
    finally:
        if kept:
            terminal.warn(f"· what it wrote is in {scratch}")
        else:
            shutil.rmtree(scratch, ignore_errors=True)


def _print(terminal: Terminal, made: StepShell, text: str) -> int:
    if terminal.json:
        terminal.document(
            0,
            {
                "run_id": made.run_id,
                "pipeline": made.pipeline,
                "partition": made.partition or None,
                "step": made.step,
                "attempt": made.attempt,
                "command": text,
                "notes": list(made.notes),
            },
        )
    else:
        terminal.raw(text.rstrip("\n"))
    return 0


def _fill(made: StepShell) -> None:
    """Make what is to stand in the scratch folder."""
    for folder in made.folders:
        os.makedirs(folder, exist_ok=True)
    for path, text in made.files:
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
    if made.command:
        os.chmod(made.command, 0o700)


def _open(terminal: Terminal, made: StepShell) -> int:
    """Start the shell and wait for its end, passing on the signals that end us."""
    import subprocess

    from mlorch.cli.terminal import is_terminal

    inherited = {name: value for name, value in os.environ.items() if name not in made.unset}
    bash = shutil.which("bash", path=dict(made.env).get("PATH", inherited.get("PATH")))
    words = [bash, "--noprofile", "--norc"] if bash else ["sh"]
    prompt = {"PS1": f"(mlorch {made.step}) \\w $ " if bash else f"(mlorch {made.step}) $ "}
    ended = 0

    def pass_on(number: int, _frame: FrameType | None) -> None:
        nonlocal ended
        ended = number
        if process is not None:
            process.send_signal(number)

    process: subprocess.Popen[bytes] | None = None
    # Handlers, and not SIG_IGN: what is ignored would stay so in the shell.
    before: dict[int, Any] = {number: signal.signal(number, pass_on) for number in _PASSED_ON}
    before |= {number: signal.signal(number, lambda *_: None) for number in _OURS_TO_SURVIVE}
    try:
        process = subprocess.Popen(words, cwd=made.cwd, env=inherited | dict(made.env) | prompt)
        if ended:  # by a signal that came before there was somebody to pass it on to
            process.send_signal(ended)
        status = process.wait()
    except OSError as error:
        raise UsageError(f"the shell cannot be started in {made.cwd}: {error.strerror}") from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if ended:
        return 128 + ended
    if status == 0 or is_terminal(sys.stdin):
        return int(ExitCode.OK)
    how = f"exited with {status}" if status > 0 else f"was ended by signal {-status}"
    terminal.warn(f"the shell {how}")
    return int(ExitCode.FAILED)
