"""`run`, `backfill` and `plan`: bringing partitions up to date, or saying what that would take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlorch.cli.app import command, theme
from mlorch.model.diagnostics import Diagnostic
from mlorch.model.errors import ExitCode, SpecError, UsageError
from mlorch.session.options import BackfillOptions, RunOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlorch.cli.terminal import Terminal
    from mlorch.model.plan import Plan
    from mlorch.session.session import Session

app = theme()

Pipelines = Annotated[
    list[str],
    typer.Argument(
        metavar="PIPELINE...",
        help="A name, a file, or a selection: tag:x, kind:feature, owner:dana, +name (with what it needs), "
        "name+ (with what needs it), or a glob.",
    ),
]
OnePipeline = Annotated[str, typer.Argument(metavar="PIPELINE", help="A name, a file, or a selection.")]
Partitions = Annotated[
    list[str] | None,
    typer.Option(
        "--partition",
        "-p",
        metavar="KEY",
        help="A partition (2013-01-31, or 2013-01-31,JFK); it may end early or hold *. Repeatable. "
        "Default: the window that closed last.",
    ),
]
Params = Annotated[
    list[str] | None,
    typer.Option(
        "--param", metavar="NAME=VALUE", help="A parameter's value, checked before anything runs. Repeatable."
    ),
]
ParamsFile = Annotated[
    str, typer.Option("--params-file", metavar="FILE", help="A YAML or JSON file with values of parameters.")
]
Only = Annotated[list[str] | None, typer.Option("--only", metavar="STEP", help="Only this step. Repeatable.")]
From = Annotated[
    list[str] | None, typer.Option("--from", metavar="STEP", help="This step and what comes after it. Repeatable.")
]
Until = Annotated[
    list[str] | None, typer.Option("--until", metavar="STEP", help="This step and what it needs. Repeatable.")
]
Force = Annotated[bool, typer.Option("--force", help="Run all that is selected, also what is unchanged.")]
ForceStep = Annotated[
    list[str] | None,
    typer.Option("--force-step", metavar="STEP", help="Run this step even if nothing changed. Repeatable."),
]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", "-j", metavar="N", min=1, help="Steps at once over the whole command (default: the CPUs)."),
]
WithUpstream = Annotated[
    bool, typer.Option("--with-upstream", help="Also bring up to date what this reads from other pipelines.")
]
FailFast = Annotated[
    bool,
    typer.Option("--fail-fast/--keep-going", help="Stop at the first failure, or go on with what does not need it."),
]
IfBusy = Annotated[
    str,
    typer.Option(
        "--if-busy",
        metavar="wait|skip|fail",
        help="When another run holds the partition or a pool: wait, exit 0, or exit 6.",
    ),
]
WaitTimeout = Annotated[
    str, typer.Option("--wait-timeout", metavar="DURATION", help="Wait at most so long (30s, 10m); then exit 6.")
]
Orphans = Annotated[
    str,
    typer.Option(
        "--orphans",
        metavar="adopt|kill",
        help="A step that outlived a killed run: wait and take its result, or end it.",
    ),
]
RerunUnsafe = Annotated[
    bool,
    typer.Option(
        "--rerun-unsafe", help="Also repeat steps with `side_effects: external` that may have happened already."
    ),
]
Executor = Annotated[
    str, typer.Option("--executor", metavar="NAME", help="Where steps run that say nothing else (so far: local).")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done (the same as plan).")]


@command(
    app,
    "run",
    """
