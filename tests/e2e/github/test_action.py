"""The action's own shell lines, run as a runner runs them: each job in a fresh clone, the state in a branch of a bare repository."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.runner import Job, git

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PIPELINE = """\
mlorch: 1
name: demo
kind: feature
owner: dana@example.org
params: {word: x}
partitions:
  day: {every: day, start: 2013-01-01, end: 2013-01-10}
steps:
  load:
    run: 'printf "%s\\r\\n" ${{ params.word }} > ${{ outputs.raw }}'
    outputs: {raw: 'data/${{ partition.key }}.csv'}
  folder:
    needs: [load]
    run: 'mkdir ${{ outputs.folder }}/empty; ln -s nowhere ${{ outputs.folder }}/link; echo 1 > ${{ outputs.folder }}/one'
    outputs: {folder: 'data/${{ partition.key }}/'}
  tool:
    run: 'if [ ! -e ok ]; then exit 1; fi; touch ${{ outputs.x }}; chmod 755 ${{ outputs.x }}'
    outputs: {x: 'tools/${{ partition.key }}'}
    inputs: {ok: {path: ok, required: false}}
"""
DAILY = """\
mlorch: 1
name: daily
kind: feature
owner: dana@example.org
schedule: '0 6 * * *'
partitions: {day: {every: day, start: 2026-11-20}}
steps:
  load:
    run: 'echo ${{ partition.key }} > ${{ outputs.x }}'
    outputs: {x: 'data/daily/${{ partition.key }}'}
