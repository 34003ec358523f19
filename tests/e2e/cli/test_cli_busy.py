"""A partition that somebody else holds, runs that are ended from elsewhere, and backfills that fail too often."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.cli.conftest import Project

SLOW = """\
mlorch: 1
name: slow
kind: feature
owner: dana@example.org
params: {bad: {type: string, default: no, affects_cache: false}}
partitions:
  day: {every: day, start: 2013-01-01, end: 2013-01-10}
steps:
  wait:
    run: 'echo begun; test "$MLORCH_PARAM_BAD" != yes; test -e "go ${{ partition.key }}" || sleep 30'
    params: [bad]
"""


@pytest.fixture
def held(project: Project) -> Iterator[subprocess.Popen[str]]:
    """`slow 2013-01-01` runs in another process until it is ended."""
    (project.folder / "pipelines" / "slow.yaml").write_text(SLOW, "utf-8")
    (project.folder / "go 2013-01-02").touch()
    with subprocess.Popen(
        [sys.executable, "-m", "mlorch", "run", "slow", "-p", "2013-01-01", "-v"],
        cwd=project.folder,
        env=project.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as other:
        assert other.stdout is not None
        next(line for line in other.stdout if line.startswith("wait  running"))
        yield other
        other.send_signal(signal.SIGTERM)


@pytest.mark.usefixtures("held")
def test_a_busy_partition_does_not_stop_the_others(project: Project) -> None:
    document = project.json(
        "run", "slow", "-p", "2013-01-01", "-p", "2013-01-02", "--if-busy", "fail", code=6, schema="run"
    )
    first, second = document["data"]["runs"]
    assert (first["state"], first["run_id"]) == ("skipped", None)
    assert re.match(r"busy: held by run \S+ \(pid \d+\) since 20", first["reason"])
    assert second["state"] == "succeeded"


def test_cancel_ends_a_step_that_outlived_its_killed_mlorch(project: Project, held: subprocess.Popen[str]) -> None:
    (log,) = _when_there(project, ".mlorch/runs/*/wait.1.log")
    while log.read_text("utf-8") != "begun\n":
        time.sleep(0.01)  # its process is there when it has said so
    held.kill()
    held.wait()
    lost = project("show", "slow@latest").stdout
    assert "slow 2013-01-01 · wait\n  cut off: process " in lost
    told = project("cancel", "slow@latest")
    assert told.returncode == 0
    ended = re.fullmatch(r"ended what outlived the mlorch of run \S+: wait \(pid (\d+)\)\n", told.stdout)
    assert ended is not None, told.stdout
    assert not os.path.exists(f"/proc/{ended[1]}")
    assert "nothing to cancel" in project("cancel", "slow@latest").stdout


def _when_there(project: Project, pattern: str) -> list[Path]:
    while not (found := list(project.folder.glob(pattern))):
        time.sleep(0.01)
    return found


@pytest.mark.usefixtures("held")
def test_busy_is_not_nothing_to_do(project: Project) -> None:
    skipped = project("run", "slow", "-p", "2013-01-01", "--if-busy", "skip")
    assert skipped.returncode == 0
    assert "busy: held by run" in skipped.stdout
    assert "nothing to do" not in skipped.stdout
    failed = project("run", "slow", "-p", "2013-01-01", "--wait-timeout", "100ms", "-q")
    assert (failed.returncode, failed.stdout) == (6, "")
    assert "busy: held by run" in failed.stderr


def test_a_run_cancelled_from_another_shell_exits_11(project: Project, held: subprocess.Popen[str]) -> None:
    assert project("cancel", "slow@2013-01-01").returncode == 0
    assert held.wait(30) == 11
    (run,) = project.json("show", "slow@latest", schema="run")["data"]["runs"]
    assert run["state"] == "cancelled"


def test_a_run_ended_by_a_signal_says_which(project: Project, held: subprocess.Popen[str]) -> None:
    held.send_signal(signal.SIGTERM)
    assert held.wait(30) == 128 + signal.SIGTERM
    (run,) = project.json("show", "slow@latest", schema="run")["data"]["runs"]
    assert run["state"] == "cancelled"


@pytest.fixture
def hung_up() -> Iterator[None]:
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored, and mlorch leaves it so
    yield
    signal.signal(signal.SIGHUP, former)


@pytest.mark.usefixtures("hung_up")
def test_a_terminal_that_is_closed_ends_the_run_as_its_signal_says(project: Project) -> None:
    (project.folder / "pipelines" / "slow.yaml").write_text(SLOW, "utf-8")
    ours, theirs = os.openpty()
    # A shell whose terminal is closed passes SIGHUP on to what runs in it; what is printed then has nowhere to go.
    with subprocess.Popen(
        [sys.executable, "-m", "mlorch", "run", "slow", "-p", "2013-01-01"],
        cwd=project.folder,
        env=project.env | {"TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as other:
        os.close(theirs)
        while not list(project.folder.glob(".mlorch/runs/*/wait.1.log")):
            assert other.poll() is None
            time.sleep(0.01)
        os.close(ours)
        other.send_signal(signal.SIGHUP)
        assert other.wait(30) == 128 + signal.SIGHUP
    (run,) = project.json("show", "slow@latest", schema="run")["data"]["runs"]
    assert run["state"] == "cancelled"


@pytest.mark.parametrize("allowed", [1, 2])
def test_a_backfill_stops_at_the_last_failure_it_may_have(project: Project, allowed: int) -> None:
    (project.folder / "pipelines" / "slow.yaml").write_text(SLOW, "utf-8")
    words = ("backfill", "slow", "--param", "bad=yes", "-j", "1", "--max-failures", str(allowed))
    counts = project.json(*words, code=1)["data"]["counts"]
    assert counts == {"total": 10, "failed": allowed, "missing": 10 - allowed}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("backfill", "demo", "--from", "2013-01-05", "--to", "2013-01-02"), "--from 2013-01-05 comes after --to"),
        (("backfill", "demo", "--from", "2014-01-05"), "--from 2014-01-05 is no partition"),
        (("backfill", "demo", "--to", "2014-01-05"), "--to 2014-01-05 is no partition"),
        (("run", "demo", "--now", "soon"), "--now: 'soon' is no time"),
        (("status", "--now", "soon"), "--now: 'soon' is no time"),
    ],
)
def test_what_is_no_time_or_range_is_a_wrong_command_line(project: Project, words: tuple[str, ...], says: str) -> None:
    done = project(*words)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
