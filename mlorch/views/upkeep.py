"""`doctor` and `gc`: what was found, and what was given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.model.findings import Level
from mlorch.views.text import count, name_of, size, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mlorch.model.findings import Collected, Finding
    from mlorch.views.rows import Row

_COLOURS = {Level.OK: "32", Level.WARNING: "1;33", Level.PROBLEM: "1;31"}


def finding_row(finding: Finding) -> Row:
    """A finding for JSON."""
    return {
        "area": finding.area.value,
        "level": finding.level.value,
        "message": finding.message,
        "remedy": finding.remedy or None,
        "file": finding.file or None,
        "line": finding.line or None,
        "mended": finding.mended or None,
    }


def problem_rows(findings: Iterable[Finding]) -> list[Row]:
    """What is not in order as rows of the `problems` list."""
    return [
        {
            "code": None,
            "severity": "error" if finding.level is Level.PROBLEM else "warning",
            "file": finding.file or None,
            "line": finding.line or None,
            "column": None,
            "message": finding.message,
            "hint": finding.remedy or None,
        }
        for finding in findings
        if finding.level is not Level.OK and not finding.mended
    ]


def finding_lines(finding: Finding, *, colour: bool = False) -> Iterator[str]:
    """`ok`, `warning` or `problem`, what it is, and below it what was done or how to mend it."""
    label = f"{finding.level.value:<8}"
    if colour:
        label = f"\x1b[{_COLOURS[finding.level]}m{label}\x1b[0m"
    yield f"{label} {visible(finding.message)}"
    if finding.mended:
        yield f"         mended: {visible(finding.mended)}"
    elif finding.remedy:
        yield f"         {visible(finding.remedy)}"


def verdict(findings: Sequence[Finding]) -> str:
    """The last line: how many of what."""
    left = [finding for finding in findings if not finding.mended]
    problems = sum(finding.level is Level.PROBLEM for finding in left)
    warnings = sum(finding.level is Level.WARNING for finding in left)
    mended = len(findings) - len(left)
    words = [count(number, noun) for number, noun in ((problems, "problem"), (warnings, "warning")) if number]
    if mended:
        words.append(f"{mended} mended")
    return ", ".join(words) or "all is well"


def collected_row(item: Collected) -> Row:
    """What was given up of a partition, for JSON."""
    return {
        "pipeline": item.pipeline,
        "partition": item.partition or None,
        "runs": list(item.runs),
        "kept": item.kept,
        "journal_bytes_before": item.journal_before,
        "journal_bytes_after": item.journal_after,
        "skipped": item.skipped or None,
    }


def collected_line(item: Collected, *, dry_run: bool) -> str:
    """`flights_features 2013-01-31: 12 runs given up, 3 kept; journal 1.5 MiB, was 3.0 MiB`."""
    name = name_of(item.pipeline, item.partition)
    if item.skipped:
        return f"{name}: left alone: {visible(item.skipped)}"
    if dry_run:
        return f"{name}: would give up {count(len(item.runs), 'run')}, keep {item.kept}"
    sizes = f"journal {size(item.journal_after)}, was {size(item.journal_before)}"
    return f"{name}: {count(len(item.runs), 'run')} given up, {item.kept} kept; {sizes}"


def collected_total(items: Sequence[Collected], folders: int, *, dry_run: bool) -> str:
    """The last line of `gc`."""
    runs = sum(len(item.runs) for item in items)
    if not runs and not folders:
        return "nothing to give up"
    verb = "would be" if dry_run else "were" if runs != 1 else "was"
    return f"{count(runs, 'run')} {verb} given up; what is done stays done"
