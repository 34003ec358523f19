"""`runs`, `show`, `logs` and `cancel`: what happened, and ending what happens."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mlorch.cli.app import command, theme
from mlorch.model.errors import UsageError
from mlorch.model.states import RunState
from mlorch.session.options import RunsFilter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlorch.cli.terminal import Terminal
    from mlorch.model.history import AttemptRecord, RunRecord, StepRecord
    from mlorch.session.session import Session

app = theme()
Run = Annotated[
    str,
    typer.Argument(metavar="RUN", help="An id, a prefix of one, or @latest, PIPELINE@latest, PIPELINE@KEY."),
]
_CHUNK = 1 << 16
_FOLLOW_S = 0.25
_RUNS_SHOWN = 20


@command(
    app,
    "runs",
    """
mlorch runs --pipeline flights_features --status failed
mlorch runs --since 7d
mlorch runs -o json | jq -r '.data.runs[] | [.run_id, .state] | @tsv'
""",
)
def runs(
    ctx: typer.Context,
    pipeline: Annotated[
        list[str] | None, typer.Option("--pipeline", metavar="PIPELINE", help="Only of this one. Repeatable.")
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option("--status", metavar="STATE", help="Only in this state: failed, succeeded, … Repeatable."),
    ] = None,
    since: Annotated[
        str,
        typer.Option("--since", metavar="TIME", help="Only started since: an age (7d, 12h) or a time (2013-01-31)."),
    ] = "",
    partition: Annotated[str, typer.Option("--partition", "-p", metavar="KEY", help="Only of this partition.")] = "",
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", "-n", metavar="N", min=1, help="At most so many, the newest (default: 20; with -o json: all)."
        ),
    ] = None,
) -> int:
    """The history of runs, newest first."""
    from mlorch.views.rows import run_row

    terminal: Terminal = ctx.obj
    known = {state.value for state in RunState}
    for word in status or ():
        if word not in known:
            raise UsageError(f"--status {word}: a run is never in this state", f"use one of {', '.join(sorted(known))}")
    session = terminal.session()
    most = limit or (0 if terminal.json else _RUNS_SHOWN)
    found = session.runs(RunsFilter(tuple(pipeline or ()), tuple(status or ()), partition, since, most and most + 1))
    rows = [run_row(run, session.state_folder) for run in (found[:most] if most else found)]
    if terminal.json:
        terminal.document(0, {"runs": rows})
    elif not rows:
        terminal.say("no runs")
    elif terminal.table:
        from mlorch.cli.looking import now
        from mlorch.views.tables import runs_table

        terminal.show(runs_table(rows, now(terminal), terminal.width))
    else:
        from mlorch.views.plain import runs_lines

        terminal.lines(runs_lines(rows))
    if most and len(found) > most and not (terminal.json or limit):
        terminal.say(f"and older ones: mlorch runs --limit {10 * most}")
    return 0


@command(
    app,
    "show",
    """
mlorch show @latest
mlorch show flights_features@2013-01-31
""",
)
def show(ctx: typer.Context, run: Run) -> int:
    """One run in full: steps, attempts, reasons, resources used, outputs, values, metrics, and what failed."""
    from mlorch.cli.deliver import leading_options, retry_command, show_failures
    from mlorch.views.rows import run_row

    terminal: Terminal = ctx.obj
    session = terminal.session()
    found = session.find_run(run)
    row = run_row(found, session.state_folder)
    if terminal.json:
        terminal.document(0, {"runs": [row]})
        return 0
    for step in row["steps"]:
        step["log"] = terminal.shown_path(step["log"]) if step["log"] else None
    if terminal.table:
        from mlorch.cli.looking import now
        from mlorch.views.tables import show_table

        terminal.show(show_table(row, now(terminal), terminal.width))
    else:
        from mlorch.views.plain import show_lines

        terminal.lines(show_lines(row))
    show_failures(terminal, [found], [retry_command(terminal.options, found)])
    if not any(step.state.bad for step in found.steps.values()):
        from mlorch.views.failure import continue_command

        options = terminal.options._replace(profile=terminal.options.profile or found.profile)
        again = continue_command(found.pipeline, found.partition, _typed(found), leading_options(options))
        terminal.say("The same again:")
        terminal.paste(again)
    return 0


def _typed(run: RunRecord) -> list[str]:
    """The values a run had, as they are typed: strings as they are, all else as JSON."""
    import json

    words = []
    for name, value in run.params:
        words += ["--param", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    return words


@command(
    app,
    "logs",
    """
