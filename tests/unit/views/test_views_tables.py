"""Tables and lines as people see them, compared with files in tests/golden/views.

After a wanted change: MLORCH_GOLDEN=write python -m pytest tests/unit/views, then look at the difference.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from mlorch.model.coming import ComingTick
from mlorch.model.history import AttemptRecord, StepRecord
from mlorch.model.states import StepState
from mlorch.model.status import Awaited
from mlorch.views import coming, plain, rows, status, tables
from mlorch.views import graph as drawing
from mlorch.views.failure import continue_command, failure_lines, failure_panel, failures, what_happened

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import RenderableType

    from mlorch.model.history import RunRecord
    from mlorch.model.plan import Plan
    from mlorch.model.status import BackfillRow, Graph, PipelineStatus

GOLDEN = Path(__file__).parents[2] / "golden" / "views"
WIDTHS = (80, 200)


def drawn(width: int, *parts: RenderableType) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, color_system=None, markup=False, highlight=False, emoji=False)
    for part in parts:
        console.print(part)
    return "".join(line.rstrip() + "\n" for line in out.getvalue().splitlines())


def same_as(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("MLORCH_GOLDEN") == "write":
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")


@pytest.mark.parametrize("width", WIDTHS)
def test_status(statuses: list[PipelineStatus], now: datetime, width: int) -> None:
    text = drawn(width, status.status_table(statuses, now, width), status.legend(statuses))
    same_as(f"status.{width}.txt", text)


@pytest.mark.parametrize("width", WIDTHS)
def test_run(failed_run: RunRecord, width: int) -> None:
    same_as(f"run.{width}.txt", drawn(width, tables.run_table(rows.run_row(failed_run), width)))


@pytest.mark.parametrize("width", WIDTHS)
def test_plan(plan: Plan, width: int) -> None:
    same_as(f"plan.{width}.txt", drawn(width, tables.plan_table(rows.plan_row(plan), width)))


@pytest.mark.parametrize("width", WIDTHS)
def test_history(failed_run: RunRecord, good_run: RunRecord, now: datetime, width: int) -> None:
    found = [rows.run_row(failed_run), rows.run_row(good_run)]
    same_as(f"runs.{width}.txt", drawn(width, tables.runs_table(found, now, width)))


@pytest.mark.parametrize("width", WIDTHS)
def test_show(failed_run: RunRecord, now: datetime, width: int) -> None:
    same_as(f"show.{width}.txt", drawn(width, tables.show_table(rows.run_row(failed_run), now, width)))


def test_why(plan: Plan) -> None:
    same_as("why.80.txt", drawn(80, tables.why_text("delay_model", rows.why_row(plan.steps[0], Awaited()))))


@pytest.mark.parametrize("width", [80, 200])
def test_next(width: int) -> None:
    ticks = [
        ComingTick("daily", "2026-10-25T00:30:00.000Z", "2026-10-25T02:30:00+02:00", "Europe/Berlin", ("2026-10-24",), 1, "its time happens twice, it fires the first time"),
        ComingTick("a_pipeline_with_a_longer_name", "2026-10-31T00:00:00.000Z", "2026-10-31T00:00:00+00:00", "UTC", (), 0, ""),
    ]  # fmt: skip
    same_as(f"next.{width}.txt", drawn(width, coming.coming_table(ticks, width)))


def test_backfill(backfill_rows: list[BackfillRow]) -> None:
    same_as("backfill.80.txt", drawn(80, tables.backfill_table(backfill_rows), status.backfill_view(backfill_rows)))


def test_plain(
    failed_run: RunRecord,
    good_run: RunRecord,
    plan: Plan,
    idle_run: RunRecord,
    statuses: list[PipelineStatus],
    backfill_rows: list[BackfillRow],
    now: datetime,
) -> None:
    run = rows.run_row(failed_run, ".mlorch")
    lines = [plain.step_line(step) for step in run["steps"]]
    lines += ["", plain.run_line(run), plain.run_line(rows.run_row(idle_run))]
    lines += ["", *plain.plan_lines(rows.plan_row(plan))]
    lines += ["", *plain.status_lines(statuses, now)]
    lines += ["", *plain.runs_lines([run, rows.run_row(good_run)])]
    lines += ["", *plain.show_lines(run)]
    lines += ["", *plain.why_lines("delay_model", rows.why_row(plan.steps[0], Awaited()))]
    lines += ["", *plain.backfill_lines(backfill_rows), plain.backfill_total(backfill_rows)]
    same_as("plain.txt", "\n".join(lines) + "\n")


def log_tail(log: str, limit: int) -> bytes:
    return (b"epoch 1\nepoch 2\n\x1b[31mTraceback\x1b[0m \xff\n" + log.encode() + b"\n")[-limit:]


def test_failure(failed_run: RunRecord) -> None:
    found = failures(failed_run, log_tail, lambda log: f".mlorch/{log}")
    assert [item.title for item in found] == ["delay_model 2013-01-31 · train[lr=0.1,seed=1]"]
    command = continue_command("delay_model", "2013-01-31", ["--param", "note=it's $HOME"], ["--project", "a b"])
    text = drawn(80, failure_panel(found[0])) + "\n".join([*failure_lines(found[0]), command]) + "\n"
    same_as("failure.txt", text)


def test_an_end_that_needs_explaining_is_told_once() -> None:
    attempt = AttemptRecord(1, StepState.FAILED, cause="exit", exit_code=141, detail="exit status 141")
    step = StepRecord("a", StepState.FAILED, "never_done", "exit status 141", [attempt])
    assert what_happened(step, attempt) == "exit status 141 (what a shell says of a command ended by signal 13)"
    step.state, step.detail = StepState.LOST, "cut off"
    assert what_happened(step, AttemptRecord(1, StepState.LOST, detail="it has never been done")) == "cut off"


def test_graph(graph: Graph) -> None:
    tree = "\n".join(drawing.tree_lines(graph)) + "\n" + "\n".join(drawing.tree_lines(graph, glyphs=False)) + "\n"
    same_as("graph.txt", tree + drawing.mermaid(graph) + drawing.dot(graph))


def test_no_column_for_what_nothing_has(statuses: list[PipelineStatus], now: datetime) -> None:
    assert "model " not in drawn(200, status.status_table(statuses, now, 200)).splitlines()[0]


def test_ten_thousand_steps_fit(good_run: RunRecord) -> None:
    for index in range(10_000):
        state = StepState.FAILED if index == 77 else StepState.SUCCEEDED
        good_run.steps[f"s{index}"] = StepRecord(f"s{index}", state)
    text = drawn(80, tables.run_table(rows.run_row(good_run), 80))
    assert len(text.splitlines()) < 20
    assert "s77" in text
    assert "10,000 succeeded · 1 failed" in text


def test_a_cancelled_run_of_very_many_steps_fits_the_screen(good_run: RunRecord) -> None:
    for index in range(300):
        state = StepState.CANCELLED if index > 90 else StepState.SUCCEEDED
        good_run.steps[f"s{index}"] = StepRecord(f"s{index}", state)
    text = drawn(80, tables.run_table(rows.run_row(good_run), 80))
    assert len(text.splitlines()) < 20
    assert "209 cancelled" in text


def test_a_strip_too_long_shows_the_worst_of_each_cell() -> None:
    from mlorch.model.status import PartitionHealth

    days = [(str(day), PartitionHealth.DONE) for day in range(365)]
    days[200] = ("200", PartitionHealth.FAILED)
    text = status.strip(days, 50).plain
    assert len(text) == 50
    assert text.count("✗") == 1
    assert status.strip(days, 50, newest=10).plain == "■" * 10


def test_a_chain_of_many_steps_is_drawn_without_recursion() -> None:
    from mlorch.model.status import Graph, GraphNode

    chain = [GraphNode("s0"), *(GraphNode(f"s{i}", ((f"s{i - 1}", ""),)) for i in range(1, 3000))]
    assert len(drawing.tree_lines(Graph("", tuple(chain)))) == 3000
