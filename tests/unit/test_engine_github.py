"""The workflow's text: when it calls, what may be asked for, and how a file that was changed by hand is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from mlorch.engine.github import MOST_INPUTS, Wish, drift, inputs, workflow
from mlorch.engine.github_times import calls, utc_lines
from mlorch.lang.cron import parse_cron
from mlorch.model.spec import Param, Pipeline, Schedule, Secret, Step, Trigger
from tests.support.specs import made

WISH = Wish("./")


def pipeline(name: str = "p", cron: str = "", zone: str = "UTC", *params: Param) -> Pipeline:
    schedule = Schedule(cron, zone) if cron else None
    return made(Step("a", "true"), name=name)._replace(schedule=schedule, params=params)


def read(text: str) -> dict[str, Any]:
    """As GitHub reads it: `on` is no boolean there."""
    found: dict[Any, Any] = yaml.safe_load(text)
    found["on"] = found.pop(True)
    return found


@pytest.mark.parametrize(
    ("cron", "zone", "lines"),
    [
        ("0 6 * * *", "UTC", ["4 6 * * *"]),
        ("@daily", "Europe/Berlin", ["4 22,23 * * *"]),
        ("0 6 * * *", "America/New_York", ["4 10,11 * * *"]),
        ("30 * * * *", "America/New_York", ["34 * * * *"]),
        ("30 * * * *", "Asia/Kolkata", ["4 * * * *"]),
        ("*/15 * * * *", "UTC", ["4-49/15 * * * *"]),
        ("* * * * *", "UTC", ["4-59/5 * * * *"]),
        ("58 23 * * *", "UTC", ["4 0 * * *"]),
        ("58 23 31 12 *", "UTC", ["4 0 1 1,12 *"]),
        ("0 22 * * 1-5", "America/New_York", ["4 2,3 * * 2-6"]),
        ("0 2 1 * *", "Asia/Tokyo", ["4 17 28-31 * *"]),
        ("0 0 * * 0", "Asia/Kolkata", ["34 18 * * 6"]),
        ("0 9 15 * 1", "UTC", ["4 9 15 * 1"]),
    ],
)
def test_lines_in_utc(cron: str, zone: str, lines: list[str]) -> None:
    assert list(utc_lines(parse_cron(cron), zone, 4)) == lines


def test_pipelines_that_are_due_together_share_a_line() -> None:
    found = calls("mlorch", [pipeline("b", "0 6 * * *"), pipeline("a", "0 6 * * *")])
    assert [call.why for call in found] == ["a (0 6 * * * UTC), b (0 6 * * * UTC)"]


def test_rare_ticks_get_a_daily_line_besides() -> None:
    found = calls("mlorch", [pipeline("a", "0 6 1 * *")])
    assert len(found) == 2
    assert [call.why for call in found if call.cron.endswith("* * *")] == [
        "once a day, should GitHub have dropped a call"
    ]


def test_what_is_awaited_is_looked_for_every_hour() -> None:
    waits = pipeline("a")._replace(triggers=(Trigger(glob="in/*.csv"),))
    assert [call.cron.split(" ", 1)[1] for call in calls("mlorch", [waits])] == ["* * * *"]
    assert calls("mlorch", [pipeline("a")._replace(triggers=(Trigger(pipeline="b"),))]) == ()
    assert calls("mlorch", [pipeline("a")]) == ()


def test_the_whole_workflow() -> None:
    found = read(workflow(WISH, "mlorch github show", [pipeline("p", "0 6 * * *")], [Secret("T", "env", "API_TOKEN")]))
    assert found["permissions"] == {}
    assert found["concurrency"] == {"group": "mlorch", "cancel-in-progress": False}
    job = found["jobs"]["mlorch"]
    assert job["permissions"] == {"contents": "write"}
    assert job["env"] == {"MLORCH_INPUTS": "${{ toJSON(inputs) }}", "API_TOKEN": "${{ secrets.API_TOKEN }}"}
    assert [step["uses"] for step in job["steps"]] == ["actions/checkout@v4", "./"]
    assert job["steps"][0]["with"] == {"persist-credentials": False}
    assert job["steps"][1]["with"] == {"command": "github run", "state-branch": "mlorch-state"}
    assert len(found["on"]["schedule"]) == 1


def test_secrets_that_github_has_no_name_for_are_left_out() -> None:
    secrets = [Secret("A", "env", "GITHUB_X"), Secret("B", "env", "a-b"), Secret("C", "file", "C")]
    assert list(read(workflow(WISH, "x", [pipeline()], secrets))["jobs"]["mlorch"]["env"]) == ["MLORCH_INPUTS"]


def schema(**keys: Any) -> str:
    return json.dumps(keys)


@pytest.mark.parametrize(
    ("param", "expected"),
    [
        (Param("x", "", "a"), ("string", "a", ())),
        (Param("x", "", ""), ("string", None, ())),
        (Param("x", "", True), ("boolean", True, ())),
        (Param("x", schema(type="boolean"), False), ("boolean", False, ())),
        (Param("x", schema(enum=["a", "b"]), "b"), ("choice", "b", ("a", "b"))),
        (Param("x", schema(enum=[1, 2.5]), 1), ("choice", "1", ("1", "2.5"))),
        (Param("x", schema(enum=["", "b"]), "b"), ("string", "b", ())),
        (Param("x", schema(type="integer", minimum=1), 5), ("string", "5", ())),
        (Param("x", schema(type="array"), [1, "é"]), ("string", '[1, "é"]', ())),
        (Param("x", schema(type="string"), "two\nlines"), ("string", None, ())),
        (Param("x", schema(type="string"), None), ("string", None, ())),
    ],
)
def test_fields_of_parameters(param: Param, expected: tuple[str, object, tuple[str, ...]]) -> None:
    (field,) = inputs([pipeline("p", "", "", param)], alone=True)
    assert (field.kind, field.default, field.options) == expected


def test_limits_are_told_to_people() -> None:
    (field,) = inputs(
        [pipeline("p", "", "", Param("trees", schema(type="integer", minimum=1, maximum=9), 5))], alone=True
    )
    assert field.description == "trees, a whole number from 1 to 9"


def test_a_name_with_two_meanings_says_its_pipeline() -> None:
    one, two = pipeline("a", "", "", Param("n", "", 1), Param("m", "", 1)), pipeline("b", "", "", Param("n", "", 2))
    assert [field.id for field in inputs([one, two], alone=False)] == ["pipeline", "a-n", "m", "b-n"]
    reserved = inputs([pipeline("a", "", "", Param("partition", "", ""))], alone=True)
    assert [field.id for field in reserved] == ["a-partition"]


def test_a_parameter_without_a_value_is_required_where_there_is_no_other_choice() -> None:
    lonely = pipeline("a", "", "", Param("n", has_default=False))
    assert [field.required for field in inputs([lonely], alone=True)] == [True]
    assert [field.required for field in inputs([lonely], alone=False)] == [False, False]


def test_of_one_pipeline_it_is_asked_for_unless_somebody_says_otherwise() -> None:
    (one,) = inputs([pipeline("a")], alone=False)
    assert (one.default, one.options) == ("a", ("(what is due)", "a"))
    (two,) = inputs([pipeline("a"), pipeline("b")], alone=False)
    assert (two.default, two.options) == ("(what is due)", ("(what is due)", "a", "b"))
    assert inputs([pipeline("a")], alone=True) == ()


def test_too_many_parameters_share_one_field() -> None:
    many = [Param(f"p{number}", "", 1) for number in range(MOST_INPUTS)]
    assert len(inputs([pipeline("a", "", "", *many)], alone=True)) == MOST_INPUTS
    assert [field.id for field in inputs([pipeline("a", "", "", *many, Param("q", "", 1))], alone=True)] == ["params"]
    assert [field.id for field in inputs([pipeline("a", "", "", *many), pipeline("b")], alone=False)] == [
        "pipeline",
        "params",
    ]


def test_text_of_others_stays_text() -> None:
    nasty = Param(
        "x", schema(type="string"), "it's ${{ secrets.A }}", description="a: 'b' # ${{ github.token }}\n- c: d"
    )
    text = workflow(WISH, "mlorch github show --setup 'a\nb'", [pipeline("p", "", "", nasty)], [])
    field = read(text)["on"]["workflow_dispatch"]["inputs"]["x"]
    assert field == {
        "description": "a: 'b' # $ {{ github.token }}\n- c: d",
        "type": "string",
        "default": "it's $ {{ secrets.A }}",
    }
    assert text.count("${{") == 1
    assert text.startswith("# Made by: mlorch github show --setup 'a b'\n")


def test_projects_of_one_repository_have_their_own_files_and_branches() -> None:
    inner = Wish("./", "", "ml/flights & co")
    assert (inner.file, inner.branch) == (".github/workflows/mlorch-ml-flights-co.yml", "mlorch-state-ml-flights-co")
    assert Wish("./", "p").file == ".github/workflows/mlorch.p.yml"
    found = read(workflow(inner, "x", [pipeline()], []))
    assert found["jobs"]["mlorch"]["steps"][1]["with"]["project"] == "ml/flights & co"
    assert found["concurrency"]["group"] == "mlorch-ml-flights-co"


def test_drift_is_told_by_line_and_versions_are_free() -> None:
    wanted = workflow(WISH, "x", [pipeline("p", "0 6 * * *")], [])
    assert drift(WISH, wanted, wanted) == ()
    assert drift(WISH, wanted, wanted.replace("checkout@v4", "checkout@0a1b2c # v5").replace("\n", "  \r\n")) == ()
    number = wanted.splitlines().index("permissions: {}") + 1
    (found,) = drift(WISH, wanted, wanted.replace("permissions: {}", "permissions: write-all"))
    assert (found.what, found.wanted, found.found) == (
        f".github/workflows/mlorch.yml:{number}",
        "permissions: {}",
        "permissions: write-all",
    )
    (more,) = drift(WISH, wanted, wanted + "      - run: extra\n")
    assert (more.wanted, more.found) == ("", "      - run: extra")
    (less,) = drift(WISH, wanted, wanted.replace("permissions: {}\n", ""))
    assert (less.wanted, less.found) == ("permissions: {}", "")