mlorch run flights_features                 the window that closed last
mlorch run flights_features -p 2013-01-31   one day
mlorch run delay_model --param trees=200    with another value
mlorch run delay_model --only train         one step; what it needs must be there
mlorch run '+delay_predictions'             with the pipelines it reads from
mlorch run flights_features --due -q        for a crontab line: only when its schedule says so
""",
)
def run(
    ctx: typer.Context,
    pipelines: Pipelines,
    partition: Partitions = None,
    param: Params = None,
    params_file: ParamsFile = "",
    only: Only = None,
    from_: From = None,
    until: Until = None,
    force: Force = False,
    force_step: ForceStep = None,
    fail_fast: FailFast = False,
    jobs: Jobs = None,
    if_busy: IfBusy = "wait",
    wait_timeout: WaitTimeout = "",
    orphans: Orphans = "adopt",
    rerun_unsafe: RerunUnsafe = False,
    executor: Executor = "local",
    dry_run: DryRun = False,
    with_upstream: WithUpstream = False,
    due: Annotated[
        bool, typer.Option("--due", help="Only what its schedule or its triggers make due now: for crontab lines.")
    ] = False,
) -> int:
    """Bring a pipeline's partition up to date.

    Runs the steps whose result is missing, or no longer what it would be today, and reuses all others. The same
    command again finds nothing to do; after a failure or a kill it goes on where it was.
    """
    from mlorch.cli.deliver import perform

    _known_executor(executor)
    terminal: Terminal = ctx.obj
    options = RunOptions(
        pipelines=tuple(pipelines),
        partitions=tuple(partition or ()),
        params=_params(param),
        params_file=params_file,
        only=tuple(only or ()),
        from_steps=tuple(from_ or ()),
        until=tuple(until or ()),
        force=force,
        force_steps=tuple(force_step or ()),
        fail_fast=fail_fast,
        jobs=jobs,
        if_busy=one_of("--if-busy", if_busy, ("wait", "skip", "fail")),
        wait_timeout=seconds("--wait-timeout", wait_timeout),
        orphans=one_of("--orphans", orphans, ("adopt", "kill")),
        rerun_unsafe=rerun_unsafe,
        with_upstream=with_upstream,
    )
    if due:
        return _run_due(terminal, options, dry_run=dry_run)
    if dry_run:
        terminal.command = "plan"
        session = terminal.session()
        return show_plans(terminal, session, session.plan(options))
    return perform(terminal, options)


def _run_due(terminal: Terminal, options: RunOptions, *, dry_run: bool) -> int:
    """`run --due` is a tick of the pipelines named."""
    from mlorch.cli.ticking import perform_tick

    chosen = {
        "-p": options.partitions,
        "--param": options.params or options.params_file,
        "--only, --from and --until": options.only or options.from_steps or options.until,
        "--force": options.force or options.force_steps,
        "--with-upstream": options.with_upstream,
        "--dry-run": dry_run,
    }
    for name, given in chosen.items():
        if given:
            raise UsageError(
                f"--due and {name} do not go together", "with --due the schedule chooses; `mlorch next` shows what"
            )
    return perform_tick(terminal, options.pipelines, options, waiting=None)


@command(
    app,
    "plan",
    """
mlorch plan flights_features -p 2013-01-31
mlorch plan delay_model --exit-code || echo 'something would run'
mlorch plan delay_model -o json | jq '.data.pipelines[].steps[] | select(.action != "reuse")'
""",
)
def plan(
    ctx: typer.Context,
    pipelines: Pipelines,
    partition: Partitions = None,
    param: Params = None,
    params_file: ParamsFile = "",
    only: Only = None,
    from_: From = None,
    until: Until = None,
    force: Force = False,
    force_step: ForceStep = None,
    rerun_unsafe: Annotated[
        bool, typer.Option("--rerun-unsafe", help="As in run: also repeat steps with `side_effects: external`.")
    ] = False,
    with_upstream: WithUpstream = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 8 when something would run.")] = False,
) -> int:
    """Show what run would do, step by step, and why.

    Takes the same decisions as run, up to starting anything. Nothing is changed, locked or repaired.
    """
    terminal: Terminal = ctx.obj
    options = RunOptions(
        pipelines=tuple(pipelines),
        partitions=tuple(partition or ()),
        params=_params(param),
        params_file=params_file,
        only=tuple(only or ()),
        from_steps=tuple(from_ or ()),
        until=tuple(until or ()),
        force=force,
        force_steps=tuple(force_step or ()),
        rerun_unsafe=rerun_unsafe,
        with_upstream=with_upstream,
    )
    session = terminal.session()
    return show_plans(terminal, session, session.plan(options), tell=exit_code)


@command(
    app,
    "backfill",
    """
