from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from mlorch.world.git import commit, is_dirty

if TYPE_CHECKING:
    from pathlib import Path

ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}


def git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=folder, env=ENV, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "file").write_text("1")
    git(folder, "add", "file")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def test_the_commit_is_read_in_every_way_that_git_keeps_it(project: Path) -> None:
    head = git(project, "rev-parse", "HEAD")
    assert commit(str(project)) == head
    (project / "sub").mkdir()
    assert commit(str(project / "sub")) == head
    git(project, "pack-refs", "--all")
    assert not (project / ".git/refs/heads/main").exists()
    assert commit(str(project)) == head
    git(project, "checkout", "-q", "--detach")
    assert commit(str(project)) == head


def test_a_linked_work_tree_has_its_own_commit(project: Path, tmp_path: Path) -> None:
    git(project, "worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"))
    linked = tmp_path / "linked"
    (linked / "file").write_text("2")
    assert is_dirty(str(linked))
    assert not is_dirty(str(project))
    git(linked, "commit", "-q", "-a", "-m", "second")
    assert commit(str(linked)) == git(linked, "rev-parse", "HEAD") != commit(str(project))
    git(project, "pack-refs", "--all")
    assert commit(str(linked)) == git(linked, "rev-parse", "HEAD")


def test_without_git_or_without_a_commit_there_is_none(tmp_path: Path) -> None:
    assert commit(str(tmp_path)) == ""
    assert not is_dirty(str(tmp_path))
    git(tmp_path, "init", "-q")
    assert commit(str(tmp_path)) == ""


@pytest.mark.parametrize(
    "head", [b"", b"ref: refs/heads/gone\n", b"ref: ../../secret\n", b"ref: HEAD\n", b"\xff\0", b"12ab\n"]
)
def test_a_head_that_says_nothing_is_no_commit(project: Path, head: bytes) -> None:
    (project / "secret").write_text("f" * 40)
    (project / ".git/HEAD").write_bytes(head)
    assert commit(str(project)) == ""


def test_only_changes_of_tracked_files_make_it_dirty(project: Path) -> None:
    assert not is_dirty(str(project))
    (project / "new").write_text("")
    assert not is_dirty(str(project))
    (project / "file").write_text("2")
    assert is_dirty(str(project))


def test_looking_runs_nothing_that_the_repository_brings(project: Path, tmp_path: Path) -> None:
    script = tmp_path / "evil"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    script.chmod(0o755)
    git(project, "config", "core.fsmonitor", str(script))
    (project / "file").write_text("2")
    assert is_dirty(str(project))
    assert not (tmp_path / "ran").exists()


def test_git_that_is_not_installed_or_too_slow_is_no_error(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (project / "file").write_text("2")
    slow = tmp_path / "bin"
    slow.mkdir()
    (slow / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (slow / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow}:{os.environ['PATH']}")
    assert not is_dirty(str(project), timeout=0.05)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert not is_dirty(str(project))
