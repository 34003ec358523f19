from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlorch.model.errors import ExitCode, StateError
from mlorch.testing.clock import HandClock
from mlorch.world.layout import StateLayout, decode_name, encode_name, shared_kind


@pytest.fixture
def layout(tmp_path: Path) -> StateLayout:
    made = StateLayout(str(tmp_path / ".mlorch"))
    made.create()
    return made


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "_"),
        ("2013-01-31", "2013-01-31"),
        ("2013-01-31,EWR", "2013-01-31%2CEWR"),
        ("2026-10-25T02+0200", "2026-10-25T02+0200"),
        ("a/b", "a%2Fb"),
        ("..", "%2E."),
        (".hidden", "%2Ehidden"),
        ("_", "%5F"),
        ("%", "%25"),
        ("é", "%C3%A9"),
        ("train[lr=0.1,seed=1]", "train%5Blr%3D0.1%2Cseed%3D1%5D"),
    ],
)
def test_names_are_safe_and_can_be_read_back(text: str, name: str) -> None:
    assert encode_name(text) == name
    assert decode_name(name) == text


def test_long_names_are_cut_and_still_differ() -> None:
    one, other = encode_name("x" * 5000 + "1"), encode_name("x" * 5000 + "2")
    assert one != other
    assert len(one) <= 180
    assert decode_name(one) is None


@pytest.mark.parametrize("name", ["%4", "%zz", "a b", "%41", ".x"])
def test_names_that_are_not_ours_are_no_names(name: str) -> None:
    assert decode_name(name) is None


def test_the_folder_is_private_and_ignored_by_git(layout: StateLayout) -> None:
    assert stat.S_IMODE(os.stat(layout.root).st_mode) == 0o700
    assert Path(layout.root, ".gitignore").read_text() == "*\n"
    assert Path(layout.root, "version").read_text() == "1\n"
    layout.create()
    layout.check()


def test_it_is_made_with_the_folders_above_it(tmp_path: Path) -> None:
    StateLayout(str(tmp_path / "a/b/.mlorch")).create()
    assert (tmp_path / "a/b/.mlorch/version").exists()


def test_creation_cut_off_after_the_folder_is_finished(tmp_path: Path) -> None:
    (tmp_path / ".mlorch").mkdir()
    StateLayout(str(tmp_path / ".mlorch")).create()
    assert (tmp_path / ".mlorch/version").read_text() == "1\n"


@pytest.mark.parametrize("text", ["", "\0\0", "1\0"])
def test_a_version_that_a_power_cut_left_half_written_is_no_obstacle(layout: StateLayout, text: str) -> None:
    Path(layout.root, "version").write_text(text)
    layout.create()
    assert Path(layout.root, "version").read_text().strip("\0\n") == "1"


def test_a_newer_layout_is_refused_by_writers_and_readers(layout: StateLayout) -> None:
    Path(layout.root, "version").write_text("2\n")
    for use in (layout.create, layout.check):
        with pytest.raises(StateError, match="newer mlorch") as caught:
            use()
        assert caught.value.exit_code == ExitCode.STATE
        assert "upgrade" in caught.value.hint


def test_a_version_that_is_no_number_is_refused(layout: StateLayout) -> None:
    Path(layout.root, "version").write_bytes(b"\xff\x00")
    with pytest.raises(StateError, match="version number"):
        layout.check()


def test_without_state_a_reader_has_nothing_to_complain_of(tmp_path: Path) -> None:
    layout = StateLayout(str(tmp_path / ".mlorch"))
    layout.check()
    assert not layout.exists()
    assert layout.pipelines() == layout.partitions("p") == layout.run_ids() == ()
    assert not (tmp_path / ".mlorch").exists()


def test_a_folder_of_another_user_is_refused_and_not_touched(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        theirs = tmp_path / "theirs"
        theirs.mkdir()
        os.chown(theirs, 12345, 12345)
    else:
        theirs = Path("/usr")
    before = sorted(os.listdir(theirs))
    with pytest.raises(StateError, match="belongs to another user") as caught:
        StateLayout(str(theirs)).create()
    assert "state:" in caught.value.hint
    assert sorted(os.listdir(theirs)) == before


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file/.mlorch"):
        with pytest.raises(StateError, match=str(path)):
            StateLayout(str(path)).create()


MOUNTS = b"""22 1 254:0 / / rw,relatime - ext4 /dev/root rw
30 22 0:45 / /mnt/share rw,relatime shared:1 - nfs4 server:/x rw
31 22 0:46 / /mnt/dav rw - fuse.sshfs me@there:/ rw
32 22 0:47 / /tmp rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("device", "kind"),
    [((254, 0), ""), ((0, 45), "nfs4"), ((0, 46), "fuse.sshfs"), ((0, 47), ""), ((0, 4), ""), ((9, 9), "")],
)
def test_file_systems_shared_by_machines_are_known(device: tuple[int, int], kind: str) -> None:
    assert shared_kind(MOUNTS, *device) == kind


def test_pipelines_and_partitions_are_listed(layout: StateLayout) -> None:
    long = "k" * 400
    for pipeline, partition in (("b", "2013-01-02"), ("b", "2013-01-01,EWR"), ("a", ""), ("b", long)):
        layout.create_partition(pipeline, partition)
        layout.create_partition(pipeline, partition)
    Path(layout.root, "state/b/not ours").mkdir()
    assert layout.pipelines() == ("a", "b")
    assert layout.partitions("a") == ("",)
    assert layout.partitions("b") == ("2013-01-01,EWR", "2013-01-02", long)
    assert layout.partitions("c") == ()


def test_run_ids_sort_by_time_and_are_found_by_prefix(layout: StateLayout) -> None:
    clock = HandClock(datetime(2026, 11, 23, 15, 4, 5, tzinfo=UTC))
    made = []
    for _ in range(3):
        made.append(layout.new_run_id(clock))
        layout.create_run(made[-1])
        clock.advance(0.001)
    clock.advance(1)
    made.append(layout.new_run_id(clock))
    layout.create_run(made[-1])
    assert made[0].startswith("20261123-150405-")
    assert layout.run_ids() == tuple(made)
    assert layout.find_run("20261123-150406") == (made[3],)
    assert layout.find_run("20261123") == tuple(made)
    assert layout.find_run(made[0]) == (made[0],)
    assert layout.find_run("x") == ()


def test_a_run_whose_id_begins_another_is_found_alone(layout: StateLayout) -> None:
    layout.create_run("abc")
    layout.create_run("abcd")
    assert layout.find_run("abc") == ("abc",)


def test_paths_are_where_the_docs_say(layout: StateLayout) -> None:
    root = layout.root
    assert layout.journal("p", "") == f"{root}/state/p/_/journal.jsonl"
    assert layout.lock("p", "k") == f"{root}/state/p/k/lock"
    assert layout.attempt("r", "a[x=1]", 2, "log") == f"{root}/runs/r/a%5Bx%3D1%5D.2.log"
    assert layout.records("r") == f"{root}/runs/r/records.jsonl"
    with pytest.raises(ValueError, match="absolute"):
        StateLayout(".mlorch")
