"""What is selected, what is not, and what must be there for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.cli.conftest import Project

TEMP = """\
mlorch: 1
name: temp
kind: training
owner: dana@example.org
steps:
  make: {run: 'echo made > ${{ outputs.o }}', outputs: {o: {path: out/tmp.txt, temp: true}}}
  read: {run: 'cat ${{ steps.make.outputs.o }} > ${{ outputs.o }}', outputs: {o: out/read.txt}}
  warn:
    run: 'true'
    checks: [{expr: 1 > 2, severity: warn, message: one is not two}]
"""
DAILY = """\
mlorch: 1
name: daily
kind: feature
owner: dana@example.org
partitions: {day: {every: day, start: 2013-01-01, end: 2013-01-10}}
steps:
  make: {run: 'echo made > ${{ outputs.o }}', outputs: {o: 'out/${{ partition.day }}/made.txt'}}
"""
READER = """\
mlorch: 1
name: reader
kind: training
owner: dana@example.org
steps:
  first: {run: 'true'}
  read:
    run: [echo, '${{ inputs.days }}']
    inputs: {days: {pipeline: daily, output: o, partitions: {from: 2013-01-01, to: 2013-01-02}}}
  after: {run: 'true', needs: [read]}
"""


def _write(project: Project, **files: str) -> None:
    for name, text in files.items():
        (project.folder / "pipelines" / f"{name}.yaml").write_text(text, "utf-8")


def test_a_removed_temp_output_is_not_read_by_a_step_that_was_selected_alone(project: Project) -> None:
    _write(project, temp=TEMP)
    assert project("run", "temp").returncode == 0
    assert not (project.folder / "out" / "tmp.txt").exists()
    (run,) = project.json("run", "temp", "--only", "read", "--force", code=5)["data"]["runs"]
    (step,) = run["steps"]
    assert (step["state"], step["reason"], step["attempts"]) == ("not_ready", "input_missing", 0)
    assert "select make as well" in step["detail"]
    assert project("run", "temp", "--until", "read", "--force-step", "read").returncode == 0


def test_the_end_of_a_step_is_told_once_and_with_its_warnings(project: Project) -> None:
    _write(project, temp=TEMP)
    lines = project("run", "temp").stdout.splitlines()
    assert len([line for line in lines if line.startswith("make  succeeded")]) == 1
    (warned,) = (line for line in lines if line.startswith("warn  "))
    assert "warning: one is not two" in warned


def test_a_plan_with_upstream_shows_the_upstream_and_what_waits_for_it(project: Project) -> None:
    _write(project, daily=DAILY, reader=READER)
    assert project("run", "reader", "--only", "first").returncode == 0
    plans = project.json("plan", "reader", "--with-upstream")["data"]["pipelines"]
    assert [(plan["pipeline"], plan["partition"]) for plan in plans] == [
        ("daily", "2013-01-01"),
        ("daily", "2013-01-02"),
        ("reader", None),
    ]
    actions = {step["id"]: (step["action"], step["reason"]) for step in plans[-1]["steps"]}
    assert actions == {
        "first": ("reuse", "unchanged"),
        "read": ("unknown", "waiting_upstream"),
        "after": ("unknown", "waiting_upstream"),
    }
    assert project("run", "reader", "--with-upstream").returncode == 0
    plans = project.json("plan", "reader", "--with-upstream")["data"]["pipelines"]
    assert {step["action"] for plan in plans for step in plan["steps"]} == {"reuse"}


def test_a_parameter_that_none_of_several_pipelines_has_is_an_error(project: Project) -> None:
    _write(project, daily=DAILY)
    (project.folder / "more.yaml").write_text("{n: 2, mm: 3}", "utf-8")
    done = project("run", "demo", "daily", "-p", "2013-01-04", "--param", "nn=4", "--params-file", "more.yaml")
    assert done.returncode == 3
    assert "--param: none of these pipelines has a parameter `nn`; did you mean `n`?" in done.stderr
    assert "--params-file more.yaml: none of these pipelines has a parameter `mm`" in done.stderr
    assert project("run", "demo", "daily", "-p", "2013-01-04", "--param", "n=4").returncode == 0


def test_a_plan_with_upstream_waits_only_for_what_a_step_reads(project: Project) -> None:
    own = DAILY.replace("name: daily", "name: own").replace(
        "{run: 'echo made", "{inputs: {same: {pipeline: daily, output: o}}, run: 'echo made"
    )
    last = (
        "  last: {run: [echo, '${{ inputs.two }}'], inputs: {two: {pipeline: daily, output: o, partitions: last(2)}}}\n"
    )
    _write(project, daily=DAILY, own=own.replace("out/", "own/") + last)
    assert project("run", "own", "-p", "2013-01-02", "--with-upstream").returncode == 0
    (project.folder / "out/2013-01-01/made.txt").unlink()
    plans = project.json("plan", "own", "-p", "2013-01-02", "--with-upstream")["data"]["pipelines"]
    (plan,) = (plan for plan in plans if plan["pipeline"] == "own")
    assert {step["id"]: step["action"] for step in plan["steps"]} == {"make": "reuse", "last": "unknown"}
    (project.folder / "out/2013-01-01/made.txt").write_text("made\n", "utf-8")
    _write(project, daily=DAILY.replace("echo made", "echo  made"))
    plans = project.json("plan", "own", "-p", "2013-01-02", "--with-upstream")["data"]["pipelines"]
    assert {step["action"] for plan in plans if plan["pipeline"] == "own" for step in plan["steps"]} == {"unknown"}


def test_a_plan_says_how_long_steps_take_also_in_a_partition_that_never_ran(project: Project) -> None:
    _write(project, daily=DAILY)
    (first,) = project.json("plan", "daily", "-p", "2013-01-05")["data"]["pipelines"]
    assert first["steps"][0]["expected_s"] is None
    assert project("run", "daily", "-p", "2013-01-04").returncode == 0
    (second,) = project.json("plan", "daily", "-p", "2013-01-05")["data"]["pipelines"]
    assert second["steps"][0]["expected_s"] > 0


def test_a_wrong_file_is_not_passed_over_in_silence(project: Project) -> None:
    _write(project, temp=TEMP, broken="mlorch: 1\nname: broken\nkind: training\n")
    document = project.json("run", "kind:training", code=3)
    assert [run["state"] for run in document["data"]["runs"]] == ["succeeded"], "the sound ones run"
    assert {problem["file"] for problem in document["problems"]} >= {"pipelines/broken.yaml"}
    assert project("run", "temp").returncode == 0, "a name means this one only"
    for words in (("run", "kind:inference"), ("plan", "t*"), ("run", "+temp")):
        assert project(*words).returncode == 3, words
    for word in ("status", "graph"):
        done = project(word)
        assert done.returncode == 0
        assert "pipelines/broken.yaml:1:1: error" in done.stderr
        assert "temp" in done.stdout


def test_a_backfill_of_several_pipelines_is_refused_with_their_names(project: Project) -> None:
    _write(project, daily=DAILY)
    done = project("backfill", "kind:feature")
    assert done.returncode == 2
    assert "daily, demo" in done.stderr


def test_the_state_of_a_step_is_the_same_word_when_it_is_reused(project: Project) -> None:
    text = """\
