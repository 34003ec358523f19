"""What is shown of runs: while they go on, and when they are over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.model.errors import ExitCode
from mlorch.session.options import DEFAULT_ONLY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlorch.cli.terminal import Terminal
    from mlorch.model.diagnostics import Place
    from mlorch.model.history import RunRecord, StepRecord
    from mlorch.model.status import BackfillRow
    from mlorch.session.contract import BackfillObserver, BackfillOutcome, Outcome
    from mlorch.session.options import BackfillOptions, GlobalOptions, RunOptions
    from mlorch.session.session import Session
    from mlorch.views.rows import Row

FAILURES_SHOWN = 3
ASK_FROM = 50
_IN_FULL = 3
_SUMMARY_BYTES = 64 * 1024


class LateLive:
    """A live view that is made when there is something to see: `rich` is slow to import, and often nothing is to be done."""

    def __init__(
        self, terminal: Terminal, session: Session, confirm: Callable[[Sequence[BackfillRow]], bool] | None
    ) -> None:
        self._terminal = terminal
        self._session = session
        self._confirm = confirm
        self._view: BackfillObserver | None = None

    @property
    def _ready(self) -> BackfillObserver:
        if self._view is None:
            from time import monotonic

            from mlorch.views.live import LiveObserver

            self._view = LiveObserver(
                self._terminal.console(), self._terminal.tail, monotonic, self._confirm, self._session.expected
            )
        return self._view

    def planned(self, rows: Sequence[BackfillRow]) -> bool:
        """Say what is about to be done, perhaps ask."""
        return self._ready.planned(rows)

    def run_started(self, run: RunRecord, order: Sequence[str]) -> None:
        """From here on there is something to see."""
        self._ready.run_started(run, order)

    def step_changed(self, run: RunRecord, step: StepRecord) -> None:
        """Pass it on."""
        self._ready.step_changed(run, step)

    def step_runs(self, run: RunRecord, step: str, *, runs: bool) -> None:
        """Pass it on."""
        self._ready.step_runs(run, step, runs=runs)

    def step_waits(self, run: RunRecord, step: str, pool: str, holders: str) -> None:
        """Pass it on."""
        self._ready.step_waits(run, step, pool, holders)

    def run_ended(self, run: RunRecord) -> None:
        """Pass it on."""
        self._ready.run_ended(run)

    def note(self, message: str) -> None:
        """Before the view is there, a plain line does."""
        if self._view is None:
            from mlorch.views.text import one_line

            self._terminal.warn(f"· {one_line(message)}")
        else:
            self._view.note(message)

    def tick(self) -> None:
        """Only what is there can be redrawn."""
        if self._view is not None:
            self._view.tick()

    def close(self) -> None:
        """Only what is there can be closed."""
        if self._view is not None:
            self._view.close()


def observer_for(terminal: Terminal, session: Session, *, ask: bool = False, dry_run: bool = False) -> BackfillObserver:
    """The observer that fits where output goes."""
    from mlorch.views.lines import LineObserver, QuietObserver

    if terminal.json or terminal.options.quiet or dry_run:
        return QuietObserver(terminal.warn)
    if terminal.github:
        import secrets

        from mlorch.views.github import GithubObserver

        def place(pipeline: str, step: str) -> Place | None:
            return terminal.in_repository(session.place(pipeline, step))

        return GithubObserver(terminal.raw, terminal.tail, lambda: secrets.token_hex(16), place)
    if terminal.live:
        return LateLive(terminal, session, _confirmed if ask else None)
    return LineObserver(terminal.say, terminal.warn, verbose=terminal.options.verbose)


def _confirmed(rows: Sequence[BackfillRow]) -> bool:
    """Ask before very many partitions, where somebody can answer."""
    import sys

    from mlorch.cli.terminal import is_terminal

    wanted = sum(row.action == "run" for row in rows)
    if wanted < ASK_FROM or not is_terminal(sys.stdin):
        return True
    try:
        answer = input(f"Run {wanted:,} partitions? [Y/n] ")
    except EOFError:
        return False
    return answer.strip().lower() in ("", "y", "yes")


def perform(terminal: Terminal, options: RunOptions) -> int:
    """Run, watch, and tell how it ended; returns the exit code."""
    from mlorch.session import ahead

    reading = ahead.begin(terminal.options, options.pipelines)
    try:
        session = terminal.session(reading)
        observer = observer_for(terminal, session)
        try:
            outcome = session.run(options, observer, brief=not (terminal.json or terminal.github))
        finally:
            observer.close()
    finally:
        reading.close()
    return show_outcome(terminal, session, outcome, options)


def backfill(terminal: Terminal, options: BackfillOptions, *, ask: bool) -> int:
    """As `perform`, for many partitions. `ask` before very many."""
    session = terminal.session()
    observer = observer_for(terminal, session, ask=ask, dry_run=options.dry_run)
    try:
        outcome = session.backfill(options, observer)
    finally:
        observer.close()
    return show_backfill(terminal, session, outcome, options)


def show_outcome(
    terminal: Terminal, session: Session, outcome: Outcome, options: RunOptions, again: Sequence[str] | None = None
) -> int:
    """What came of `run`; returns its exit code. `again` are the commands that go on, unless they follow from `options`."""
    from mlorch.views.rows import run_row

    for note in outcome.notes:
        terminal.warn(note)
    rows = [run_row(run, session.state_folder) for run in outcome.runs]
    if terminal.json:
        from mlorch.views.json_ import diagnostics

        terminal.document(outcome.exit_code, {"runs": rows}, diagnostics(session.diagnostics))
        return outcome.exit_code
    say_passed_over(terminal, session)
    if not terminal.options.quiet:
        for row in rows:
            if row["run_id"] is None:
                _idle_line(terminal, row)
        _summary(terminal, [row for row in rows if row["run_id"] is not None])
    else:
        _complain(terminal, rows, outcome.exit_code)
    if terminal.github:
        from mlorch.views.github import summary

        terminal.append_summary(summary(rows, _written))
    show_failures(terminal, outcome.runs, _go_on(terminal, outcome.runs, options) if again is None else again)
    return outcome.exit_code


def _written(step: Row) -> str:
    """What a step wrote to `$MLORCH_SUMMARY` in this run: at most `_SUMMARY_BYTES`, whole lines."""
    if not step["log"]:
        return ""
    try:
        with open(step["log"].removesuffix("log") + "summary", "rb") as file:
            text = file.read(_SUMMARY_BYTES + 1).decode("utf-8", "replace")
    except OSError:
        return ""
    return text if len(text) <= _SUMMARY_BYTES else text[: text.rfind("\n", 0, _SUMMARY_BYTES) + 1]


def say_passed_over(terminal: Terminal, session: Session) -> None:
    """Files that a selection might have meant, but whose specs are wrong, on stderr."""
    if session.passed_over:
        from mlorch.cli.errors import say_problems

        say_problems(terminal, session.passed_over, error=True)


def _idle_line(terminal: Terminal, row: Row) -> None:
    """Written by hand: the most frequent end of a run must not wait for a library of tables."""
    from mlorch.views.plain import run_line

    line = run_line(row)
    if terminal.table and row["state"] == "succeeded":
        line = f"\x1b[32m✓\x1b[0m {line}" if terminal.options.color else f"✓ {line}"
    terminal.say(line)


def _complain(terminal: Terminal, rows: Sequence[Row], exit_code: int) -> None:
    """`-q`: of the runs that did not reach their end, and have no failed step to show, a line each on stderr."""
    from mlorch.views.plain import run_line

    for row in rows:
        busy = row["state"] == "skipped" and exit_code == ExitCode.BUSY
        if busy or row["state"] not in ("succeeded", "failed", "skipped"):
            terminal.warn(run_line(row))


def _summary(terminal: Terminal, rows: Sequence[Row]) -> None:
    if terminal.table and rows:
        from mlorch.views.tables import heading, run_table

        if len(rows) <= _IN_FULL:
            width = terminal.width
            terminal.show(*(run_table(row, width) for row in rows))
        else:
            terminal.show(*(heading(row) for row in rows))
        return
    from mlorch.views.plain import run_line

    terminal.lines(run_line(row) for row in rows)


def _go_on(terminal: Terminal, runs: Sequence[RunRecord], options: RunOptions) -> list[str]:
    """The commands that go on with the runs in which something failed."""
    from mlorch.views.failure import continue_command

    leading = leading_options(terminal.options)
    words = _param_words(options.params, options.params_file)
    for name, steps in (("--only", options.only), ("--from", options.from_steps), ("--until", options.until)):
        words += [word for step in steps for word in (name, step)]
    words += ["--with-upstream"] if options.with_upstream else []
    return [
        continue_command(run.pipeline, run.partition, words + _unsafe_words(run), leading)
        for run in runs
        if _failed(run)
    ]


def retry_command(options: GlobalOptions, run: RunRecord, more: Sequence[str] = ()) -> str:
    """The command that runs `run` again."""
    import shlex

    words = ["mlorch", *leading_options(options), "retry", run.run_id, *more, *_unsafe_words(run)]
    return " ".join(map(shlex.quote, words))


def _unsafe_words(run: RunRecord) -> list[str]:
    """What it takes to go on where a step may have had its effects already."""
    return ["--rerun-unsafe"] if any(step.reason == "unsafe" for step in run.steps.values()) else []


def _failed(run: RunRecord) -> int:
    return sum(step.state.bad for step in run.steps.values())


def show_failures(terminal: Terminal, runs: Sequence[RunRecord], commands: Sequence[str]) -> None:
    """Panels of the first failures; below them the commands that go on, and those that open a shell where it failed."""
    total = sum(_failed(run) for run in runs)
    if not total:
        return
    from mlorch.views.failure import failures, shell_commands

    shown = 0
    shells: list[str] = []
    for run in runs:
        shells += shell_commands(run, leading_options(terminal.options), FAILURES_SHOWN - shown)
        for found in failures(run, terminal.tail, terminal.shown_path, FAILURES_SHOWN - shown):
            shown += 1
            _show_failure(terminal, found)
    tell = terminal.warn if terminal.options.quiet or terminal.json else terminal.raw
    if total > shown:
        tell(f"… and {total - shown:,} more that failed: mlorch show RUN")
    tell("When that is mended, go on with:")
    for line in commands[:FAILURES_SHOWN]:
        tell(f"  {line}")
    if len(commands) > FAILURES_SHOWN:
        tell(f"  … and {len(commands) - FAILURES_SHOWN:,} more partitions")
    if shells:
        tell("For a shell where it failed:")
    for line in shells:
        tell(f"  {line}")


def _show_failure(terminal: Terminal, found: object) -> None:
    from mlorch.views.failure import Failure, failure_lines, failure_panel

    if not isinstance(found, Failure):
        return
    if terminal.table:
        terminal.show(failure_panel(found), error=terminal.options.quiet)
    elif terminal.options.quiet:
        for line in failure_lines(found):
            terminal.warn(line)
    else:
        terminal.lines(failure_lines(found))


def leading_options(options: GlobalOptions) -> list[str]:
    """The global options that a command to paste must repeat."""
    words = []
    if options.project:
        words += ["--project", options.project]
    if options.profile:
        words += ["--profile", options.profile]
    return words


def show_backfill(terminal: Terminal, session: Session, outcome: BackfillOutcome, options: BackfillOptions) -> int:
    """What came of `backfill`; returns its exit code."""
    from mlorch.views.rows import backfill_counts, backfill_row

    for note in outcome.notes:
        terminal.warn(note)
    if terminal.json:
        from mlorch.views.json_ import diagnostics

        data = {
            "partitions": [backfill_row(row) for row in outcome.rows],
            "counts": backfill_counts(outcome.rows),
            "upstream": [backfill_row(row) for row in outcome.upstream],
        }
        terminal.document(outcome.exit_code, data, diagnostics(session.diagnostics))
        return outcome.exit_code
    if not terminal.options.quiet:
        _backfill_summary(terminal, outcome, options)
    if terminal.github:
        from mlorch.views.github import summary
        from mlorch.views.rows import run_row

        terminal.append_summary(summary([run_row(run, session.state_folder) for run in outcome.runs], _written))
    show_failures(terminal, outcome.runs, [backfill_command(options, leading_options(terminal.options), options.only)])
    return outcome.exit_code


def _backfill_summary(terminal: Terminal, outcome: BackfillOutcome, options: BackfillOptions) -> None:
    from mlorch.views.plain import backfill_lines, backfill_total

    rows = (*outcome.upstream, *outcome.rows)
    if terminal.table:
        from mlorch.views.status import backfill_view
        from mlorch.views.tables import backfill_table

        if options.dry_run:
            terminal.show(backfill_table(rows))
        terminal.show(backfill_view(rows))
    else:
        if options.dry_run or terminal.options.verbose:
            terminal.lines(backfill_lines(rows))
        terminal.say(backfill_total(rows))
    if outcome.stale:
        from mlorch.views.text import count

        terminal.say(f"{count(outcome.stale, 'partition')} stale; to run these too:")
        terminal.paste(backfill_command(options, leading_options(terminal.options), ("stale",)))


def _param_words(params: Sequence[tuple[str, str]], file: str) -> list[str]:
    words = ["--params-file", file] if file else []
    for name, value in params:
        words += ["--param", f"{name}={value}"]
    return words


def backfill_command(options: BackfillOptions, leading: Sequence[str], only: Sequence[str]) -> str:
    """The backfill of the same range that takes `only` those partitions."""
    import shlex

    words = ["mlorch", *leading, "backfill", options.pipeline]
    for name, value in (("--from", options.first), ("--to", options.last)):
        words += [name, value] if value else []
    words += ["--last", str(options.newest)] if options.newest else []
    for key in options.partitions:
        words += ["-p", key]
    words += ["--with-upstream"] if options.with_upstream else []
    words += _param_words(options.params, options.params_file)
    if tuple(only) != DEFAULT_ONLY:
        words += ["--only", ",".join(only)]
    return " ".join(shlex.quote(word) for word in words)
