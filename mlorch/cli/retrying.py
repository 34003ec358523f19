"""`retry`: a past run again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlorch.cli import running
from mlorch.cli.app import command, theme
from mlorch.session.options import RunOptions

if TYPE_CHECKING:
    from mlorch.cli.terminal import Terminal
    from mlorch.session.session import Session

app = theme()
Jobs = running.Jobs
FailFast = running.FailFast
IfBusy = running.IfBusy
WaitTimeout = running.WaitTimeout
Orphans = running.Orphans
RerunUnsafe = running.RerunUnsafe
DryRun = running.DryRun


@command(
    app,
    "retry",
    """
mlorch retry                               the latest run that failed
mlorch retry flights_features@2013-01-31   the newest run of a partition
mlorch retry 20130131 --spec then          with the pipeline file as it was
""",
)
def retry(
    ctx: typer.Context,
    run: Annotated[
        str,
        typer.Argument(
            metavar="[RUN]",
            help="An id, a prefix of one, or @latest, PIPELINE@latest, PIPELINE@KEY (default: the latest that failed, "
            "and that no other run of its partition has followed).",
        ),
    ] = "",
    spec: Annotated[
        str, typer.Option("--spec", metavar="then|now", help="The pipeline file as that run had it, or as it is now.")
    ] = "now",
    fail_fast: FailFast = False,
    jobs: Jobs = None,
    if_busy: IfBusy = "wait",
    wait_timeout: WaitTimeout = "",
    orphans: Orphans = "adopt",
    rerun_unsafe: RerunUnsafe = False,
    dry_run: DryRun = False,
) -> int:
    """Run a past run again: its pipeline and partition, with its parameters and its selection of steps.

    What is done is reused, also what that run was forced to do. Exit codes are those of run; with nothing to retry, 0.
    """
    terminal: Terminal = ctx.obj
    base = RunOptions(
        pipelines=(),
        fail_fast=fail_fast,
        jobs=jobs,
        if_busy=running.one_of("--if-busy", if_busy, ("wait", "skip", "fail")),
        wait_timeout=running.seconds("--wait-timeout", wait_timeout),
        orphans=running.one_of("--orphans", orphans, ("adopt", "kill")),
        rerun_unsafe=rerun_unsafe,
    )
    then = running.one_of("--spec", spec, ("then", "now")) == "then"
    if dry_run:
        terminal.command = "plan"
    return _retry(terminal, terminal.session(), run, base, then=then, dry_run=dry_run)


def _retry(terminal: Terminal, session: Session, run: str, base: RunOptions, *, then: bool, dry_run: bool) -> int:
    from mlorch.cli.deliver import observer_for, retry_command, show_outcome
    from mlorch.views.text import name_of

    found = session.find_run(run) if run else session.latest_failed()
    if found is None:
        if terminal.json:
            terminal.document(0, {"pipelines": []} if dry_run else {"runs": []})
        elif not terminal.options.quiet:
            terminal.say("nothing to retry: the last run of no partition failed")
        return 0
    options, notes = session.retry_options(found, base, then=then)
    if not terminal.options.quiet:
        terminal.warn(
            f"· again: run {found.run_id} of {name_of(found.pipeline, found.partition)} ({found.state.value})"
        )
        for note in notes:
            terminal.warn(f"· {note}")
    if dry_run:
        return running.show_plans(terminal, session, session.plan(options))
    observer = observer_for(terminal, session)
    try:
        outcome = session.run(options, observer)
    finally:
        observer.close()
    more = ("--spec", "then") if then else ()
    again = [retry_command(terminal.options, one, more) for one in outcome.runs if one.run_id]
    return show_outcome(terminal, session, outcome, options, again)
