from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from mlorch.model.errors import ExitCode, FileError, StateError
from mlorch.model.manifest import Artifact
from mlorch.world import digests, publish
from mlorch.world.files import ProjectFiles
from mlorch.world.trouble import file_error, state_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def files(root: Path, cache: Path) -> ProjectFiles:
    return ProjectFiles(str(root), cache_dir=str(cache))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths whose bytes were read, in order."""
    paths: list[str] = []
    real = digests.sha256_of

    def counting(path: str) -> str:
        paths.append(os.path.basename(path))
        return real(path)

    monkeypatch.setattr(digests, "sha256_of", counting)
    return paths


def age(path: Path, seconds: int = 100) -> None:
    """Set a file's mtime back; its ctime becomes now, so a racy look stays racy where the system has coarse times."""
    status = path.stat()
    os.utime(path, (status.st_atime, status.st_mtime - seconds))


def look(files: ProjectFiles, path: str, known: Artifact | None = None) -> Artifact:
    found = files.look(path, known)
    assert found is not None
    return found


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 3 * 1024 * 1024 + 7])
def test_a_digest_is_what_sha256sum_prints(root: Path, files: ProjectFiles, size: int) -> None:
    (root / "x").write_bytes(os.urandom(size))
    printed = subprocess.run(["sha256sum", root / "x"], capture_output=True, text=True, check=True).stdout
    assert look(files, "x").digest == printed.split()[0]


def test_an_unchanged_file_is_read_once_by_all_invocations(root: Path, cache: Path, read: list[str]) -> None:
    (root / "x").write_text("1")
    for _ in range(3):
        files = ProjectFiles(str(root), cache_dir=str(cache))
        files._digester._fine = root.stat().st_dev  # as on a system with fine times
        look(files, "x")
        look(files, "x")
        files.save()
    assert read == ["x"]


def test_a_file_changed_within_the_grain_of_the_clock_is_read_again(
    root: Path, files: ProjectFiles, read: list[str]
) -> None:
    files._digester._fine = 0  # as on a system with coarse times
    (root / "x").write_text("1")
    age(root / "x", -100)  # a change to come is as near as one just made
    known = look(files, "x")
    assert known.racy
    assert files.same(known)
    assert read == ["x", "x"]


def test_how_near_a_change_is_too_near(root: Path) -> None:
    (root / "x").write_text("1")
    status = (root / "x").stat()
    changed = max(status.st_mtime_ns, status.st_ctime_ns)
    assert digests.is_racy(status, changed + 19_000_000)
    assert not digests.is_racy(status, changed + 21_000_000)


def test_the_same_times_and_size_vouch_only_when_not_racy(root: Path, files: ProjectFiles, read: list[str]) -> None:
    (root / "x").write_text("1")
    signed = digests.signature((root / "x").stat())
    assert files.same(Artifact("x", "believed", signed))
    assert not files.same(Artifact("x", "believed", signed, racy=True))
    assert read == ["x"]


