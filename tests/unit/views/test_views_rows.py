"""Rows have the field names of docs/cli.md, and the documents made of them keep to their schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from mlorch.model.diagnostics import Diagnostic, Place
from mlorch.model.errors import SpecError, UsageError
from mlorch.model.states import Reason, RunState, StepState
from mlorch.model.status import Awaited
from mlorch.views import json_, rows

if TYPE_CHECKING:
    from mlorch.model.history import RunRecord
    from mlorch.model.plan import Plan
    from mlorch.model.status import BackfillRow, Graph, PipelineStatus

SCHEMAS = Path(__file__).parents[3] / "schemas" / "output"


def check(name: str, command: str, data: dict[str, Any], problems: list[rows.Row] | None = None, code: int = 0) -> Any:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text("utf-8"))
    document = json.loads(json_.document(command, code, data, problems or []))
    jsonschema.Draft7Validator(schema).validate(document)
    return document["data"]


def test_run_fields(failed_run: RunRecord) -> None:
    row = rows.run_row(failed_run, "/p/.mlorch")
    assert " ".join(row) == "run_id pipeline partition state reason started_at finished_at duration_s steps"
    assert row["duration_s"] == 192.2
    clean, join, train, publish = row["steps"]
    assert " ".join(clean) == (
        "id state reason detail attempts exit_code signal started_at finished_at duration_s peak_rss_bytes cpu_s log "
        "outputs values metrics"
    )
    assert clean["duration_s"] == 4.02
    assert clean["peak_rss_bytes"] == 312 * 2**20
    assert clean["log"] == "/p/.mlorch/logs/20260501-115500-ab12/step.1.log"
    assert clean["outputs"] == {"clean": "data/clean/2013-01-31.parquet", "log": "data/log/"}
    assert clean["values"] == {"rows": 842}
    assert (train["attempts"], train["exit_code"], train["duration_s"]) == (2, 3, 188.0)
    assert (join["attempts"], join["log"], join["cpu_s"], join["duration_s"]) == (0, None, None, None)
    assert publish["state"] == "blocked"


def test_numbers_that_json_does_not_know_are_null(failed_run: RunRecord) -> None:
    failed_run.steps["clean_flights"].metrics = '{"a": NaN, "b": {"c": Infinity}, "d": 1e999, "e": 0.5}'
    row = rows.run_row(failed_run)
    assert row["steps"][0]["metrics"] == {"a": None, "b": {"c": None}, "d": None, "e": 0.5}
    check("run", "run", {"runs": [row]})


def test_a_running_step_has_no_end(good_run: RunRecord) -> None:
    step = good_run.steps["clean"]
    step.state = StepState.RUNNING
    assert rows.step_row(step)["finished_at"] is None
    assert rows.step_row(step)["duration_s"] is None


def test_run_documents_keep_to_their_schema(failed_run: RunRecord, idle_run: RunRecord) -> None:
    data = {"runs": [rows.run_row(failed_run, "/p"), rows.run_row(idle_run)]}
    seen = check("run", "run", data)
    assert seen["runs"][1]["run_id"] is None
    assert seen["runs"][1]["steps"][0]["state"] == "cached"
    for command in ("show", "runs"):
        check("run", command, data)


def test_plan_documents_keep_to_their_schema(plan: Plan) -> None:
    seen = check("plan", "plan", {"pipelines": [rows.plan_row(plan)]}, code=8)
    assert [step["action"] for step in seen["pipelines"][0]["steps"]] == ["run", "reuse", "unknown"]


def test_why_documents_keep_to_their_schema(plan: Plan) -> None:
    seen = check("why", "why", rows.why_row(plan.steps[0], Awaited()))
    assert seen["differs"][1] == {"what": "parameter [lr]", "old": None, "new": "0.2"}


def test_backfill_documents_keep_to_their_schema(backfill_rows: list[BackfillRow]) -> None:
    data = {
        "partitions": [rows.backfill_row(row) for row in backfill_rows],
        "counts": rows.backfill_counts(backfill_rows),
        "upstream": [],
    }
    seen = check("backfill", "backfill", data)
    assert seen["counts"] == {"total": 7, "succeeded": 4, "failed": 1, "done": 1, "stale": 1}


def test_status_documents_keep_to_their_schema(statuses: list[PipelineStatus]) -> None:
    seen = check("status", "status", {"pipelines": [rows.status_row(status) for status in statuses]})
    counts = seen["pipelines"][2]["partitions"]
    assert counts == {"total": 19, "done": 15, "missing": 1, "failed": 1, "stale": 1, "running": 1}
    assert counts["total"] == sum(counts.values()) - counts["total"]
    assert seen["pipelines"][3]["last_run"] is None


def test_graph_documents_keep_to_their_schema(graph: Graph) -> None:
    seen = check("graph", "graph", {"graphs": [rows.graph_row(graph)]})
    assert seen["graphs"][0]["edges"][0] == {"from": "load", "to": "clean", "what": "raw"}


def test_errors_keep_to_their_schema() -> None:
    wrong = SpecError(
        (
            Diagnostic("W201", "odd", Place("b.yaml", 2, 3)),
            Diagnostic("E102", "unknown key `runn`", Place("a.yaml", 7, 5, 4), "did you mean `run`?", "    runn: x"),
        )
    )
    check("error", "validate", {}, json_.error_problems(wrong), code=3)
    assert [problem["code"] for problem in json_.error_problems(wrong)] == ["E102", "W201"]
    check("error", "run", {}, json_.error_problems(UsageError("no such thing", "try another")), code=2)


def test_the_document_is_ascii_whatever_files_are_called() -> None:
    text = json_.document("run", 0, {"path": "d\udcffta/é"}, [])
    assert text.isascii()
    assert json.loads(text)["data"]["path"] == "d\udcffta/é"


@pytest.mark.parametrize(
    ("schema", "path", "words"),
    [
        ("run", ("definitions", "step", "properties", "state", "enum"), {state.value for state in StepState}),
        ("run", ("definitions", "run", "properties", "state", "enum"), {state.value for state in RunState}),
        ("plan", ("definitions", "step", "properties", "reason", "enum"), {reason.value for reason in Reason}),
    ],
)
def test_schemas_know_all_words(schema: str, path: tuple[str, ...], words: set[str]) -> None:
    found = json.loads((SCHEMAS / f"{schema}.schema.json").read_text("utf-8"))
    for name in path:
        found = found[name]
    assert set(found) == words


def test_step_states_are_listed_in_full() -> None:
    assert set(rows.STEP_STATES) == {state.value for state in StepState}
