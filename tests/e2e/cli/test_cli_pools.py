"""Pools through the command: what another command holds, what a killed one left, what validate and doctor say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.cli.conftest import Project

HEAD = "mlorch: 1\nkind: training\nowner: dana@example.org\n"
HOLDS = """\
name: holds
steps:
  train: {run: 'until test -e go; do sleep 0.05; done', pool: gpu}
"""
WANTS = """\
name: wants
steps:
  train: {run: 'echo x > ${{ outputs.x }}', pool: gpu, outputs: {x: out/x}}
  other: {run: 'echo y > ${{ outputs.y }}', pool: {warehouse: 2}, outputs: {y: out/y}}
"""


@pytest.fixture
def pooled(project: Project) -> Project:
    (project.folder / "mlorch.yaml").write_text("mlorch: 1\npools: {gpu: 1, warehouse: 4}\n", "utf-8")
    for text in (HOLDS, WANTS):
        name = text.split("\n")[0].removeprefix("name: ")
        (project.folder / "pipelines" / f"{name}.yaml").write_text(HEAD + text, "utf-8")
    return project


@pytest.fixture
def holder(pooled: Project) -> Iterator[subprocess.Popen[str]]:
    """Its step holds the only slot of `gpu`."""
    with subprocess.Popen(
        [sys.executable, "-m", "mlorch", "run", "holds", "-v"],
        cwd=pooled.folder,
        env=pooled.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as other:
        assert other.stdout is not None
        next(line for line in other.stdout if line.startswith("train  running"))
        while not list(pooled.folder.glob(".mlorch/runs/*/train.1.log")):
            assert other.poll() is None
            time.sleep(0.01)  # it is told before its process is there
        yield other
        other.send_signal(signal.SIGTERM)


@pytest.mark.usefixtures("holder")
def test_a_pool_that_is_held_is_busy_and_keeps_only_those_waiting_that_want_it(pooled: Project) -> None:
    (run,) = pooled.json("run", "wants", "--if-busy", "fail", code=6, schema="run")["data"]["runs"]
    assert {step["id"]: (step["state"], step["reason"]) for step in run["steps"]} == {
        "train": ("not_ready", "busy"),
        "other": ("succeeded", "never_done"),
    }
    assert run["state"] == "not_ready"
    assert "held by step train of holds, run " in run["reason"]
    waited = pooled("run", "wants", "--wait-timeout", "300ms")
    assert waited.returncode == 6
    assert "train  waiting  for a slot of the pool gpu: held by step train of holds, run " in waited.stdout
    (run,) = pooled.json("run", "wants", "--if-busy", "skip", schema="run")["data"]["runs"]
    assert (run["state"], "held by step train of holds" in run["reason"]) == ("skipped", True)


@pytest.mark.usefixtures("holder")
def test_doctor_tells_who_holds_slots(pooled: Project) -> None:
    findings = pooled.json("doctor", "--state")["data"]["findings"]
    told = [finding["message"] for finding in findings if "pool" in finding["message"]]
    assert len(told) == 1
    assert told[0].startswith("a slot of the pool gpu is held by step train of holds, run ")


def test_a_step_that_outlives_its_killed_mlorch_keeps_its_slot_and_nothing_longer(
    pooled: Project, holder: subprocess.Popen[str]
) -> None:
    holder.kill()
    holder.wait()
    busy = pooled("run", "wants", "--if-busy", "fail")
    assert busy.returncode == 6
    assert "which outlived its mlorch" in busy.stdout
    adopted = subprocess.Popen(
        [sys.executable, "-m", "mlorch", "run", "holds", "--orphans", "kill"], cwd=pooled.folder, env=pooled.env
    )
    (pooled.folder / "go").touch()
    done = pooled("run", "wants")
    assert done.returncode == 0, done.stdout + done.stderr
    assert adopted.wait(60) == 0
    assert not [name for name in os.listdir(pooled.folder / "out") if name.startswith(".")]


def test_a_daemon_without_a_supervisor_holds_no_slot_for_ever(pooled: Project, holder: subprocess.Popen[str]) -> None:
    children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text("ascii").split()
    holder.kill()
    for supervisor in children:
        os.kill(int(supervisor), signal.SIGKILL)
    holder.wait()
    done = pooled("run", "wants", "--wait-timeout", "50s")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_pool_that_is_not_there_is_an_error_before_anything_runs(pooled: Project) -> None:
    (pooled.folder / "mlorch.yaml").write_text("mlorch: 1\npools: {warehouse: 1}\n", "utf-8")
    done = pooled("run", "wants")
    assert done.returncode == 3
    assert "pipelines/wants.yaml:6:" in done.stderr
    assert "E306: there is no pool `gpu`" in done.stderr
    assert "E307: the step takes 2 slots of the pool `warehouse`, which has 1" in done.stderr
    assert not (pooled.folder / "out").exists()


def test_plan_shows_the_pools(pooled: Project) -> None:
    (plan,) = pooled.json("plan", "wants")["data"]["pipelines"]
    assert {step["id"]: step["pool"] for step in plan["steps"]} == {"train": {"gpu": 1}, "other": {"warehouse": 2}}
    text = pooled("plan", "wants").stdout
    assert "(pool gpu)" in text
    assert "(pool warehouse: 2)" in text


def test_runs_of_a_concurrency_group_go_one_at_a_time(pooled: Project) -> None:
    for name, more in (("one", ""), ("two", ", if_busy: fail")):
        text = f"{HEAD}name: {name}\nconcurrency: {{group: the db{more}}}\nsteps:\n  a: {{run: 'until test -e go; do sleep 0.05; done'}}\n"
        (pooled.folder / "pipelines" / f"{name}.yaml").write_text(text, "utf-8")
    with subprocess.Popen([sys.executable, "-m", "mlorch", "run", "one"], cwd=pooled.folder, env=pooled.env) as first:
        while not list(pooled.folder.glob(".mlorch/runs/*/a.1.log")):
            assert first.poll() is None
            time.sleep(0.01)
        (run,) = pooled.json("run", "two", code=6, schema="run")["data"]["runs"]
        assert (run["state"], run["run_id"]) == ("skipped", None)
        assert run["reason"].startswith("busy: held by one, run ")
        told = [finding["message"] for finding in pooled.json("doctor", "--state")["data"]["findings"]]
        assert any(
            message.startswith("a slot of the concurrency group the db is held by one, run ") for message in told
        )
        first.kill()
        first.wait()
        assert pooled("run", "two").returncode == 6, "the step of the killed one still runs"
        first.send_signal(signal.SIGTERM)
    (pooled.folder / "go").touch()
    assert pooled("run", "two", "--if-busy", "wait", "--wait-timeout", "50s").returncode == 0
