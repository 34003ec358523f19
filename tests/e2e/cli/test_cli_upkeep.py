"""`doctor` and `gc` through the command."""

from __future__ import annotations

import fcntl
import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cli.conftest import Project

KEYS = ("2013-01-01", "2013-01-02")


def journal(project: Project, key: str) -> Path:
    return project.folder / ".mlorch" / "state" / "demo" / key / "journal.jsonl"


def ran(project: Project, *words: str) -> list[str]:
    """The steps that a run executed."""
    done = project("run", "demo", *words, "-o", "json")
    assert done.returncode == 0, done.stderr
    return [step["id"] for run in json.loads(done.stdout)["data"]["runs"] for step in run["steps"] if step["attempts"]]


def levels(document: Any, level: str) -> list[str]:
    return [found["message"] for found in document["data"]["findings"] if found["level"] == level]


def spoil(path: Path, line: int) -> bytes:
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line - 1] = lines[line - 1].replace(b"2", b"3", 1)
    path.write_bytes(b"".join(lines))
    return path.read_bytes()


@pytest.fixture
def done(project: Project) -> Project:
    """A project with two partitions that are done."""
    for key in KEYS:
        assert len(ran(project, "-p", key)) == 3
    return project


def test_all_is_well(done: Project) -> None:
    document = done.json("doctor")
    assert levels(document, "problem") == []
    assert any("2 journals" in message for message in levels(document, "ok"))
    assert {found["area"] for found in document["data"]["findings"]} == {"machine", "project", "state"}
    assert "all is well" in done("doctor", "--state").stdout


def test_before_the_first_run_it_leaves_nothing(project: Project) -> None:
    document = project.json("doctor")
    assert any("no state yet" in message for message in levels(document, "ok"))
    project.json("doctor", "--repair")
    project.json("gc")
    assert not (project.folder / ".mlorch").exists()


@pytest.mark.parametrize("command", [("run", "demo", "-p", KEYS[0]), ("status",), ("plan", "demo", "-p", KEYS[0])])
def test_a_damaged_journal_stops_with_its_place_and_the_remedy(done: Project, command: tuple[str, ...]) -> None:
    path = journal(done, KEYS[0])
    spoiled = spoil(path, 3)
    stopped = done(*command)
    assert stopped.returncode == 9
    assert f"{path} is damaged: line 3" in stopped.stderr
    assert "mlorch doctor --repair" in stopped.stderr
    assert path.read_bytes() == spoiled


def test_damage_is_told_then_mended_with_the_evidence_kept(done: Project) -> None:
    path = journal(done, KEYS[0])
    spoiled = spoil(path, 3)  # how the first step ended
    document = done.json("doctor", "--state", code=9)
    assert [(p["file"], p["line"], p["severity"]) for p in document["problems"]] == [(str(path), 3, "error")]
    assert path.read_bytes() == spoiled, "looking changes nothing"

    document = done.json("doctor", "--repair")
    assert document["problems"] == []
    (kept,) = path.parent.glob("journal.jsonl.damaged-*")
    assert kept.read_bytes() == spoiled
    assert done("doctor", "--state").returncode == 0
    assert ran(done, "-p", KEYS[0]) == ["load"], "what the damage covered is done again, what stands is not"
    assert ran(done, "-p", KEYS[1]) == []


def test_damage_between_runs_counts_nothing_before_it_as_done(done: Project) -> None:
    assert len(ran(done, "-p", KEYS[0], "--force")) == 3
    path = journal(done, KEYS[0])
    lines = path.read_bytes().splitlines(keepends=True)
    ends = next(index for index, line in enumerate(lines) if b'"run_ended"' in line)
    path.write_bytes(b"".join(lines[: ends + 1] + lines[ends + 3 :]))  # the second run's start and its first attempt
    done.json("doctor", "--state", code=9)
    done.json("doctor", "--repair")
    assert ran(done, "-p", KEYS[0]) == [], "the second run finished all of them after the damage"


def test_a_torn_tail_is_a_warning_and_is_cut(done: Project) -> None:
    path = journal(done, KEYS[1])
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"schema":1,"seq":99,"ty')
    document = done.json("doctor", "--state")
    assert [p["severity"] for p in document["problems"]] == ["warning"]
    done.json("doctor", "--repair")
    assert path.read_bytes() == whole
    assert path.with_name("journal.jsonl.torn").read_bytes() == b'{"schema":1,"seq":99,"ty'