mlorch backfill flights_features --from 2013-01-01 --to 2013-01-21
mlorch backfill flights_features --last 7 --only missing,failed,stale
mlorch backfill delay_predictions --from 2013-01-15 --with-upstream --dry-run
""",
)
def backfill(
    ctx: typer.Context,
    pipeline: OnePipeline,
    from_: Annotated[str, typer.Option("--from", metavar="KEY", help="The first window (included).")] = "",
    to: Annotated[str, typer.Option("--to", metavar="KEY", help="The last window (included).")] = "",
    last: Annotated[int | None, typer.Option("--last", metavar="N", min=1, help="The newest N windows.")] = None,
    partition: Annotated[
        list[str] | None,
        typer.Option(
            "--partition", "-p", metavar="KEY", help="This partition; it may end early or hold *. Repeatable."
        ),
    ] = None,
    only: Annotated[
        str,
        typer.Option("--only", metavar="LIST", help="Which of them: missing, failed, stale, all; a comma list."),
    ] = "missing,failed",
    param: Params = None,
    params_file: ParamsFile = "",
    jobs: Jobs = None,
    newest_first: Annotated[bool, typer.Option("--newest-first", help="Begin with the newest window.")] = False,
    max_failures: Annotated[
        int | None,
        typer.Option("--max-failures", metavar="N", min=1, help="Start nothing new after so many failed partitions."),
    ] = None,
    with_upstream: WithUpstream = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which partitions would run.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before a large backfill.")] = False,
) -> int:
    """Bring many partitions up to date.

    Says first which partitions of the range would run and why. A partition that fails does not stop the others.
    Stopped or killed, the same command goes on where it was.
    """
    from mlorch.cli import deliver

    terminal: Terminal = ctx.obj
    if last is not None and (from_ or to):
        raise UsageError("--last and --from or --to name two ranges", "use one of them")
    options = BackfillOptions(
        pipeline=pipeline,
        first=from_,
        last=to,
        newest=last,
        partitions=tuple(partition or ()),
        only=tuple(one_of("--only", word.strip(), ("missing", "failed", "stale", "all")) for word in only.split(",")),
        params=_params(param),
        params_file=params_file,
        jobs=jobs,
        newest_first=newest_first,
        max_failures=max_failures,
        with_upstream=with_upstream,
        dry_run=dry_run,
    )
    return deliver.backfill(terminal, options, ask=not yes)


def show_plans(terminal: Terminal, session: Session, plans: Sequence[Plan], *, tell: bool = False) -> int:
    """What `plan` says; returns its exit code. `tell`: 8 when something would run."""
    from mlorch.views.rows import plan_row

    rows = [plan_row(item) for item in plans]
    for note in session.hearsay:
        terminal.warn(note)
    changes = any(step["action"] in ("run", "unknown") for row in rows for step in row["steps"])
    code = int(ExitCode.WOULD_CHANGE) if tell and changes else 0
    if session.passed_over:
        code = int(ExitCode.SPEC)
    if terminal.json:
        from mlorch.views.json_ import diagnostics

        terminal.document(code, {"pipelines": rows}, diagnostics(session.diagnostics))
        return code
    from mlorch.cli.deliver import say_passed_over

    say_passed_over(terminal, session)
    if terminal.options.quiet:
        return code
    if terminal.table:
        from mlorch.views.tables import plan_table

        width = terminal.width
        for index, row in enumerate(rows):
            terminal.show(
                *(
                    [
                        "",
                    ]
                    if index
                    else []
                ),
                plan_table(row, width),
            )
    else:
        from mlorch.views.plain import plan_lines

        for row in rows:
            terminal.lines(plan_lines(row))
    return code


def _params(given: list[str] | None) -> tuple[tuple[str, str], ...]:
    found = []
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--param {text}: a parameter is given as NAME=VALUE")
        found.append((name, value))
    return tuple(found)


def _known_executor(name: str) -> None:
    """Raises `SpecError` for an executor that is none: a setting of an engine, not of the command line."""
    from mlorch.spec.not_yet import EXECUTORS

    if name not in EXECUTORS:
        message = f"`--executor {name}` is understood, but does not work yet in this version of mlorch"
        raise SpecError((Diagnostic("E601", message, None, f"there is {', '.join(EXECUTORS)} so far"),))


def one_of(option: str, value: str, allowed: tuple[str, ...]) -> str:
    """The value, if it is one of those allowed. Raises `UsageError`."""
    if value not in allowed:
        raise UsageError(f"{option} {value}: use one of {', '.join(allowed)}")
    return value


def seconds(option: str, text: str) -> float | None:
    """A duration as typed, in seconds; None for "". Raises `UsageError`."""
    if not text:
        return None
    from mlorch.lang.units import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None
