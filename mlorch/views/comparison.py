"""Two runs side by side, as rows and as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.views.plain import columns
from mlorch.views.rows import run_row, step_row
from mlorch.views.text import duration, name_of, one_line, visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlorch.model.comparison import Comparison
    from mlorch.model.plan import Difference
    from mlorch.views.rows import Row

_WIDEST = 60


def comparison_row(found: Comparison) -> Row:
    """For `-o json`: pairs are [old, new]."""
    steps = []
    for step in found.steps:
        sides = [step_row(side) if side is not None else None for side in (step.old, step.new)]
        steps.append(
            {
                "id": step.id,
                "states": [side and side["state"] for side in sides],
                "durations_s": [side and side["duration_s"] for side in sides],
                "differs": _rows(step.differs),
            }
        )
    return {
        "runs": [found.old.run_id, found.new.run_id],
        "durations_s": [run_row(run)["duration_s"] for run in (found.old, found.new)],
        "differs": _rows(found.differs),
        "spec": list(found.spec),
        "steps": steps,
    }


def _rows(differs: Iterable[Difference]) -> list[Row]:
    return [{"what": item.what, "old": item.old or None, "new": item.new or None} for item in differs]


def comparison_lines(found: Comparison) -> list[str]:
    """Columns: what, the one run, the other. Durations always, all else only where it differs; the specs' diff last."""
    rows = [
        ["", found.old.run_id, found.new.run_id],
        ["", *(name_of(run.pipeline, run.partition) for run in (found.old, found.new))],
        ["took", *(duration(run_row(run)["duration_s"]) for run in (found.old, found.new))],
        *_cells(found.differs, ""),
    ]
    for step in found.steps:
        sides = [step_row(side) if side is not None else None for side in (step.old, step.new)]
        told = [f"{side['state']}  {duration(side['duration_s'])}".rstrip() if side else "-" for side in sides]
        rows += [[visible(step.id), *told], *_cells(step.differs, "  ")]
    lines = columns(rows)
    if found.spec:
        lines += ["", *(visible(line) for line in found.spec)]
    return lines


def _cells(differs: Iterable[Difference], margin: str) -> list[list[str]]:
    return [[f"{margin}{visible(item.what)}", _short(item.old), _short(item.new)] for item in differs]


def _short(text: str) -> str:
    line = one_line(text) or "-"
    return line if len(line) <= _WIDEST else line[: _WIDEST - 1] + "…"
