from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mlorch.model.errors import FileError, UsageError
from mlorch.world.memory import FileMemory
from mlorch.world.project import find_project, pipeline_files, read_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("mark", ["mlorch.yaml", "pipelines/"])
def test_the_nearest_folder_upwards_is_the_project(tmp_path: Path, mark: str) -> None:
    for folder in (tmp_path, tmp_path / "inner"):
        folder.mkdir(exist_ok=True)
        if mark.endswith("/"):
            (folder / mark).mkdir()
        else:
            (folder / mark).write_text("")
    (tmp_path / "inner/a/b").mkdir(parents=True)
    assert find_project(str(tmp_path / "inner/a/b")) == str(tmp_path / "inner")
    assert find_project(str(tmp_path)) == str(tmp_path)


def test_a_file_named_pipelines_makes_no_project(tmp_path: Path) -> None:
    (tmp_path / "pipelines").write_text("")
    with pytest.raises(UsageError, match="no project found") as caught:
        find_project(str(tmp_path))
    assert "--project" in caught.value.hint


def test_any_folder_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "any").mkdir()
    assert find_project(str(tmp_path), "any") == str(tmp_path / "any")
    assert find_project("/", str(tmp_path / "any/..")) == str(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="not a folder"):
        find_project(str(tmp_path), "file")
    with pytest.raises(UsageError, match="does not exist"):
        find_project(str(tmp_path), "gone")


def test_pipeline_files_are_listed_once_and_sorted(tmp_path: Path) -> None:
    (tmp_path / "pipelines/folder.yaml").mkdir(parents=True)
    for name in ("b.yaml", "a.yaml", "c.yml", "d.txt", ".e.yaml"):
        (tmp_path / "pipelines" / name).write_text("")
    (tmp_path / "pipelines/gone.yaml").symlink_to("nowhere")
    patterns = ("pipelines/*.yaml", "pipelines/*.yml", "pipelines/[ab].yaml", "none/*.yaml")
    found = pipeline_files(str(tmp_path), patterns)
    assert found == ("pipelines/a.yaml", "pipelines/b.yaml", "pipelines/c.yml", "pipelines/gone.yaml")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("gone.yaml", "does not exist"),
        ("folder", "is a folder"),
        ("file/x.yaml", "does not exist"),
        ("binary", "binary"),
        ("big", "larger"),
    ],
)
def test_what_cannot_be_a_spec_is_told(tmp_path: Path, name: str, problem: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "binary").write_bytes(b"\x7fELF\0\0\0")
    (tmp_path / "big").write_bytes(b"x" * 101)
    with pytest.raises(FileError, match=problem) as caught:
        read_file(str(tmp_path / name), limit=100)
    assert str(tmp_path / name) in caught.value.message


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert read_file(str(tmp_path / "pipe")) == b""


def test_bytes_come_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xef\xbb\xbfname: x\r\n")
    assert read_file(str(tmp_path / "x"), limit=12) == b"\xef\xbb\xbfname: x\r\n"


@pytest.fixture
def memory(tmp_path: Path) -> FileMemory:
    return FileMemory(str(tmp_path / "cache/specs"))


def test_what_is_remembered_is_recalled_whole(memory: FileMemory) -> None:
    assert memory.recall("a") is None
    memory.remember("a", "text \udcff\n")
    memory.remember("a", "newer")
    memory.remember("b", "ü\n")
    assert (memory.recall("a"), memory.recall("b")) == ("newer", "ü\n")


def test_a_damaged_memory_is_none(memory: FileMemory, tmp_path: Path) -> None:
    memory.remember("a", "text")
    (tmp_path / "cache/specs/a").write_bytes(b"\xff\xfe\x00")
    assert memory.recall("a") is None
    (tmp_path / "cache/specs/a").unlink()
    os.mkfifo(tmp_path / "cache/specs/a")
    assert memory.recall("a") is None


def test_a_memory_that_cannot_be_kept_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    memory = FileMemory(str(tmp_path / "file/specs"))
    memory.remember("a", "text")
    assert memory.recall("a") is None


def test_the_memory_does_not_grow_for_ever(memory: FileMemory, tmp_path: Path) -> None:
    (tmp_path / "cache/specs").mkdir(parents=True)
    for number in range(600):
        (tmp_path / f"cache/specs/{number}").write_text("")
    memory.remember("a", "text")
    assert len(os.listdir(tmp_path / "cache/specs")) < 512
    assert memory.recall("a") == "text"
