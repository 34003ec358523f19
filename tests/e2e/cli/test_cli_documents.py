"""`-o json`: one document on stdout, held to its schema, whatever happens."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.cli.conftest import Project


def test_each_command_keeps_to_its_schema(project: Project) -> None:
    planned = project.json("plan", "demo", "-p", "2013-01-02", "--exit-code", code=8)
    assert [step["action"] for step in planned["data"]["pipelines"][0]["steps"]] == ["run", "run", "run"]
    ran = project.json("run", "demo", "-p", "2013-01-02")["data"]["runs"][0]
    assert [step["state"] for step in ran["steps"]] == ["succeeded"] * 3
    assert ran["duration_s"] > 0
    again = project.json("run", "demo", "-p", "2013-01-02")["data"]["runs"]
    assert [(run["run_id"], run["state"], {step["state"] for step in run["steps"]}) for run in again] == [
        (None, "succeeded", {"cached"})
    ]
    assert project.json("plan", "demo", "-p", "2013-01-02", "--exit-code")["exit_code"] == 0
    assert project.json("run", "demo", "-p", "2013-01-02", "--dry-run", schema="plan")["command"] == "plan"
    back = project.json("backfill", "demo", "--from", "2013-01-01", "--to", "2013-01-03")
    assert back["data"]["counts"]["total"] == 3
    row = project.json("status")["data"]["pipelines"][0]
    assert row["partitions"] == {"total": 10, "done": 3, "missing": 7, "failed": 0, "stale": 0, "running": 0}
    runs = project.json("runs", schema="run")["data"]["runs"]
    assert len(runs) == 3
    assert project.json("show", runs[0]["run_id"], schema="run")["data"]["runs"] == [runs[0]]
    assert project.json("why", "demo", "load", "-p", "2013-01-02")["data"]["verdict"] == "fresh"
    assert project.json("graph", "demo")["data"]["graphs"][0]["order"] == ["load", "check", "after"]
    assert project.json("graph")["data"]["graphs"][0]["order"] == ["demo"]
    assert {item["step"] for item in project.json("logs", "@latest")["data"]["logs"]} == {"load", "check", "after"}
    assert project.json("validate")["data"]["ok"] is True
    assert project.json("version")["data"]["version"]
    assert "retry" in project.json("schema", "steps.retry")["data"]["text"]
    assert project.json("explain", "E201")["data"]["code"] == "E201"


def test_a_failed_run_has_its_document_too(project: Project) -> None:
    steps = project.json("run", "demo", "-p", "2013-01-02", "--param", "n=7", code=1)["data"]["runs"][0]["steps"]
    by_id = {step["id"]: step for step in steps}
    assert (by_id["check"]["state"], by_id["check"]["exit_code"], by_id["after"]["state"]) == ("failed", 1, "blocked")
    assert project.json("runs", "--status", "failed", schema="run")["data"]["runs"][0]["state"] == "failed"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("run", 2),
        ("run nope", 2),
        ("run demo --nope", 2),
        ("run demo -j 0", 2),
        ("run demo -p 1999-01-01", 2),
        ("run pipelines/nope.yaml", 2),
        ("plan nope.yaml", 2),
        ("run demo --param n", 2),
        ("run demo --wait-timeout 5", 2),
        ("backfill demo --last 1 --from 2013-01-01", 2),
        ("runs --status odd", 2),
        ("show nope", 2),
        ("logs nope", 2),
        ("why demo nope", 2),
        ("explain E999", 2),
        ("schema nope", 2),
        ("nope", 2),
        ("status --project /nope", 2),
        ("validate /nope", 2),
        ("run demo --param nope=1", 3),
        ("run demo --executor slurm", 3),
        ("run demo --param n=text", 3),
    ],
)
def test_errors_are_documents(project: Project, line: str, code: int) -> None:
    document = project.json(*line.split(), code=code, schema="error")
    done = project(*line.split(), "-o", "plain")
    assert done.returncode == code
    assert "error" in done.stderr
    assert document["problems"][0]["message"].splitlines()[0] in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("line", "schema"),
    [
        ("run nope", "run"), ("run demo -p 2013-01-10 --now 2013-01-10", "run"), ("show nope", "run"), ("runs --pipeline nope", "run"),
        ("plan nope", "plan"), ("status nope", "status"), ("backfill nope", "backfill"), ("graph nope", "graph"),
        ("validate /nope", "validate"), ("next nope", "next"), ("tick nope", "tick"),
    ],
)  # fmt: skip
def test_whoever_reads_the_list_of_a_command_finds_it_after_an_error_too(
    project: Project, line: str, schema: str
) -> None:
    project.json(*line.split(), code=5 if "--now" in line else 2, schema=schema)


def test_what_is_not_built_says_so(project: Project) -> None:
    (problem,) = project.json("models", code=2, schema="error")["problems"]
    assert "does not work yet" in problem["message"]


def test_a_drawing_that_was_asked_for_as_json_is_the_document(project: Project) -> None:
    assert project.json("graph", "demo", "--format", "dot")["data"]["graphs"][0]["name"] == "demo"


def test_a_program_gets_the_whole_history(project: Project) -> None:
    for _ in range(3):
        project("run", "demo", "-p", "*", "--only", "load", "--force")
    assert len(project.json("runs", schema="run")["data"]["runs"]) == 30
    assert len(project.json("runs", "--limit", "3", schema="run")["data"]["runs"]) == 3
    lines = project("runs").stdout.splitlines()
    assert len(lines) == 22, "a heading, twenty runs, and that there are more"
    assert "--limit" in lines[-1]
    assert "--limit" not in project("runs", "--limit", "30").stdout


def test_to_cancel_what_is_over_is_nothing_to_do(project: Project) -> None:
    project("run", "demo", "-p", "2013-01-02")
    assert "nothing to cancel" in project.json("cancel", "@latest")["data"]["message"]


def test_a_wrong_spec_is_a_document_with_places(project: Project) -> None:
    (project.folder / "pipelines" / "demo.yaml").write_text("mlorch: 1\nname: demo\nstps: {}\n", "utf-8")
    problems = project.json("run", "demo", code=3, schema="error")["problems"]
    assert ("pipelines/demo.yaml", 3, 1) in {(item["file"], item["line"], item["column"]) for item in problems}
    assert project.json("validate", code=3)["data"]["ok"] is False


def test_global_options_stand_on_either_side(project: Project) -> None:
    before = project("-o", "json", "--now", "2013-01-05T12:00:00Z", "status")
    after = project("status", "-o", "json", "--now", "2013-01-05T12:00:00Z")
    assert before.stdout == after.stdout
    assert json.loads(before.stdout)["data"]["pipelines"][0]["partitions"]["total"] == 4
    assert project("status", "-o", "json", MLORCH_NOW="2013-01-05T12:00:00Z").stdout == before.stdout


BUG = """\
import sys
from mlorch.cli import deliver, main
def perform(*_):
    raise ZeroDivisionError("boom")
deliver.perform = perform
sys.argv = ["mlorch", "run", "demo", "-o", "json"]
main.main()
"""


def test_a_bug_keeps_its_traceback_in_a_file(project: Project) -> None:
    (project.folder / "bug.py").write_text(BUG, "utf-8")
    done = project.shell(f'"{sys.executable}" bug.py')
    assert done.returncode == 10, done.stderr
    message = json.loads(done.stdout)["problems"][0]["message"]
    path = message.rsplit(" ", 1)[-1]
    assert path in done.stderr
    with open(path, encoding="utf-8") as file:
        assert "ZeroDivisionError: boom" in file.read()