"""


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    """A maker of jobs, each a fresh clone of one repository with a pipeline in it."""
    origin = tmp_path / "origin.git"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(origin))
    git(tmp_path, "clone", "--quiet", str(origin), "seed")
    seed = tmp_path / "seed"
    (seed / "pipelines").mkdir()
    (seed / "pipelines" / "demo.yaml").write_text(PIPELINE, "utf-8")
    (seed / "pipelines" / "daily.yaml").write_text(DAILY, "utf-8")
    (seed / "ok").write_text("", "utf-8")
    # Attributes that would change bytes on their way through git, had the state a part in them.
    (seed / ".gitattributes").write_text("* text=auto eol=lf\n*.csv filter=gone\n", "utf-8")
    (seed / ".gitignore").write_text("data/\n.mlorch/\n", "utf-8")
    git(seed, "add", ".")
    git(seed, "commit", "--quiet", "-m", "seed")
    git(seed, "push", "--quiet", "origin", "HEAD:main")
    count = iter(range(100))

    def make(**env: str) -> Job:
        return Job(origin, tmp_path / f"job{next(count)}", env).begin()

    return make


def runs(job: Job) -> list[dict[str, str]]:
    """The history as the clone of a job knows it."""
    folders = sorted((job.clone / ".mlorch" / "runs").iterdir())
    return [json.loads((folder / "run.json").read_text("utf-8")) for folder in folders]


def test_the_second_job_finds_what_the_first_did(job: Callable[..., Job]) -> None:
    first = job().run(command="run demo -p 2013-01-02")
    assert (first.failed, first.code) == ("", 0), first.output
    assert "nothing, as the branch is not there yet" in first.output
    assert "2013-01-02" in first.summary and "demo" in first.summary
    second = job().run(command="run demo -p 2013-01-02")
    assert second.failed == "", second.output
    assert len(runs(second)) == 1, "nothing ran again"
    assert "nothing new" in second.output, "an idle job pushes nothing"
    for name in ("data/2013-01-02.csv", "data/2013-01-02/one", "tools/2013-01-02"):
        assert (second.clone / name).read_bytes() == (first.clone / name).read_bytes()
    assert (second.clone / "data/2013-01-02.csv").read_bytes() == b"x\r\n"
    assert (second.clone / "data/2013-01-02/link").is_symlink()
    assert (second.clone / "data/2013-01-02/empty").is_dir()
    assert (second.clone / "tools/2013-01-02").stat().st_mode & 0o111
    assert (second.clone / ".mlorch").stat().st_mode & 0o777 == 0o700
    third = job().run(command="run demo -p 2013-01-03")
    assert third.failed == "", third.output
    assert len(runs(third)) == 2


def test_a_scheduled_job_does_what_became_due_since_the_one_before(job: Callable[..., Job]) -> None:
    done = []
    for now in ("2026-11-23T07:00:00Z", "2026-11-23T09:00:00Z", "2026-11-25T07:00:00Z"):
        one = job(MLORCH_NOW=now, MLORCH_INPUTS="{}").run(command="github run")
        assert one.failed == "", one.output
        done.append(sorted(path.name for path in (one.clone / "data/daily").iterdir()))
        assert len(runs(one)) == len(done[-1]), "each window ran once"
    assert done == [
        ["2026-11-20", "2026-11-21", "2026-11-22"],
        ["2026-11-20", "2026-11-21", "2026-11-22"],
        ["2026-11-20", "2026-11-21", "2026-11-22", "2026-11-23", "2026-11-24"],
    ]


def test_a_failed_run_is_kept_and_the_job_fails(job: Callable[..., Job]) -> None:
    first = job()
    (first.clone / "ok").unlink()
    first.run(command="run demo -p 2013-01-02")
    assert (first.failed, first.code) == ("mlorch", 1)
    assert "failed" in first.summary
    second = job().run(command="run demo -p 2013-01-02")
    assert second.failed == "", second.output
    assert len(runs(second)) == 2, "the failed one is in the history, and what it did is not done again"
    journal = (second.clone / ".mlorch/state/demo/2013-01-02/journal.jsonl").read_text("utf-8")
    assert journal.count('"type":"attempt_started"') == 4, "three steps, and again only the one that failed"


def test_the_branch_does_not_grow(job: Callable[..., Job]) -> None:
    for day in ("2013-01-02", "2013-01-03"):
        last = job().run(command=f"run demo -p {day}")
    log = git(last.origin, "log", "--format=%an %s", "mlorch-state")
    assert log == "mlorch State of mlorch\n"
    names = git(last.origin, "ls-tree", "-r", "--name-only", "mlorch-state").split()
    assert not [name for name in names if name.endswith(("/lock", "github.json")) or "/cache/" in name]
    assert not [name for name in names if name.startswith("pipelines/")]


def test_of_two_jobs_at_once_the_second_is_told_and_loses_nothing_of_the_first(job: Callable[..., Job]) -> None:
    job().run(command="run demo -p 2013-01-01")
    early, late = job(), job()
    for one in (early, late):
        one.run(command="version", keep_outputs="true")
    for one, day in ((early, "2013-01-02"), (late, "2013-01-03")):
        assert mlorch(one, "run", "demo", "-p", day) == 0, one.output
    assert mlorch(early, "github", "save") == 0, early.output
    tip = git(early.origin, "rev-parse", "mlorch-state")
    assert mlorch(late, "github", "save") == 6
    assert "changed by another run" in late.output
    assert git(early.origin, "rev-parse", "mlorch-state") == tip
    after = job().run(command="run demo -p 2013-01-02")
    assert len(runs(after)) == 2


def mlorch(job: Job, *words: str) -> int:
    """A command in the clone of a job, outside of the action."""
    import subprocess

    done = subprocess.run(
        [job.temp / "mlorch/bin/mlorch", *words],
        cwd=job.clone,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(job.folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    job.output += done.stdout + done.stderr
    return done.returncode


def test_a_repository_that_cannot_be_asked_is_not_a_fresh_start(job: Callable[..., Job]) -> None:
    job().run(command="run demo -p 2013-01-02")
    cut_off = job()
    cut_off.origin.rename(cut_off.origin.with_suffix(".away"))
    cut_off.run(command="run demo -p 2013-01-02")
    assert (cut_off.failed, cut_off.code) == ("Restore the state", 9)
    assert not (cut_off.clone / ".mlorch" / "runs").exists(), "nothing ran"


def test_saving_needs_restoring_and_restoring_overwrites_nothing(job: Callable[..., Job]) -> None:
    one = job()
    assert mlorch(one, "run", "demo", "-p", "2013-01-02") == 0
    assert mlorch(one, "github", "save") == 9
    assert "nothing was restored" in one.output
    assert mlorch(one, "github", "restore") == 6
    assert "not overwritten" in one.output


def test_outputs_elsewhere_are_not_kept(job: Callable[..., Job]) -> None:
    first = job().run(command="run demo -p 2013-01-02", keep_outputs="false")
    assert first.failed == "", first.output
    names = git(first.origin, "ls-tree", "-r", "--name-only", "mlorch-state").split()
    assert names and all(name.startswith(".mlorch/") for name in names)
    second = job().run(command="run demo -p 2013-01-02")
    assert second.failed == "", second.output
    assert "output_missing" in second.output or "missing" in second.summary
    assert len(runs(second)) == 2


def test_what_a_person_asked_for_travels_as_json(job: Callable[..., Job]) -> None:
    hostile = "$(touch hacked) `touch hacked` '\" \n--force; x"
    asked = {"pipeline": "demo", "partition": "2013-01-02", "word": hostile, "other-word": "no", "params": ""}
    one = job(MLORCH_INPUTS=json.dumps(asked)).run(command="github run")
    assert one.failed == "", one.output
    assert (one.clone / "data/2013-01-02.csv").read_bytes() == hostile.encode() + b"\r\n"
    assert not (one.clone / "hacked").exists()


def test_setup_comes_before_and_its_failure_stops_the_job(job: Callable[..., Job]) -> None:
    one = job().run(command="run demo -p 2013-01-02", setup="echo 'it''s here' > made\nfalse\ntrue")
    assert one.failed == "Set up the project"
    assert (one.clone / "made").exists()
    assert not (one.clone / ".mlorch").exists()


def test_a_run_that_takes_too_long_is_ended_and_kept(job: Callable[..., Job]) -> None:
    one = job()
    spec = (one.clone / "pipelines/demo.yaml").read_text("utf-8")
    (one.clone / "pipelines/demo.yaml").write_text(spec.replace("if [ ! -e ok ]", "sleep 60; if [ ! -e ok ]"), "utf-8")
    one.run(command="run demo -p 2013-01-02", time_limit="3s")
    assert (one.failed, one.code) == ("mlorch", 143)
    assert "saved to the branch" in one.output
    second = job().run(command="run demo -p 2013-01-02")
    assert second.failed == "", second.output
    assert len(runs(second)) == 2


def test_the_token_is_in_no_argument_and_no_file(job: Callable[..., Job]) -> None:
    one = job().run(command="run demo -p 2013-01-02")
    assert "t0ken" not in one.output + one.summary
    for path in one.folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and "/temp/mlorch/" not in str(path):
            assert b"t0ken" not in path.read_bytes(), path
