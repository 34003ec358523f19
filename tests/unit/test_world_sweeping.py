"""Staging folders that a power cut left: only those that no run comes back to are removed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mlorch.world.layout import StateLayout
from mlorch.world.machine import boot_id
from mlorch.world.sweeping import Sweeper

if TYPE_CHECKING:
    from pathlib import Path

RUN = "20260105-120000-abcde"


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / f".mlorch-{RUN}"
    folder.mkdir(parents=True)
    (folder / "out.txt").write_text("half")
    return folder


def facts(tmp_path: Path, boot: str, *journal: str) -> None:
    layout = StateLayout(str(tmp_path / ".mlorch"))
    layout.create_run(RUN)
    run = {"boot_id": boot, "pipeline": "p", "partition": ""}
    (tmp_path / ".mlorch/runs" / RUN / "run.json").write_text(json.dumps(run))
    folder = tmp_path / ".mlorch/state/p/_"
    folder.mkdir(parents=True)
    if journal:
        (folder / "journal.jsonl").write_text("".join(f'{{"type":"{kind}","run_id":"{RUN}"}}\n' for kind in journal))


def sweep(tmp_path: Path) -> None:
    Sweeper(StateLayout(str(tmp_path / ".mlorch")), ".mlorch-").sweep(str(tmp_path / "data"))


def test_one_of_a_run_that_nobody_knows_goes(tmp_path: Path, staged: Path) -> None:
    (tmp_path / "data/kept.txt").write_text("kept")
    sweep(tmp_path)
    assert not staged.exists()
    assert (tmp_path / "data/kept.txt").exists()


@pytest.mark.parametrize("text", ["", "\0\0\0", "[]", "{}"])
def test_one_whose_facts_were_lost_goes(tmp_path: Path, staged: Path, text: str) -> None:
    facts(tmp_path, "former")
    (tmp_path / ".mlorch/runs" / RUN / "run.json").write_text(text)
    sweep(tmp_path)
    assert not staged.exists()


def test_one_of_this_boot_stays(tmp_path: Path, staged: Path) -> None:
    facts(tmp_path, boot_id())
    sweep(tmp_path)
    assert staged.exists()


@pytest.mark.parametrize(
    ("journal", "gone"),
    [
        ((), True),
        (("run_started",), False),
        (("run_started", "attempt_started"), False),
        (("run_started", "run_lost"), True),
        (("run_started", "run_ended"), True),
    ],
)
def test_one_of_a_former_boot_goes_when_its_run_is_over_or_unknown(
    tmp_path: Path, staged: Path, journal: tuple[str, ...], *, gone: bool
) -> None:
    facts(tmp_path, "former", *journal)
    sweep(tmp_path)
    assert staged.exists() is not gone


def test_a_folder_is_looked_at_once_and_need_not_be_there(tmp_path: Path) -> None:
    sweeper = Sweeper(StateLayout(str(tmp_path / ".mlorch")), ".mlorch-")
    data = tmp_path / "data"
    sweeper.sweep(str(data))
    (data / f".mlorch-{RUN}").mkdir(parents=True)
    sweeper.sweep(str(data))
    assert (data / f".mlorch-{RUN}").exists()
