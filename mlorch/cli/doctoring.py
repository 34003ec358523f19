"""`doctor` and `gc`: is it sound, and what may go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlorch.cli.app import command, theme

if TYPE_CHECKING:
    from mlorch.cli.terminal import Terminal
    from mlorch.model.findings import Finding

app = theme()


@command(
    app,
    "doctor",
    """
mlorch doctor                    machine, project and state
mlorch doctor --state            only the state: every line of every journal is read
mlorch doctor --repair           mend what can be mended, and keep what it replaces
mlorch doctor -o json | jq -r '.data.findings[] | select(.level != "ok") | .message'
""",
)
def doctor(
    ctx: typer.Context,
    state: Annotated[bool, typer.Option("--state", help="Look at the state folder only.")] = False,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Mend the state (with --state); what is replaced is kept, partitions in use are left alone.",
        ),
    ] = False,
) -> int:
    """What is wrong with this machine, this project or its state, and how to mend it.

    Exit codes: 0 nothing that stops a run, 9 the state is damaged, 3 the project is wrong, 1 the machine lacks something.
    """
    from mlorch.session.upkeep import Doctor, exit_code
    from mlorch.views.upkeep import finding_row, problem_rows, verdict

    terminal: Terminal = ctx.obj
    findings: list[Finding] = []
    for found in Doctor(terminal.options, state_only=state or repair, repair=repair).findings():
        findings.append(found)
        if not terminal.json:
            _tell(terminal, found)
    code = exit_code(findings)
    if terminal.json:
        rows = [finding_row(found) for found in findings]
        terminal.document(code, {"findings": rows, "repaired": repair}, problem_rows(findings))
    elif not terminal.options.quiet or code:
        terminal.say(verdict(findings))
    return int(code)


def _tell(terminal: Terminal, found: Finding) -> None:
    """At once: reading a large state takes a while."""
    from mlorch.model.findings import Level
    from mlorch.views.upkeep import finding_lines

    if terminal.github and found.level is not Level.OK and not found.mended:
        from mlorch.views.github import annotation

        level = "error" if found.level is Level.PROBLEM else "warning"
        terminal.raw(annotation(level, found.message + (f" ({found.remedy})" if found.remedy else "")))
    elif found.level is not Level.OK or not terminal.options.quiet:
        terminal.lines(finding_lines(found, colour=terminal.options.color))


@command(
    app,
    "gc",
    """
mlorch gc --dry-run     what would go
mlorch gc               give up what `retention` in mlorch.yaml lets go
""",
)
def gc(
    ctx: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be given up.")] = False,
) -> int:
    """Give up old runs, their logs and their history, as `retention` in mlorch.yaml says.

    Kept are the newest runs of each pipeline, the newest of each partition, those that are not over, and for ever the
    record of what is done. Partitions in use are left for the next time.
    """
    from mlorch.session.upkeep import collector, gc_code
    from mlorch.views.upkeep import collected_line, collected_row, collected_total

    terminal: Terminal = ctx.obj
    work = collector(terminal.options, dry_run=dry_run)
    items = []
    for item in work.collect():
        items.append(item)
        if not terminal.json and not terminal.options.quiet:
            terminal.say(collected_line(item, dry_run=dry_run))
    code = gc_code([item.skipped for item in items if item.skipped])
    if terminal.json:
        data = {"dry_run": dry_run, "partitions": [collected_row(item) for item in items], "folders": work.folders}
        terminal.document(code, data, [])
    elif not terminal.options.quiet:
        terminal.say(collected_total(items, work.folders, dry_run=dry_run))
    return int(code)
