"""The reader of our JSON Schemas says the same as the `jsonschema` package, in better words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from mlorch.cli.validate import explain, schema
from mlorch.model.diagnostics import Severity
from mlorch.model.errors import UsageError
from mlorch.spec import schemas, source
from mlorch.spec.shape import Shape, suggest
from tests.unit.test_spec_golden import files_of

ROOT = Path(__file__).parents[2]
GOOD: dict[str, Any] = {
    "mlorch": 1,
    "name": "demo",
    "kind": "feature",
    "owner": {"email": "a@example.org"},
    "params": {"lr": 0.1},
    "partitions": {"day": {"every": "day"}},
    "schedule": {"cron": "@daily", "catchup": "all"},
    "triggers": [{"data": {"glob": "*.csv"}}],
    "secrets": {"TOKEN": {"env": "T"}},
    "steps": {
        "a": {
            "run": ["a", 1],
            "inputs": {"x": "x.csv", "y": {"path": ["y.csv"], "track": "mtime"}},
            "outputs": {"o": {"path": "o", "check": "non_empty"}},
            "retry": {"attempts": 2, "exit_codes": [1], "delay": "3s"},
            "cache": {"policy": "auto", "ttl": "7d"},
            "checks": [{"expr": "true", "severity": "warn"}],
            "env": {"A": "1"},
            "allow_failure": [2],
            "log_limit": "1MiB",
        },
        "b": {"run": "b", "needs": ["a"], "retry": 1, "cache": "never", "pool": {"gpu": 1}},
    },
}


def sound(data: Any, kind: str = "pipeline") -> bool:
    read = source.read(json.dumps(data).encode(), "a.yaml")
    assert read.data is not None
    assert read.diagnostics == ()
    shape = Shape(read.text)
    shape.check(kind, read.data)
    return not shape.problems


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        found += places(value, (*path, key))
    return found


VALUES = st.sampled_from(
    [None, True, 0, 1, -1, 2.5, "", "x", "Bad Name", "5m", "1MiB", "auto", "feature", "streaming", [], ["a"], [1], {}, {"a": 1}, {"path": "x"}, {"run": "x"}]
)  # fmt: skip


@given(st.sampled_from(places(GOOD)), VALUES, st.sampled_from(["replace", "remove", "add", "rename"]))
@settings(max_examples=400, deadline=None)
def test_the_same_verdict_as_jsonschema(path: tuple[Any, ...], value: Any, how: str) -> None:
    data = json.loads(json.dumps(GOOD))
    node = data
    for key in path[:-1]:
        node = node[key]
    last = path[-1]
    if how == "replace":
        node[last] = value
    elif how == "remove":
        del node[last]
    elif isinstance(node, list):
        node.append(value)
    elif how == "rename":
        node["oddKey"] = node.pop(last)
    else:
        node["further"] = value
    assert sound(data) == Draft7Validator(schemas.load("pipeline")).is_valid(data)


WRITTEN = sorted(
    [*(ROOT / "tests/golden/diagnostics").glob("*.yaml"), *(ROOT / "pipelines").glob("*.yaml"), ROOT / "mlorch.yaml"]
)


@pytest.mark.parametrize("file", WRITTEN, ids=lambda file: file.name)
def test_an_editor_says_the_same_of_the_shape_of_every_example(file: Path) -> None:
    for data in files_of(file.read_bytes()).values():
        read = source.read(data, "a.yaml")
        if read.data is None or any(problem.severity is Severity.ERROR for problem in read.diagnostics):
            continue
        plain = json.loads(json.dumps(read.data))
        for kind in schemas.KINDS:
            shape = Shape(read.text)
            shape.check(kind, read.data)
            assert Draft7Validator(schemas.load(kind)).is_valid(plain) == (not shape.problems)


@pytest.mark.parametrize("kind", schemas.KINDS)
def test_the_schemas_are_draft_07_and_say_what_each_key_is_for(kind: str) -> None:
    root = schemas.load(kind)
    Draft7Validator.check_schema(root)
    assert "oneOf" not in schemas.text(kind)

    def walk(node: Any, path: str) -> None:
        if not isinstance(node, dict):
            return
        for name, child in node.get("properties", {}).items():
            assert schemas.resolve(root, child).get("description"), f"{path}.{name} has no description"
            walk(child, f"{path}.{name}")
        for key in ("additionalProperties", "items"):
            walk(node.get(key), path)

    walk(root, kind)
    for name, definition in root["definitions"].items():
        walk(definition, name)


def test_what_both_schemas_define_is_the_same() -> None:
    pipeline, project = (schemas.load(kind)["definitions"] for kind in schemas.KINDS)
    assert {name: pipeline[name] for name in project} == project


def test_examples_in_the_schemas_are_sound() -> None:
    for kind in schemas.KINDS:
        root = schemas.load(kind)
        definitions = {f"definitions/{name}": value for name, value in root["definitions"].items()}
        for name, node in {**definitions, **root["properties"]}.items():
            for child_name, child in {"": node, **node.get("properties", {})}.items():
                for example in child.get("examples", ()):
                    rest = {**child, "definitions": root["definitions"]}
                    assert Draft7Validator(rest).is_valid(example), f"{kind}: {name}.{child_name}"


def test_keys_that_begin_with_x_are_free_everywhere() -> None:
    data = json.loads(json.dumps(GOOD))
    data["x-a"] = [1]
    data["steps"]["x-b"] = 5
    data["steps"]["a"]["x-c"] = None
    data["steps"]["a"]["retry"]["x-d"] = {}
    assert sound(data)


def test_what_is_unsound_is_taken_out_and_the_rest_stays() -> None:
    read = source.read(
        b"mlorch: 1\nsteps: {a: {run: a, needs: [b, 5, c, 6], timeout: 3, env: {A: ~, B: x}}}\n", "a.yaml"
    )
    assert read.data is not None
    shape = Shape(read.text)
    shape.check("pipeline", read.data)
    shape.prune()
    assert read.data["steps"]["a"] == {"run": "a", "needs": ["b", "c"], "env": {"B": "x"}}


@pytest.mark.parametrize(
    ("word", "meant"), [("need", "needs"), ("NEEDS", "needs"), ("trigger-rule", "trigger_rule"), ("zzz", ""), ("", "")]
)
def test_did_you_mean(word: str, meant: str) -> None:
    assert suggest(word, ["needs", "trigger_rule", "run"]) == meant


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("", "* steps"),
        ("kind", "one of feature, training, inference"),
        ("steps", "mapping of names"),
        ("steps.retry", "further attempts"),
        ("steps.train.retry.backoff", "one of constant, linear, exponential"),
        ("steps.inputs.track", "How a change is noticed"),
        ("steps.checks.expr", "must be true"),
        ("defaults.timeout", "form"),
        ("retention.runs", "(mlorch.yaml)"),
        ("project", "The project file"),
        ("project.env", "(mlorch.yaml)"),
        ("steps.resources", "does not work yet"),
        ("schedule.catchup", "one of none, latest, all"),
        ("partitions.day.every", "cron line"),
    ],
)
def test_a_key_explained(key: str, says: str) -> None:
    assert says in schema(key)


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("step", "steps"),
        ("steps.retrry", "retry"),
        ("retryy", "steps.retry"),
        ("kind.x", "`kind`"),
        ("qqq", "lists all keys"),
    ],
)
def test_an_unknown_key(key: str, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        schema(key)
    assert hint in error.value.hint


def test_an_unknown_code() -> None:
    with pytest.raises(UsageError) as error:
        explain("E1077")
    assert error.value.hint
    assert "E107" in explain(" e107 ")


@pytest.mark.parametrize("folder", ["mlorch/schemas", "schemas"])
def test_the_schemas_are_found_in_a_wheel_and_in_a_clone(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mlorch").mkdir()
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / "pipeline.schema.json").write_text(f'"{folder}"', encoding="utf-8")
    monkeypatch.setattr("mlorch.__file__", str(tmp_path / "mlorch" / "__init__.py"))
    assert schemas.text.__wrapped__("pipeline") == f'"{folder}"'
    with pytest.raises(FileNotFoundError, match="install it again"):
        schemas.text.__wrapped__("project")
