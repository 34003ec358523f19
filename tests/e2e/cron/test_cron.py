"""Debian's own crontab and cron: what they take, what they keep, and what they start."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.cron.conftest import Machine

pytestmark = pytest.mark.tools

ROOT = Path(__file__).parents[3]
OTHERS = b"# my own\r\nMAILTO=dana\n\n*/7 * * * * date +\\%s > /dev/null # \xff\xfe \\r\n"
PIPELINE = """\
mlorch: 1
name: demo
kind: feature
owner: dana@example.org
schedule: '* * * * *'
steps:
  look:
    run: 'env > ${{ outputs.env }}; cat ${{ outputs.env }} > seen'
    outputs: {env: env.txt}
"""
TOLD = """
  tell:
    needs: [features, labels]
    run: echo ${{ partition.day }} > told
"""


def project(folder: Path) -> Path:
    (folder / "pipelines").mkdir(parents=True)
    (folder / "pipelines" / "demo.yaml").write_text(PIPELINE, "utf-8")
    return folder


def test_other_lines_come_back_byte_for_byte(machine: Machine, tmp_path: Path) -> None:
    one, two = project(tmp_path / "100% flights & co's \\%"), project(tmp_path / "two")
    assert machine("crontab", "-", data=OTHERS).returncode == 0
    for folder in (one, two, one):
        done = machine(machine.mlorch, "cron", "install", "--project", folder)
        assert done.returncode == 0, done.stderr
    assert b"is as it was" in done.stdout
    both = machine.crontab()
    assert both.startswith(OTHERS) and both.count(b"* * * * * mkdir") == 2
    for folder in (one, two):
        done = machine(machine.mlorch, "cron", "check", "--exit-code", "--project", folder)
        assert (done.returncode, done.stderr) == (0, b""), done.stdout
        assert (folder / ".mlorch").is_dir()
    assert machine(machine.mlorch, "cron", "remove", "--project", one).returncode == 0
    assert machine.crontab().count(b"* * * * * mkdir") == 1
    assert machine(machine.mlorch, "cron", "remove", "--project", two).returncode == 0
    assert machine.crontab() == OTHERS


def test_nothing_is_left_of_a_crontab_that_was_not_there(machine: Machine, tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    assert b"there is no block" in machine(machine.mlorch, "cron", "remove", "--project", folder).stdout
    assert machine(machine.mlorch, "cron", "install", "--project", folder).returncode == 0
    assert machine(machine.mlorch, "cron", "remove", "--project", folder).returncode == 0
    assert not any((tmp_path / "spool").iterdir())


def test_drift_is_told_and_mended(machine: Machine, tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    words = (machine.mlorch, "cron", "check", "--exit-code", "--project", folder)
    missing = machine(*words, "-o", "json")
    assert missing.returncode == 8
    data = json.loads(missing.stdout)["data"]
    assert (data["installed"], data["differs"][0]["found"]) == (False, None)
    machine(machine.mlorch, "cron", "install", "--project", folder)
    machine("crontab", "-", data=machine.crontab().replace(b"* * * * *", b"0 * * * *"))
    changed = machine(*words)
    assert changed.returncode == 8
    assert b"  - 0 * * * * mkdir" in changed.stdout and b"  + * * * * * mkdir" in changed.stdout
    assert machine(*words[:3], *words[4:]).returncode == 0, "without --exit-code it only tells"
    machine(machine.mlorch, "cron", "install", "--project", folder)
    assert machine(*words).returncode == 0


def test_a_line_that_would_do_nothing_is_told(machine: Machine, tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    file = folder / "pipelines" / "demo.yaml"
    file.write_text(PIPELINE.replace("schedule: '* * * * *'\n", ""), "utf-8")
    done = machine(machine.mlorch, "cron", "install", "--project", folder)
    assert (done.returncode, b"note: no pipeline has a `schedule`" in done.stdout) == (0, True)
    file.write_text(PIPELINE.replace("run:", "runs:"), "utf-8")
    assert b"note: some pipelines have problems" in machine(machine.mlorch, "cron", "check", "--project", folder).stdout


def test_another_user_has_another_crontab(machine: Machine, tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    words = ("--project", str(folder), "--user", "nobody")
    assert machine(machine.mlorch, "cron", "install", *words).returncode == 0
    assert b"mlorch tick" in machine.crontab("nobody")
    assert machine.crontab() == b""
    assert not (folder / ".mlorch").exists(), "that user makes it, not root"
    unknown = machine(machine.mlorch, "cron", "install", "--project", folder, "--user", "no-such-user")
    assert unknown.returncode == 1
    assert b"no-such-user" in unknown.stderr and b"Traceback" not in unknown.stderr


def test_half_a_block_is_left_as_it_is(machine: Machine, tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    machine(machine.mlorch, "cron", "install", "--project", folder)
    half = b"".join(machine.crontab().splitlines(keepends=True)[:-1]) + OTHERS
    machine("crontab", "-", data=half)
    for action in ("install", "remove", "check"):
        done = machine(machine.mlorch, "cron", action, "--project", folder)
        assert done.returncode == 1
        assert b"has no last line" in done.stderr
    assert machine.crontab() == half


def test_a_machine_without_cron_is_told_so(machine: Machine, tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    for action, code in (("show", 0), ("install", 1), ("check", 1)):
        done = machine("env", "PATH=/nowhere", machine.mlorch, "cron", action, "--project", folder)
        assert done.returncode == code
    assert b"there is no `crontab` program" in done.stderr


def test_cron_itself_runs_what_is_due(machine: Machine, tmp_path: Path) -> None:
    """Takes until the next full minute, once: nothing but cron decides when."""
    folder = project(tmp_path / "100% flights & co's")
    os.mkfifo(folder / "seen")
    assert machine(machine.mlorch, "cron", "install", "--project", folder).returncode == 0
    seen = subprocess.Popen(["timeout", "75", "cat", folder / "seen"], stdout=subprocess.PIPE)
    cron = subprocess.Popen(machine.words("cron", "-f"), stdin=subprocess.DEVNULL)
    try:
        out = seen.communicate()[0].decode()
    finally:
        cron.terminate()
        cron.wait(10)
    log = folder / ".mlorch" / "cron.log"
    assert seen.returncode == 0, log.read_text("utf-8") if log.exists() else "cron started nothing"
    env = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
    assert env["PATH"].split(":")[0] == str(machine.mlorch.parent)
    assert (env["HOME"], env["SHELL"], env["MLORCH_PIPELINE"]) == ("/root", "/bin/sh", "demo")
    assert not {"TERM", "PYTHONPATH", "VIRTUAL_ENV"} & set(env)


def test_cron_itself_runs_the_pipelines_of_the_demo(machine: Machine, tmp_path: Path) -> None:
    """The real steps on real data, from the bare environment of cron: two days, since they have a tick every minute here."""
    folder = tmp_path / "flights"
    shutil.copytree(ROOT / "pipelines", folder / "pipelines")
    deliver = folder / "pipelines" / "flights" / "deliver.py"
    days = ["--from", "2013-01-01", "--to", "2013-01-02", "--to-folder", "data/raw"]
    subprocess.run([sys.executable, deliver, *days], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    text = (ROOT / "mlorch.yaml").read_text("utf-8").replace(".venv/bin:", f"{os.path.dirname(sys.executable)}:")
    (folder / "mlorch.yaml").write_text(text, "utf-8")
    features = folder / "pipelines" / "flights_features.yaml"
    spec = features.read_text("utf-8").replace("2013-12-31", "2013-01-02") + TOLD
    features.write_text("schedule: '* * * * *'\n" + spec, "utf-8")
    os.mkfifo(folder / "told")
    assert machine(machine.mlorch, "cron", "install", "--project", folder).returncode == 0
    # Open for both ways, so that it stays open between the two days.
    with open(os.open(folder / "told", os.O_RDWR), "rb", buffering=0) as told:
        cron = subprocess.Popen(machine.words("cron", "-f"), stdin=subprocess.DEVNULL)
        try:
            keys = [told.readline().decode().strip() for _ in range(2) if select.select([told], [], [], 110)[0]]
        finally:
            cron.terminate()
            cron.wait(10)
    log = folder / ".mlorch" / "cron.log"
    assert sorted(keys) == ["2013-01-01", "2013-01-02"], (
        log.read_text("utf-8") if log.exists() else "cron started nothing"
    )
    again = machine(machine.mlorch, "run", "flights_features", "-p", "*", "--project", folder)
    assert again.returncode == 0, "waits for the tick, and finds nothing to do"
    assert again.stdout.count(b"nothing to do") == 2
    for kind in ("departures", "features", "labels"):
        assert sorted(os.listdir(folder / "data" / kind)) == ["2013-01-01.parquet", "2013-01-02.parquet"]


def test_a_new_project_may_bring_its_line(machine: Machine, tmp_path: Path) -> None:
    done = machine(machine.mlorch, "init", tmp_path / "shop", "--cron")
    assert done.returncode == 0, done.stderr
    assert b"your crontab calls mlorch tick every minute" in done.stdout
    assert b" tick --project " + os.fsencode(tmp_path / "shop") in machine.crontab()
    check = machine(machine.mlorch, "cron", "check", "--exit-code", "--project", tmp_path / "shop")
    assert (check.returncode, check.stderr) == (0, b""), check.stdout