def test_a_partition_in_use_is_not_mended(done: Project) -> None:
    path = journal(done, KEYS[0])
    spoiled = spoil(path, 3)
    with (path.parent / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        document = done.json("doctor", "--repair", code=9)
        assert any("is held by" in message for message in levels(document, "ok"))
    assert any("busy" in message for message in levels(document, "problem"))
    assert path.read_bytes() == spoiled


def test_other_things_that_are_mended(done: Project) -> None:
    state = done.folder / ".mlorch"
    state.chmod(0o755)
    (state / "reserve").unlink()
    (state / "cache" / "digests").write_bytes(b"damaged")
    run_id = _newest(state)
    left = done.folder / "data" / "raw" / f".mlorch-{run_id}"
    left.mkdir()
    (left / "half").write_text("x")
    half = journal(done, KEYS[0]).with_name("journal.jsonl.new")
    half.write_text("half")
    document = done.json("doctor", "--state")
    assert len(levels(document, "warning")) == 5, levels(document, "warning")
    document = done.json("doctor", "--repair")
    assert [found["mended"] for found in document["data"]["findings"] if found["level"] == "warning"].count(None) == 0
    assert levels(done.json("doctor", "--state"), "warning") == []
    assert state.stat().st_mode & 0o777 == 0o700
    assert not left.exists()
    assert not half.exists()


def _newest(state: Path) -> str:
    return max(os.listdir(state / "runs"))


def test_a_newer_schema_is_left_alone(done: Project) -> None:
    from zlib import crc32

    path = journal(done, KEYS[0])
    body = b'{"schema":2,"seq":1,"type":"x"'
    path.write_bytes(b'%s,"crc":"%08x"}\n' % (body, crc32(body)))
    before = path.read_bytes()
    done.json("doctor", "--repair", code=9)
    assert path.read_bytes() == before
    assert "upgrade mlorch" in done("doctor", "--state").stdout


def test_wrong_specs_and_missing_programs_are_told(done: Project) -> None:
    (done.folder / "pipelines" / "other.yaml").write_text(
        "mlorch: 1\nname: other\nkind: feature\nowner: a@b.example\nsteps:\n  x: {run: [no-such-program, x]}\n"
    )
    document = done.json("doctor", code=3)
    assert any("no-such-program" in message for message in levels(document, "problem"))
    (done.folder / "mlorch.yaml").write_text("mlorch: 1\nretention: {rans: 3}\n")
    document = done.json("doctor", code=3)
    assert [p["file"] for p in document["problems"] if p["severity"] == "error"] == ["mlorch.yaml"]
    assert any("2 journals" in message for message in levels(document, "ok")), "the state is looked at all the same"


def test_gc_gives_up_runs_and_nothing_that_is_done(done: Project) -> None:
    for _ in range(4):
        ran(done, "-p", KEYS[0], "--force")
    (done.folder / "mlorch.yaml").write_text("mlorch: 1\nretention: {runs: 2}\n")
    before = journal(done, KEYS[0]).read_bytes()
    document = done.json("gc", "--dry-run")
    assert [len(item["runs"]) for item in document["data"]["partitions"]] == [3]
    assert journal(done, KEYS[0]).read_bytes() == before

    document = done.json("gc")
    (item,) = document["data"]["partitions"]
    assert (item["partition"], item["kept"], len(item["runs"])) == (KEYS[0], 2, 3)
    assert item["journal_bytes_after"] < item["journal_bytes_before"]
    assert document["data"]["folders"] == 3
    assert sorted(os.listdir(done.folder / ".mlorch" / "runs")) == sorted(
        set(re.findall(r'"run_started","run_id":"([^"]+)"', "".join(journal(done, key).read_text() for key in KEYS)))
    )
    assert ran(done, "-p", KEYS[0]) == []
    assert ran(done, "-p", KEYS[1]) == []
    assert "nothing to give up" in done("gc").stdout
    assert done.json("doctor", "--state")["problems"] == []


def test_the_runs_of_a_backfill_share_their_spec_until_one_is_given_up(project: Project) -> None:
    text = (project.folder / "pipelines" / "demo.yaml").read_bytes()
    assert project("backfill", "demo", "--from", KEYS[0], "--to", KEYS[1], "-q").returncode == 0
    kept = list(project.folder.glob(".mlorch/runs/*/spec.yaml"))
    assert len(kept) == 2 and os.path.samefile(*kept)
    kept[0].unlink()
    assert kept[1].read_bytes() == text


def test_gc_leaves_partitions_in_use_and_damaged_ones(done: Project) -> None:
    for key in KEYS:
        ran(done, "-p", key, "--force")
    (done.folder / "mlorch.yaml").write_text("mlorch: 1\nretention: {runs: 1}\n")
    spoiled = spoil(journal(done, KEYS[1]), 2)
    before = journal(done, KEYS[0]).read_bytes()
    with (journal(done, KEYS[0]).parent / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        document = done.json("gc", code=9)
    skipped = {item["partition"]: item["skipped"] for item in document["data"]["partitions"]}
    assert skipped[KEYS[0]].startswith("busy")
    assert "damaged" in skipped[KEYS[1]]
    assert journal(done, KEYS[0]).read_bytes() == before
    assert journal(done, KEYS[1]).read_bytes() == spoiled
    assert len(os.listdir(done.folder / ".mlorch" / "runs")) == 4


def test_gc_finishes_what_a_killed_one_left(done: Project) -> None:
    gone = done.folder / ".mlorch" / "runs" / ".gone-20130101-000000-aaaaa"
    (gone / "below").mkdir(parents=True)
    (gone / "below" / "log").write_text("x")
    stray = gone.with_name("20130101-000000-bbbbb")
    stray.mkdir()
    fresh = gone.with_name("29991231-000000-bbbbb")
    fresh.mkdir()
    assert done.json("gc")["data"]["folders"] == 2
    assert not gone.exists()
    assert not stray.exists()
    assert fresh.exists(), "it may belong to a run that is about to begin"
