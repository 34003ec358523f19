"""`mlorch retry`: that run again, and no more of it than has to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.cli.conftest import Project

TEXT = """\
mlorch: 1
name: demo
kind: feature
owner: dana@example.org
params:
  n: 3
  any: {type: [string, integer], default: a}
partitions:
  day: {every: day, start: 2013-01-01, end: 2013-01-10}
steps:
  load: {run: 'echo load >> ran.txt; echo ${{ params.any }} > ${{ outputs.raw }}', outputs: {raw: 'raw/${{ partition.key }}'}}
  check: {run: 'echo check-${{ params.n }} >> ran.txt; test ${{ params.n }} -lt 5 -o -e mended', needs: [load]}
  after: {run: 'echo after >> ran.txt', needs: [check]}
"""


@pytest.fixture
def demo(project: Project) -> Project:
    (project.folder / "pipelines" / "demo.yaml").write_text(TEXT, "utf-8")
    return project


def ran(project: Project) -> list[str]:
    """What ran since this was last asked."""
    path = project.folder / "ran.txt"
    lines = path.read_text("utf-8").split() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def test_the_latest_failed_run_again(demo: Project) -> None:
    assert demo("run", "demo", "-p", "2013-01-02", "--param", "n=7", "--param", "any=3").returncode == 1
    assert demo("run", "demo", "-p", "2013-01-03").returncode == 0
    ran(demo)
    planned = demo.json("retry", "--dry-run", schema="plan")["data"]["pipelines"][0]
    assert [step["action"] for step in planned["steps"]] == ["reuse", "run", "run"] and ran(demo) == []
    failed = demo.json("runs", "--status", "failed", schema="run")["data"]["runs"][0]["run_id"]
    again = demo("retry")
    assert again.returncode == 1
    assert f"again: run {failed} of demo 2013-01-02 (failed)" in again.stderr
    assert "n is 7, as in that run; without it, it would be 3" in again.stderr
    assert ran(demo) == ["check-7"], "what is done is reused"
    assert "mlorch retry " in again.stdout
    (demo.folder / "mended").touch()
    document = demo.json("retry", schema="run")
    assert (document["command"], document["data"]["runs"][0]["partition"]) == ("retry", "2013-01-02")
    assert ran(demo) == ["check-7", "after"]
    assert (demo.folder / "raw" / "2013-01-02").read_text("utf-8") == "3\n"
    nothing = demo("retry")
    assert (nothing.returncode, nothing.stdout) == (0, "nothing to retry: the last run of no partition failed\n")
    assert demo.json("retry", schema="run")["data"]["runs"] == []
    idle = demo("retry", "demo@2013-01-03")
    assert idle.returncode == 0 and "nothing to do" in idle.stdout


def test_the_spec_of_then_and_of_now(demo: Project) -> None:
    spec = demo.folder / "pipelines" / "demo.yaml"
    assert demo("run", "demo", "-p", "2013-01-02", "--param", "n=7").returncode == 1
    ran(demo)
    spec.write_text(TEXT.replace("check-${{", "mended-${{").replace("-lt 5", "-lt 9"), "utf-8")
    then = demo("retry", "--spec", "then")
    assert then.returncode == 1 and ran(demo) == ["check-7"]
    assert "--spec then" in then.stdout, "and so goes on"
    kept = demo.json("runs", schema="run")["data"]["runs"][0]["run_id"]
    assert (demo.folder / ".mlorch" / "runs" / kept / "spec.yaml").read_text("utf-8") == TEXT
    spec.rename(demo.folder / "pipelines" / "moved.yaml")
    assert demo("retry", "--spec", "then").returncode == 1 and ran(demo) == ["check-7"]
    assert demo("retry").returncode == 0 and ran(demo) == ["mended-7", "after"]


def test_a_parameter_that_went_away(demo: Project) -> None:
    assert demo("run", "demo", "-p", "2013-01-02", "--param", "n=7").returncode == 1
    text = TEXT.replace("  n: 3\n", "").replace("${{ params.n }}", "1")
    (demo.folder / "pipelines" / "demo.yaml").write_text(text, "utf-8")
    done = demo("retry")
    assert done.returncode == 0
    assert "demo has no parameter n any more" in done.stderr


def test_its_selection_and_what_it_forced(demo: Project) -> None:
    assert demo("run", "demo", "-p", "2013-01-02").returncode == 0
    ran(demo)
    assert demo("run", "demo", "-p", "2013-01-02", "--param", "n=7", "--until", "check", "--force").returncode == 1
    assert ran(demo) == ["load", "check-7"]
    (demo.folder / "mended").touch()
    assert demo("retry").returncode == 0
    assert ran(demo) == ["check-7"], "not what was forced and done, and nothing outside the selection"
    assert demo("run", "demo", "-p", "2013-01-02", "--only", "after", "--force").returncode == 0
    ran(demo)
    assert demo("retry", "@latest").returncode == 0
    assert ran(demo) == []


@pytest.mark.parametrize("words", [("nope",), ("@latest", "--spec", "later"), ("@latest",)])
def test_what_cannot_be_run_again(demo: Project, words: tuple[str, ...]) -> None:
    assert demo("retry", *words).returncode == 2


def test_show_ends_with_it(demo: Project) -> None:
    assert demo("run", "demo", "-p", "2013-01-02", "--param", "n=7").returncode == 1
    shown = demo("show", "@latest").stdout
    assert "  mlorch retry 2" in shown and "  mlorch shell 2" in shown
