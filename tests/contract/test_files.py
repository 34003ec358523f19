"""What every disk holds to, the real one and the fake."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mlorch.model.errors import FileError
from mlorch.testing.disk import MemoryFiles
from mlorch.world.files import ProjectFiles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlorch.model.ports import Files

STAGING = "out/.mlorch-r1"


@pytest.fixture(params=["disk", "memory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    if request.param == "memory":
        return MemoryFiles("/project", roots=(("lake", "/lake"),))
    root = tmp_path / "project"
    (tmp_path / "lake").mkdir()
    root.mkdir()
    return ProjectFiles(str(root), (("lake", str(tmp_path / "lake")),), cache_dir=str(tmp_path / "cache"))


def publish(files: Files, path: str, text: str, staging: str = STAGING) -> None:
    staged = files.stage(staging, path, is_folder=False)
    files.write_text(staged, text)
    files.move(staged, path)
    files.remove(staging)


def publish_folder(files: Files, path: str, content: dict[str, str]) -> None:
    staged = files.stage(STAGING, path, is_folder=True)
    for name, text in content.items():
        files.write_text(f"{staged}/{name}", text)
    files.move(staged, path)
    files.remove(STAGING)


def test_absolute_paths_are_below_the_project(files: Files) -> None:
    root = files.absolute(".")
    assert files.absolute("a/b") == f"{root}/a/b"
    assert files.absolute("a//b/../c/") == f"{root}/a/c"
    assert files.absolute("/x/y") == "/x/y"


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/passwd", "/"])
def test_paths_that_lead_out_are_told(files: Files, path: str) -> None:
    assert "out of the project" in files.outside(path)


def test_paths_inside_and_below_a_root_may_be_used(files: Files) -> None:
    lake = os.path.join(os.path.dirname(files.absolute(".")), "lake")
    for path in ("a", "a/b", ".", "..a", f"{lake}/x", lake):
        assert files.outside(path) == ""


def test_a_neighbour_whose_name_begins_alike_is_outside(files: Files) -> None:
    assert files.outside(files.absolute(".") + "2/x")


def test_looking_at_what_is_not_there(files: Files) -> None:
    assert files.look("a") is None
    assert files.look("a/b/c") is None
    assert not files.exists("a")
    assert files.written("a") == (None, "")
    assert files.modified("a") is None
    assert files.read_text("a", 10) is None


def test_the_same_content_has_the_same_digest(files: Files) -> None:
    files.write_text("a", "same")
    files.write_text("d/b", "same")
    files.write_text("c", "other")
    a, b, c = files.look("a"), files.look("d/b"), files.look("c")
    assert a is not None and b is not None and c is not None
    assert a.digest == b.digest != c.digest
    assert (a.path, a.size) == ("a", 4)


def test_a_change_of_content_is_noticed_and_a_mere_rewrite_is_not(files: Files) -> None:
    files.write_text("a", "one")
    known = files.look("a")
    assert known is not None and files.same(known)
    files.write_text("a", "two")
    assert not files.same(known)
    files.write_text("a", "one")
    assert files.same(known)
    files.remove("a")
    assert not files.same(known)


@pytest.mark.parametrize(
    "change",
    [
        lambda files: files.write_text("d/x", "changed"),
        lambda files: files.write_text("d/new", ""),
        lambda files: files.remove("d/sub/y"),
        lambda files: files.remove("d/sub"),
        lambda files: (files.write_text("d/z", "1"), files.remove("d/x")),
    ],
)
def test_changes_in_a_folder_are_noticed(files: Files, change: Callable[[Files], object]) -> None:
    publish_folder(files, "d/", {"x": "1", "sub/y": "2"})
    known = files.look("d")
    assert known is not None and files.same(known) and known.size == 2
    change(files)
    assert not files.same(known)


def test_an_output_appears_whole_and_its_staging_folder_goes(files: Files) -> None:
    publish(files, "out/a b\n.txt", "first")
    assert files.read_text("out/a b\n.txt", 100) == "first"
    publish(files, "out/a b\n.txt", "second")
    assert files.read_text("out/a b\n.txt", 100) == "second"
    assert not files.exists(STAGING)


def test_the_staged_place_has_the_last_name_of_the_output(files: Files) -> None:
    assert files.stage(STAGING, "out/table.parquet", is_folder=False) == f"{STAGING}/table.parquet"
    assert files.exists(STAGING) and not files.exists(f"{STAGING}/table.parquet")
    assert files.stage(STAGING, "out/folder/", is_folder=True) == f"{STAGING}/folder"
    assert files.written(f"{STAGING}/folder") == (0, "")


def test_staging_again_begins_with_nothing(files: Files) -> None:
    files.write_text(files.stage(STAGING, "out/a", is_folder=False), "half")
    staged = files.stage(STAGING, "out/a", is_folder=False)
    assert not files.exists(staged)
    files.write_text(files.stage(STAGING, "out/d/", is_folder=True) + "/x", "half")
    assert files.written(files.stage(STAGING, "out/d/", is_folder=True)) == (0, "")


def test_a_folder_replaces_a_folder_with_all_that_it_held(files: Files) -> None:
    publish_folder(files, "out/d/", {"old": "1", "both": "2"})
    publish_folder(files, "out/d/", {"new": "3", "both": "4"})
    assert files.expand("out/d/**") == ("out/d/both", "out/d/new")
    assert files.read_text("out/d/both", 10) == "4"
    assert not files.exists(STAGING)


def test_moving_what_was_moved_before_is_fine(files: Files) -> None:
    publish(files, "out/a", "1")
    files.move(f"{STAGING}/a", "out/a")
    publish_folder(files, "out/d/", {"x": "1"})
    files.move(f"{STAGING}/d", "out/d/")
    assert files.read_text("out/a", 9) == files.read_text("out/d/x", 9) == "1"


@pytest.mark.parametrize("is_folder", [False, True])
def test_the_identity_moves_along_and_is_not_that_of_what_stood_there(files: Files, *, is_folder: bool) -> None:
    inner = "/x" if is_folder else ""
    publish_folder(files, "out/a", {"x": "1"}) if is_folder else publish(files, "out/a", "1")
    staged = files.stage(STAGING, "out/a", is_folder=is_folder)
    files.write_text(staged + inner, "2")
    fresh, former = files.identity(staged), files.identity("out/a")
    assert fresh
    assert fresh != former
    files.move(staged, "out/a")
    assert files.identity("out/a") == fresh
    assert files.identity(staged) == ""


def test_moving_what_is_nowhere_is_an_error(files: Files) -> None:
    with pytest.raises(FileError, match="neither"):
        files.move(f"{STAGING}/a", "out/a")


def test_a_file_does_not_replace_a_folder_nor_a_folder_a_file(files: Files) -> None:
    files.write_text("out/x/inner", "keep")
    with pytest.raises(FileError, match="folder stands"):
        publish(files, "out/x", "file")
    files.write_text("out/y", "keep")
    with pytest.raises(FileError, match="file stands"):
        publish_folder(files, "out/y/", {"a": ""})
    assert files.read_text("out/x/inner", 9) == files.read_text("out/y", 9) == "keep"


@pytest.mark.parametrize("is_folder", [False, True])
@pytest.mark.parametrize("former", [False, True])
def test_what_is_swapped_can_be_swapped_back(files: Files, *, is_folder: bool, former: bool) -> None:
    inner = "/x" if is_folder else ""
    if former:
        files.write_text("out/a" + inner, "former")
    staged = files.stage(STAGING, "out/a", is_folder=is_folder)
    files.write_text(staged + inner, "new")
    identity = files.identity(staged)
    old = "former" if former else None
    for _ in range(2):
        files.swap(staged, "out/a", identity)
        assert (files.read_text("out/a" + inner, 9), files.read_text(staged + inner, 9)) == ("new", old)
    look = files.look("out/a")
    assert look is not None
    for _ in range(2):
        files.unswap(staged, "out/a", identity)
        assert (files.read_text("out/a" + inner, 9), files.read_text(staged + inner, 9)) == (old, "new")
    after = files.look("out/a")
    assert after is None if not former else after is not None and after.digest != look.digest


def test_swapping_what_is_gone_or_of_the_wrong_kind_changes_nothing(files: Files) -> None:
    staged = files.stage(STAGING, "out/a", is_folder=False)
    files.write_text(staged, "new")
    identity = files.identity(staged)
    files.write_text("out/a/inner", "keep")
    with pytest.raises(FileError, match="folder stands"):
        files.swap(staged, "out/a", identity)
    assert (files.read_text(staged, 9), files.read_text("out/a/inner", 9)) == ("new", "keep")
    files.remove(staged)
    with pytest.raises(FileError, match="is gone"):
        files.swap(staged, "out/a", identity)


def test_what_is_put_aside_comes_back(files: Files) -> None:
    files.write_text("out/a", "former")
    files.set_aside("out/a", "out/.aside")
    assert not files.exists("out/a")
    files.write_text("out/a", "half of the new")
    files.move("out/.aside", "out/a")
    assert files.read_text("out/a", 99) == "former"


def test_putting_aside_nothing_makes_the_folder(files: Files) -> None:
    files.set_aside("deep/er/a", "deep/er/.aside")
    assert files.exists("deep/er") and not files.exists("deep/er/.aside")


def test_putting_aside_never_overwrites_what_waits_there(files: Files) -> None:
    files.write_text("out/.aside", "the good one")
    files.write_text("out/a", "half")
    with pytest.raises(FileError, match="from before"):
        files.set_aside("out/a", "out/.aside")
    assert files.read_text("out/.aside", 99) == "the good one"


def test_removing(files: Files) -> None:
    files.write_text("d/sub/x", "1")
    files.remove("d/sub/x")
    files.remove("d/sub/x")
    files.remove("nothing/here")
    files.write_text("d/y", "1")
    files.remove("d/")
    assert not files.exists("d")
    with pytest.raises(FileError):
        files.remove(".")


def test_what_is_made_after_a_removal_is_new(files: Files) -> None:
    publish(files, "out/a", "1")
    known = files.look("out/a")
    files.remove("out/a")
    publish(files, "out/a", "2")
    found = files.look("out/a", known)
    assert found is not None and known is not None and found.digest != known.digest


def test_reading_more_than_allowed_is_refused(files: Files) -> None:
    files.write_text("a", "12345")
    assert files.read_text("a", 5) == "12345"
    with pytest.raises(ValueError, match="more than 4"):
        files.read_text("a", 4)
    files.write_text("d/x", "")
    with pytest.raises(FileError):
        files.read_text("d", 10)


def test_modification_times_do_not_run_backwards(files: Files) -> None:
    files.write_text("a", "1")
    first = files.modified("a")
    files.write_text("a", "2")
    second = files.modified("a")
    assert first is not None
    assert second is not None
    assert 0 < first <= second


def test_a_rename_shows_where_the_time_of_the_content_does_not(files: Files) -> None:
    publish(files, "out/a", "former")
    staged = files.stage(STAGING, "out/a", is_folder=False)
    files.write_text(staged, "new")
    before = files.touched(staged)
    former = files.touched("out/a")
    assert before is not None
    assert former is not None
    files.move(staged, "out/a")
    after = files.touched("out/a")
    assert after is not None
    assert after >= before >= former > 0
    assert files.touched("nothing") is None


def test_sizes(files: Files) -> None:
    files.write_text("d/x", "123")
    files.write_text("d/sub/y", "45")
    assert (files.written("d/x"), files.written("d")) == ((3, ""), (5, ""))


def test_flushing_what_is_there_and_what_is_not(files: Files) -> None:
    publish_folder(files, "d/", {"x": "1", "sub/y": "2"})
    files.write_text("a", "1")
    files.flush(["a", "d/", "gone"])
    files.flush_folders(["a", "d/"])
    assert files.read_text("a", 9) == "1"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("data/*.csv", ("data/a.csv", "data/b c.csv")),
        ("data/**", ("data/a.csv", "data/b c.csv", "data/sub/c.csv", "data/sub/deep/d.txt")),
        ("data/**/*.csv", ("data/a.csv", "data/b c.csv", "data/sub/c.csv")),
        ("**/*.txt", ("data/sub/deep/d.txt",)),
        ("data/*", ("data/a.csv", "data/b c.csv", "data/sub")),
        ("data/*/", ("data/sub",)),
        ("data/[ab]*.csv", ("data/a.csv", "data/b c.csv")),
        ("data/?.csv", ("data/a.csv",)),
        ("data/.*.csv", ("data/.hidden.csv",)),
        (".h/*", (".h/x",)),
        ("*/x", ()),
        ("nothing/*", ()),
        ("data/a.csv", ("data/a.csv",)),
        ("data/a.csv/*", ()),
    ],
)
def test_globs(files: Files, pattern: str, expected: tuple[str, ...]) -> None:
    for path in ("data/a.csv", "data/b c.csv", "data/.hidden.csv", "data/sub/c.csv", "data/sub/deep/d.txt", ".h/x"):
        files.write_text(path, "")
    assert files.expand(pattern) == expected


def test_an_absolute_glob_gives_absolute_paths(files: Files) -> None:
    files.write_text("a.csv", "")
    assert files.expand(files.absolute("*.csv")) == (files.absolute("a.csv"),)