mlorch: 1
name: states
kind: training
owner: dana@example.org
steps:
  first: {run: 'true'}
  told: {run: [echo, '${{ steps.first.state }}']}
  asked: {run: 'true', when: "steps.first.state == 'succeeded'"}
"""
    _write(project, states=text)
    assert project("run", "states").returncode == 0
    (run,) = project.json("run", "states")["data"]["runs"]
    assert run["run_id"] is None, "nothing was to be done"
    assert {step["state"] for step in run["steps"]} == {"cached"}


def test_a_run_gives_the_failure_as_its_reason_before_what_was_not_ready(project: Project) -> None:
    _write(project, mixed=TEMP.replace("name: temp", "name: mixed").replace("  make:", "  a75: {run: exit 75}\n  make:", 1)
           + "  bad: {run: exit 4}\n")  # fmt: skip
    (run,) = project.json("run", "mixed", code=1)["data"]["runs"]
    assert run["reason"] == "bad: exit status 4"


def test_a_parameter_of_half_a_character_is_wrong(project: Project) -> None:
    (project.folder / "half.json").write_text('{"n": "a\\ud800"}', "utf-8")
    done = project("run", "demo", "-p", "2013-01-04", "--params-file", "half.json")
    assert done.returncode == 3
    assert "half.json holds half a character" in done.stderr


@pytest.mark.parametrize("kind", ["folder", "binary"])
@pytest.mark.parametrize("command", [("run", "demo"), ("status",), ("plan", "demo")])
def test_a_project_file_that_is_none_is_a_wrong_spec(project: Project, kind: str, command: tuple[str, ...]) -> None:
    file = project.folder / "mlorch.yaml"
    file.unlink(missing_ok=True)
    if kind == "folder":
        file.mkdir()
    else:
        file.write_bytes(b"\0\1" * 500)
    done = project(*command)
    assert done.returncode == 3
    assert "error E001" in done.stderr and "mlorch.yaml" in done.stderr


def test_too_few_descriptors_are_no_bug(project: Project) -> None:
    """Whichever call meets the bound first."""
    for most in range(4, 12):
        done = project.shell(f"ulimit -n {most}; mlorch run demo -p 2013-01-04 -q")
        assert done.returncode in (0, 1, 9, 127), (most, done.stderr)
        assert "bug" not in done.stderr


def test_what_a_parameter_holds_beside_utf8_leaves_the_context_readable(project: Project) -> None:
    (project.folder / "pipelines" / "odd.yaml").write_text(
        "mlorch: 1\nname: odd\nkind: training\nowner: d@example.org\nparams: {p: {type: string}}\n"
        "steps:\n  one: {run: ['sh', '-c', 'cp $MLORCH_CONTEXT $MLORCH_OUTPUT_O', x, '${{ params.p }}'], outputs: {o: c}}\n"
    )
    assert project("run", "odd", "--param", "p=\udcffä").returncode == 0
    assert json.loads((project.folder / "c").read_bytes())["params"] == {"p": "\udcffä"}
