"""`--profile`: other variables, parameters and pools, never other steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.cli.conftest import Project

PROJECT = """\
mlorch: 1
env: {PLACE: here, BASE: base}
params: {rows: 10}
pools: {gpu: 1}
profiles:
  ci:
    env: {PLACE: '${{ env.BASE_OF_TEST }}-there', MORE: 1.10}
    params: {rows: 20}
  wide: {pools: {gpu: 4, tape: 1}}
"""
TEXT = """\
mlorch: 1
name: flat
kind: feature
owner: dana@example.org
params: {rows: 1, own: 5}
schedule: '0 6 * * *'
steps:
  place: {run: 'echo "$PLACE $BASE ${MORE-none}" > ${{ outputs.out }}', outputs: {out: place.txt}, env: {BASE: step}}
  rows: {run: 'echo ${{ params.rows }} > ${{ outputs.out }}', outputs: {out: rows.txt}}
  other: {run: 'echo ${{ params.own }} > ${{ outputs.out }}', outputs: {out: other.txt}, cache: {ignore: [PLACE, MORE]}}
"""


@pytest.fixture
def flat(project: Project) -> Project:
    (project.folder / "pipelines" / "demo.yaml").unlink()
    (project.folder / "mlorch.yaml").write_text(PROJECT, "utf-8")
    (project.folder / "pipelines" / "flat.yaml").write_text(TEXT, "utf-8")
    project.env["BASE_OF_TEST"] = "far"
    return project


def actions(project: Project, *words: str) -> dict[str, tuple[str, str]]:
    steps = project.json("plan", "flat", *words)["data"]["pipelines"][0]["steps"]
    return {step["id"]: (step["action"], step["reason"]) for step in steps}


def test_a_profile_changes_variables_and_parameters(flat: Project) -> None:
    assert flat("run", "flat").returncode == 0
    assert (flat.folder / "place.txt").read_text("utf-8") == "here step none\n"
    assert (flat.folder / "rows.txt").read_text("utf-8") == "10\n"
    assert actions(flat, "--profile", "ci") == {
        "place": ("run", "environment_changed"),
        "rows": ("run", "environment_changed"),
        "other": ("reuse", "unchanged"),
    }
    assert flat("--profile", "ci", "run", "flat").returncode == 0
    assert (flat.folder / "place.txt").read_text("utf-8") == "far-there step 1.10\n"
    assert (flat.folder / "rows.txt").read_text("utf-8") == "20\n"
    assert flat("run", "flat", "--profile", "ci").stdout == "flat  nothing to do  3 steps: 3 cached\n"
    assert flat("run", "flat", "--profile=ci", "--param", "rows=3").returncode == 0
    assert (flat.folder / "rows.txt").read_text("utf-8") == "3\n", "what is typed wins"


@pytest.mark.parametrize("line", ["run flat", "status", "validate", "cron show", "github show --action o/r@v1", "gc"])
def test_one_that_does_not_exist(flat: Project, line: str) -> None:
    done = flat(*line.split(), "--profile", "cii")
    assert done.returncode == 2, done.stderr
    assert "there is no profile `cii`; did you mean `ci`?" in done.stderr
    assert "profiles of mlorch.yaml: ci, wide" in done.stderr


def test_a_project_without_profiles(project: Project) -> None:
    done = project("run", "demo", "--profile", "ci")
    assert (done.returncode, "has no `profiles`" in done.stderr) == (2, True)


def test_what_a_pipeline_may_use_depends_on_it(flat: Project) -> None:
    path = flat.folder / "pipelines" / "flat.yaml"
    path.write_text(TEXT.replace("outputs: {out: rows.txt}", "outputs: {out: rows.txt}, pool: tape"), "utf-8")
    assert flat("validate").returncode == 3
    assert flat("validate", "--profile", "wide").returncode == 0
    assert flat("run", "flat").returncode == 3, "found sound with a profile is not found sound without"
    assert flat("run", "flat", "--profile", "wide").returncode == 0


def test_a_run_is_repeated_with_its_profile(flat: Project) -> None:
    text = TEXT.replace("run: 'echo ${{ params.rows", "run: 'test -e mended; echo ${{ params.rows")
    (flat.folder / "pipelines" / "flat.yaml").write_text(text, "utf-8")
    done = flat("run", "flat", "--profile", "ci")
    assert done.returncode == 1
    assert "  mlorch --profile ci run flat\n" in done.stdout
    assert flat("shell", "@latest", "rows", stdin="echo $PLACE\n").stdout == "far-there\n"
    (flat.folder / "mended").touch()
    assert flat("retry").returncode == 0
    assert (flat.folder / "rows.txt").read_text("utf-8") == "20\n"
    assert "  mlorch --profile ci run flat " in flat("show", "@latest").stdout


def test_cron_and_github_carry_it_on(flat: Project) -> None:
    line = flat("cron", "show", "--profile", "ci").stdout.splitlines()[2]
    assert f" tick --project {flat.folder} --profile ci >>" in line
    made = flat("github", "show", "--action", "o/r@v1", "--profile", "ci").stdout
    assert "          command: github run --profile ci\n" in made
    workflow = flat.folder / ".github" / "workflows" / "mlorch.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text(made, "utf-8")
    assert flat("github", "check", "--exit-code").returncode == 0, "made again as its first line says"
    assert flat("github", "check", "--exit-code", "--profile", "wide").returncode == 8


def test_keys_that_do_not_work_yet(flat: Project) -> None:
    text = PROJECT + "  later: {alerts: {}, executor: slurm}\n  local: {executor: local}\n"
    (flat.folder / "mlorch.yaml").write_text(text, "utf-8")
    done = flat("validate")
    assert done.returncode == 3
    assert done.stdout.count("E601") == 2
    (flat.folder / "mlorch.yaml").write_text(PROJECT + "  wrong: {steps: {}}\n", "utf-8")
    assert "E201" in flat("validate").stdout, "never steps"
