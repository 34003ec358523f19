"""Slots of pools on disk: held exactly as long as a process that needs them lives."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from typing import IO, TYPE_CHECKING

import pytest

from mlorch.model.errors import StateError
from mlorch.model.pools import Shortage
from mlorch.world.locks import LockFile
from mlorch.world.pools import FilePools, FileSlots

if TYPE_CHECKING:
    from pathlib import Path

GPU = (("gpu", 1),)
ANOTHER = """
import sys
from mlorch.world.pools import FilePools
slots = FilePools(sys.argv[1], {"gpu": 1}).take((("gpu", 1),), "r7", "step train of run r7")
print(type(slots).__name__, flush=True)
sys.stdin.read()
"""


def pools(folder: Path, gpu: int = 1) -> FilePools:
    return FilePools(str(folder / "pools"), {"gpu": gpu})


def took(found: FileSlots | Shortage) -> FileSlots:
    assert isinstance(found, FileSlots)
    return found


def child(code: str, *args: str, lends: tuple[int, ...] = ()) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", code, *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=lends,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    said: IO[str] | None = process.stdout
    assert said is not None
    return process, said.readline().strip()


def test_a_child_that_it_was_lent_to_keeps_it(tmp_path: Path) -> None:
    slots = took(pools(tmp_path).take(GPU, "r1", "one"))
    process, _ = child("import sys; print('there', flush=True); sys.stdin.read()", lends=slots.descriptors)
    slots.release()
    short = pools(tmp_path).take(GPU, "r2", "two")
    process.communicate("")
    assert isinstance(short, Shortage)
    took(pools(tmp_path).take(GPU, "r2", "two"))


def test_a_killed_command_leaves_nothing_to_unlock_and_is_named_while_it_lives(tmp_path: Path) -> None:
    process, said = child(ANOTHER, str(tmp_path / "pools"))
    assert said == "FileSlots"
    short = pools(tmp_path).take(GPU, "r2", "two")
    assert isinstance(short, Shortage)
    (holder,) = short.holders
    assert (holder.note, holder.run_id, holder.pid) == ("step train of run r7", "r7", process.pid)
    assert holder.start_ticks
    assert holder.boot_id
    process.kill()
    process.communicate()
    took(pools(tmp_path).take(GPU, "r2", "two"))


def test_somebody_who_is_just_taking_slots_is_no_holder(tmp_path: Path) -> None:
    guard = LockFile(str(tmp_path / "pools/.guard"))
    os.mkdir(tmp_path / "pools")
    assert guard.acquire(wait=0, note="")
    assert pools(tmp_path).take(GPU, "r1", "one") == Shortage("gpu", ())
    guard.release()
    took(pools(tmp_path).take(GPU, "r1", "one"))


@pytest.mark.parametrize("note", ["", "[", "[]", '{"note": 3, "pid": "x", "boot_id": null}'])
def test_a_damaged_note_costs_only_the_name(tmp_path: Path, note: str) -> None:
    process, _ = child(ANOTHER, str(tmp_path / "pools"))
    (tmp_path / "pools/gpu/0").write_text(note)
    short = pools(tmp_path).take(GPU, "r2", "two")
    process.communicate("")
    assert isinstance(short, Shortage)
    assert len(short.holders) == 1


def test_strange_files_are_no_slots(tmp_path: Path) -> None:
    os.makedirs(tmp_path / "pools/gpu/12x")
    (tmp_path / "pools/gpu/notes").write_text("")
    took(pools(tmp_path).take(GPU, "r1", "one"))


def test_only_the_owner_may_look(tmp_path: Path) -> None:
    took(pools(tmp_path).take(GPU, "r1", "one"))
    for path in ("pools", "pools/gpu", "pools/gpu/0"):
        assert stat.S_IMODE(os.stat(tmp_path / path).st_mode) & 0o077 == 0
    assert json.loads((tmp_path / "pools/gpu/0").read_text())["run"] == "r1"


def test_a_folder_that_cannot_be_made_names_its_path(tmp_path: Path) -> None:
    (tmp_path / "pools").write_text("")
    with pytest.raises(StateError, match="pools"):
        pools(tmp_path).take(GPU, "r1", "one")