mlorch logs @latest                  all steps of the newest run
mlorch logs delay_model@latest train -f
mlorch logs 20130131 --failed --tail 50
""",
)
def logs(
    ctx: typer.Context,
    run: Run,
    step: Annotated[str, typer.Argument(metavar="[STEP]", help="Only of this step.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
    attempt: Annotated[
        int | None, typer.Option("--attempt", metavar="N", min=1, help="This attempt (default: the last one).")
    ] = None,
    tail: Annotated[
        int | None, typer.Option("--tail", metavar="N", min=0, help="Only the last N lines of each.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only of steps that failed.")] = False,
) -> int:
    """What the steps of a run printed, byte by byte."""
    terminal: Terminal = ctx.obj
    session = terminal.session()
    found = session.find_run(run)
    if step and step not in found.steps:
        raise UsageError(
            f"run {found.run_id} of {found.pipeline} has no step `{step}`",
            f"it has {', '.join(found.steps) or 'none yet'}",
        )
    chosen = _chosen(found, step, attempt, failed)
    if terminal.json:
        data = [
            {"step": name, "attempt": item.number, "path": os.path.join(session.state_folder, item.log)}
            for name, item in chosen
        ]
        terminal.document(0, {"run_id": found.run_id, "logs": data})
        return 0
    if attempt is not None and not chosen:
        raise UsageError(f"there is no attempt {attempt} with a log", f"mlorch show {found.run_id} lists the attempts")
    printer = _Printer(terminal, heads=len(chosen) > 1 or (follow and not step))
    for name, item in chosen:
        printer.print(name, item, tail)
    if follow:
        _follow(session, found, step, failed, printer)
    elif not chosen:
        terminal.warn("no logs: " + ("no step failed" if failed else "no step of this run was started"))
    return 0


def _chosen(run: RunRecord, step: str, attempt: int | None, failed: bool) -> list[tuple[str, AttemptRecord]]:
    records: Sequence[StepRecord] = [run.steps[step]] if step else list(run.steps.values())
    found = []
    for record in records:
        if failed and not record.state.bad:
            continue
        found += [
            (record.id, item)
            for item in record.attempts
            if item.log and (item.number == attempt if attempt is not None else item is record.last)
        ]
    return found


class _Printer:
    """Copies logs to stdout as bytes, and remembers how far it came in each."""

    def __init__(self, terminal: Terminal, *, heads: bool) -> None:
        self._terminal = terminal
        self._heads = heads
        self._current: tuple[str, int] | None = None
        self._offsets: dict[tuple[str, int], int] = {}

    def print(self, step: str, attempt: AttemptRecord, tail: int | None = None) -> None:
        """What is new in one log; at first only its last `tail` lines."""
        key = (step, attempt.number)
        try:
            file = open(self._terminal.log_path(attempt.log), "rb")  # noqa: SIM115 - closed by the `with` below
        except FileNotFoundError:
            return
        with file:
            offset = self._offsets.get(key, 0)
            if key not in self._offsets and tail is not None:
                offset = _tail_offset(file.fileno(), tail)
            file.seek(offset)
            while chunk := file.read(_CHUNK):
                self._head(key)
                self._write(chunk)
            self._offsets[key] = file.tell()

    def _head(self, key: tuple[str, int]) -> None:
        if self._heads and self._current != key:
            again = f" (attempt {key[1]})" if key[1] > 1 else ""
            self._write(f"{'' if self._current is None else chr(10)}==> {key[0]}{again} <==\n".encode())
        self._current = key

    def _write(self, chunk: bytes) -> None:
        """Raises `BrokenPipeError` when the reader went away: there is nothing else to do here than to stop."""
        if self._terminal.github:
            from mlorch.views.github import tame

            text = chunk.decode("utf-8", "replace")
            chunk = "".join(tame(line) + "\n" for line in text.splitlines()).encode()
        sys.stdout.flush()
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()


def _tail_offset(descriptor: int, lines: int) -> int:
    """Where the last `lines` lines of a file begin."""
    position = os.fstat(descriptor).st_size
    if lines == 0:
        return position
    wanted = lines + 1
    ends_open = position > 0 and os.pread(descriptor, 1, position - 1) != b"\n"
    wanted -= ends_open
    while position > 0:
        start = max(position - _CHUNK, 0)
        block = os.pread(descriptor, position - start, start)
        found = block.count(b"\n")
        if found >= wanted:
            index = len(block)
            for _ in range(wanted):
                index = block.rindex(b"\n", 0, index)
            return start + index + 1
        wanted -= found
        position = start
    return 0


def _follow(session: Session, run: RunRecord, step: str, failed: bool, printer: _Printer) -> None:
    """Print what comes until the run is over; its end is looked for before its logs, so that nothing is missed."""
    import time

    while True:
        run = session.find_run(run.run_id)
        over = run.state is not RunState.RUNNING or (bool(step) and step in run.steps and run.steps[step].state.ended)
        for name, item in _chosen(run, step if step in run.steps else "", None, failed):
            printer.print(name, item)
        if over:
            return
        time.sleep(_FOLLOW_S)  # the writer of a log tells nobody: a follower has to look again


@command(app, "cancel", "mlorch cancel flights_features@latest")
def cancel(ctx: typer.Context, run: Run) -> int:
    """End a run from another shell of this machine; what it finished stays done."""
    terminal: Terminal = ctx.obj
    session = terminal.session()
    found = session.find_run(run)
    told = session.cancel(found)
    if terminal.json:
        terminal.document(0, {"run_id": found.run_id, "message": told})
    elif not terminal.options.quiet:
        terminal.say(told)
    return 0