def test_a_change_that_keeps_size_and_mtime_is_noticed(root: Path, files: ProjectFiles) -> None:
    (root / "x").write_text("one")
    before = (root / "x").stat()
    known = look(files, "x")
    (root / "x").write_text("two")
    os.utime(root / "x", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not files.same(known)


def test_the_probe_tells_whether_a_change_after_a_look_shows(tmp_path: Path) -> None:
    device = digests.fine_device(str(tmp_path / "new"))
    assert device in {0, tmp_path.stat().st_dev}
    assert os.listdir(tmp_path / "new") == []
    (tmp_path / "file").write_text("")
    assert digests.fine_device(str(tmp_path / "file/x")) == 0
    if device:
        seen = set()
        for _ in range(200):
            (tmp_path / "x").write_text("x")
            seen.add(digests.signature((tmp_path / "x").stat()))
        assert len(seen) == 200


def test_a_published_output_is_not_read_a_second_time(files: ProjectFiles, read: list[str]) -> None:
    staged = files.stage("out/.s", "out/a", is_folder=False)
    files.write_text(staged, "1")
    first = look(files, staged)
    files.move(staged, "out/a")
    final = look(files, "out/a")
    assert (final.digest, final.path) == (first.digest, "out/a")
    assert final.signature != first.signature
    assert read == ["a"]


def test_an_output_changed_between_check_and_publication_is_read_again(files: ProjectFiles, read: list[str]) -> None:
    staged = files.stage("out/.s", "out/a", is_folder=False)
    files.write_text(staged, "1")
    look(files, staged)
    files.write_text(staged, "22")
    files.move(staged, "out/a")
    assert look(files, "out/a").digest == hashlib.sha256(b"22").hexdigest()
    assert read == ["a", "a"]


def test_our_own_outputs_do_not_fill_the_cache(files: ProjectFiles, cache: Path) -> None:
    for looks_before in (True, False):
        staged = files.stage("out/.s", "out/a", is_folder=False)
        files.write_text(staged, "1")
        if looks_before:
            look(files, staged)
        files.move(staged, "out/a")
        look(files, "out/a")
    files.save()
    assert not (cache / "digests").exists()


@pytest.mark.parametrize("damage", [b"", b"\x00" * 50, b"00000000\n{}", b"no\n", b'{"/x": ["s", "d"]}'])
def test_a_damaged_cache_is_an_empty_one(root: Path, cache: Path, damage: bytes) -> None:
    cache.mkdir()
    (cache / "digests").write_bytes(damage)
    (root / "x").write_text("1")
    files = ProjectFiles(str(root), cache_dir=str(cache))
    assert look(files, "x").digest == hashlib.sha256(b"1").hexdigest()
    files.save()


def test_a_cache_that_was_tampered_with_is_not_believed(root: Path, cache: Path) -> None:
    files = ProjectFiles(str(root), cache_dir=str(cache))
    files._digester._fine = root.stat().st_dev
    (root / "x").write_text("1")
    real = look(files, "x").digest
    files.save()
    (cache / "digests").write_bytes((cache / "digests").read_bytes().replace(real[:9].encode(), b"000000000"))
    assert look(ProjectFiles(str(root), cache_dir=str(cache)), "x").digest == real


def test_looking_at_a_project_leaves_nothing_behind(root: Path) -> None:
    files = ProjectFiles(str(root), cache_dir=str(root / ".mlorch/cache"))
    (root / "x").write_text("1")
    age(root / "x")
    look(files, "x")
    files.save()
    assert os.listdir(root) == ["x"]


def test_a_cache_that_cannot_be_written_is_no_error(root: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    files = ProjectFiles(str(root), cache_dir=str(tmp_path / "cache"))
    (root / "x").write_text("1")
    look(files, "x")
    files.save()
    assert (tmp_path / "cache").read_text() == "a file"


def test_a_folders_digest_depends_on_names_and_contents_alone(root: Path, files: ProjectFiles) -> None:
    for name in ("one", "two"):
        (root / name / "sub").mkdir(parents=True)
        (root / name / "sub" / "x").write_text("1")
        (root / name / "empty").mkdir()
        (root / name / "l").symlink_to("sub/x")
        (root / name / "dangling").symlink_to("nowhere")
    age(root / "two/sub/x")
    (root / "two/sub/x").chmod(0o600)
    assert look(files, "one").digest == look(files, "two").digest
    shutil.rmtree(root / "two/empty")
    assert look(files, "one").digest != look(files, "two").digest


@pytest.mark.parametrize("kind", ["content behind a link", "target of a link", "file becomes folder"])
def test_what_a_folder_digest_notices(root: Path, files: ProjectFiles, kind: str) -> None:
    (root / "d").mkdir()
    (root / "big").write_text("1")
    (root / "same").write_text("1")
    (root / "d/link").symlink_to("../big")
    (root / "d/x").write_text("")
    known = look(files, "d")
    assert files.same(known)
    if kind == "content behind a link":
        (root / "big").write_text("2")
    elif kind == "target of a link":
        (root / "d/link").unlink()
        (root / "d/link").symlink_to("../same")
    else:
        (root / "d/x").unlink()
        (root / "d/x").mkdir()
    assert not files.same(known)


def test_only_the_changed_file_of_a_folder_is_read_again(root: Path, files: ProjectFiles, read: list[str]) -> None:
    files._digester._fine = root.stat().st_dev
    (root / "d").mkdir()
    for name in "abc":
        (root / "d" / name).write_text(name)
    known = look(files, "d")
    (root / "d/b").write_text("changed")
    assert not files.same(known)
    assert read == ["a", "b", "c", "b"]


def test_names_that_are_no_text_are_handled(files: ProjectFiles) -> None:
    name = os.fsdecode(b"d/\xff \n\xfe")
    files.write_text(name, "1")
    assert look(files, name).digest == hashlib.sha256(b"1").hexdigest()
    known = look(files, "d")
    assert files.expand("d/*") == (name,)
    files.save()
    files.remove(name)
    assert not files.same(known)


def test_a_pipe_is_refused_and_not_waited_for(root: Path, files: ProjectFiles) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(FileError, match="neither a file nor a folder"):
        files.look("pipe")
    (root / "d").mkdir()
    os.mkfifo(root / "d/pipe")
    with pytest.raises(FileError, match="neither a file nor a folder"):
        files.look("d")
    files.flush(["pipe", "d"])


def test_what_a_step_wrote_and_why_it_may_not_be_published(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(root / "pipe")
    (root / "to_pipe").symlink_to("pipe")
    (root / "away").symlink_to("/etc/passwd")
    (root / "closed").write_text("12")
    (root / "closed").chmod(0)
    files = ProjectFiles(str(root))
    assert files.written("pipe") == (0, "is neither a file nor a folder")
    assert files.written("to_pipe") == (0, "is neither a file nor a folder")
    assert files.written("away")[1].startswith("is a link, and may not be published: away leads out")
    monkeypatch.setattr("os.access", lambda _path, mode: mode != os.R_OK)  # for whoever is not root
    assert files.written("closed") == (2, "cannot be read: Permission denied")
    (root / "closed").chmod(0o600)
    assert files.written("closed") == (2, "")


def test_one_file_that_may_not_be_flushed_is_no_failing_disk(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(FileError, match="data/x"):
        ProjectFiles(str(root)).flush(["data/x"])


def test_links_that_lead_out_are_told(root: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (root / "folder").symlink_to("../elsewhere")
    (root / "file").symlink_to("../elsewhere/x")
    (root / "inside").symlink_to("data")
    (root / "loop").symlink_to("loop")
    files = ProjectFiles(str(root))
    assert "elsewhere" in files.outside("folder/x")
    assert "elsewhere/x" in files.outside("file")
    assert files.outside("inside/x") == files.outside("inside") == ""
    assert files.outside("loop") == ""
    assert "NUL" in files.outside("a\0b")
    assert ProjectFiles(str(root), (("e", str(tmp_path / "elsewhere")),)).outside("folder/x") == ""


def test_a_project_reached_through_a_link_is_inside_itself(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    files = ProjectFiles(str(tmp_path / "link"))
    assert files.outside("a/b") == ""
    assert files.outside(str(root / "a")) == ""


def test_globs_enter_linked_folders_by_name_only_and_end(root: Path, files: ProjectFiles) -> None:
    files.write_text("real/x.csv", "")
    (root / "link").symlink_to("real")
    (root / "real/up").symlink_to("..")
    (root / "real/gone.csv").symlink_to("nowhere")
    assert files.expand("**/*.csv") == ("real/x.csv",)
    assert files.expand("link/*.csv") == ("link/x.csv",)
    assert files.expand("*/x.csv") == ("link/x.csv", "real/x.csv")


def test_a_link_is_removed_and_not_what_it_leads_to(root: Path, files: ProjectFiles) -> None:
    files.write_text("keep/x", "1")
    (root / "link").symlink_to("keep")
    (root / "d").mkdir()
    (root / "d/link").symlink_to("../keep")
    files.remove("link")
    files.remove("d")
    assert (root / "keep/x").read_text() == "1"
    assert not (root / "link").is_symlink()


def test_a_very_deep_folder_without_write_permission_is_removed(root: Path, files: ProjectFiles) -> None:
    here = root / "d"
    for _ in range(60):
        here /= "x" * 20
    here.mkdir(parents=True)
    (here / "file").write_text("")
    here.chmod(0o500)
    files.remove("d")
    assert not (root / "d").exists()


def test_written_files_follow_the_umask(root: Path, files: ProjectFiles) -> None:
    old = os.umask(0o027)
    try:
        files.write_text("x", "1")
    finally:
        os.umask(old)
    assert stat.S_IMODE((root / "x").stat().st_mode) == 0o640


def test_the_modification_time_is_the_files(root: Path, files: ProjectFiles) -> None:
    (root / "x").write_text("")
    os.utime(root / "x", (0, 1_000_000_000))
    assert files.modified("x") == 1_000_000_000


@pytest.mark.parametrize("count", [1, 30])
def test_flushing_few_and_many(root: Path, files: ProjectFiles, count: int) -> None:
    paths = [f"d{number}/x" for number in range(count)]
    for path in paths:
        files.write_text(path, "1")
    (root / "d0/write-only").write_text("")
    (root / "d0/write-only").chmod(0o200)
    files.flush([*paths, "d0"])
    files.flush_folders(paths)


class CutOffError(BaseException):
    """The process ended before a system call."""


@pytest.mark.parametrize("swaps", [True, False])
@pytest.mark.parametrize("again", [False, True])
def test_replacing_a_folder_can_be_cut_off_before_any_system_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swaps: bool, again: bool
) -> None:
    """Between any two calls a reader sees the old or the new folder whole; without an exchange, or for a moment none."""
    left = [10**9]

    def cutting(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            if left[0] == 0:
                raise CutOffError
            left[0] -= 1
            return real(*args)

        return call

    for name in ("rename", "rmdir", "unlink", "mkdir"):
        monkeypatch.setattr(os, name, cutting(getattr(os, name)))
    monkeypatch.setattr(publish, "exchange", cutting(publish.exchange) if swaps else lambda _one, _other: False)

    finished = 0
    for calls in range(30):
        out = tmp_path / f"{calls}"
        final, staged = out / "d", out / ".s" / "d"
        for folder, names in ((final, "ab"), (staged, "bc")):
            (folder / "sub").mkdir(parents=True)
            for name in names:
                (folder / "sub" / name).write_text(folder.parent.name)
        left[0] = calls
        try:
            publish.move(str(staged), str(final))
            finished += 1
        except CutOffError:
            pass
        left[0] = calls // 2 if again else 10**9
        seen = sorted(os.listdir(final / "sub")) if final.exists() else None
        assert seen in (["a", "b"], ["b", "c"]) if swaps else seen in (["a", "b"], ["b", "c"], None)
        try:
            publish.move(str(staged), str(final))
        except CutOffError:
            left[0] = 10**9
            publish.move(str(staged), str(final))
        left[0] = 10**9
        publish.move(str(staged), str(final))
        assert sorted(os.listdir(final / "sub")) == ["b", "c"]
        assert (final / "sub/b").read_text() == ".s"
        assert os.listdir(out / ".s") == []
    assert 0 < finished < 30


@pytest.mark.parametrize("swaps", [True, False])
@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("is_folder", [False, True])
@pytest.mark.parametrize("former", [False, True])
def test_a_swap_and_its_undoing_can_be_cut_off_before_any_system_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, swaps: bool, back: bool, is_folder: bool, former: bool
) -> None:
    """Whatever was cut off wherever, the same call again finishes it, and the other one undoes it."""
    left = [10**9]

    def cutting(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            if left[0] == 0:
                raise CutOffError
            left[0] -= 1
            return real(*args)

        return call

    monkeypatch.setattr(os, "rename", cutting(os.rename))
    monkeypatch.setattr(publish, "exchange", cutting(publish.exchange) if swaps else lambda _one, _other: False)

    def put(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if is_folder:
            path.mkdir()
        (path / "x" if is_folder else path).write_text(text)

    def text(path: Path) -> str | None:
        inner = path / "x" if is_folder else path
        return inner.read_text() if inner.exists() else None

    for calls in range(5):
        final, staged = tmp_path / f"{calls}/d", tmp_path / f"{calls}/.s/d"
        if former:
            put(final, "old")
        put(staged, "new")
        words = (str(staged), str(final), os.lstat(staged).st_ino)
        old = "old" if former else None
        if back:
            publish.swap(*words)
        left[0] = calls
        with contextlib.suppress(CutOffError):
            (publish.unswap if back else publish.swap)(*words)
        left[0] = 10**9
        assert text(final) in ((old, "new") if swaps else (old, "new", None))
        for _ in range(2):
            publish.swap(*words)
            assert (text(final), text(staged)) == ("new", old)
        for _ in range(2):
            publish.unswap(*words)
            assert (text(final), text(staged)) == (old, "new")
        assert os.listdir(staged.parent) == ["d"]


@pytest.mark.parametrize("swaps", [True, False])
def test_a_swap_that_is_refused_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, swaps: bool
) -> None:
    staged, final = tmp_path / ".s/d", tmp_path / "d"
    staged.parent.mkdir()
    staged.write_text("new")
    (final / "keep").mkdir(parents=True)
    if not swaps:
        monkeypatch.setattr(publish, "exchange", lambda _one, _other: False)
    with pytest.raises(FileError, match="a folder stands at"):
        publish.swap(str(staged), str(final), os.lstat(staged).st_ino)
    (final / "keep").rmdir()
    final.rmdir()
    final.write_text("old")
    real = os.rename

    def refusing(one: str, other: str) -> None:
        if other == str(final) and one == str(staged):
            raise OSError(errno.EBUSY, "busy")
        real(one, other)

    monkeypatch.setattr(os, "rename", refusing)
    if not swaps:
        with pytest.raises(FileError, match="busy"):
            publish.swap(str(staged), str(final), os.lstat(staged).st_ino)
        assert (staged.read_text(), final.read_text()) == ("new", "old")


def test_a_link_at_the_final_path_is_swapped_and_not_what_it_leads_to(tmp_path: Path) -> None:
    staged, final = tmp_path / ".s/d", tmp_path / "d"
    staged.parent.mkdir()
    staged.write_text("new")
    (tmp_path / "elsewhere").mkdir()
    final.symlink_to(tmp_path / "elsewhere")
    publish.swap(str(staged), str(final), os.lstat(staged).st_ino)
    assert final.read_text() == "new"
    assert staged.is_symlink()
    assert (tmp_path / "elsewhere").is_dir()


def test_the_exchange_is_one_step_here_or_said_to_be_missing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a/1").write_text("")
    if publish.exchange(str(tmp_path / "a"), str(tmp_path / "b")):
        assert os.listdir(tmp_path / "b") == ["1"]
    else:
        assert os.listdir(tmp_path / "a") == ["1"]
    with pytest.raises(FileNotFoundError):
        publish.exchange(str(tmp_path / "a"), str(tmp_path / "none"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_trouble_of_the_disk_is_a_state_error_with_a_remedy(number: int) -> None:
    for error in (
        state_error(OSError(number, os.strerror(number)), "/x/y", "write"),
        file_error(OSError(number, os.strerror(number)), "/x/y", "write"),
    ):
        assert isinstance(error, StateError)
        assert error.exit_code == ExitCode.STATE
        assert "/x/y" in error.message and error.hint


@pytest.mark.parametrize("number", [errno.EACCES, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.EMFILE])
def test_trouble_with_one_file_is_not_the_states(number: int) -> None:
    error = file_error(OSError(number, os.strerror(number)), "/x/y", "write")
    assert isinstance(error, FileError)
    assert "/x/y" in error.message and error.hint
    assert isinstance(state_error(OSError(number, "why"), "/x/y", "write"), StateError)
