"""What git says of the project: read from its files where that is enough, since starting git costs more than a step."""

from __future__ import annotations

import os

_LONG = 40


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 20)
    except OSError:
        return ""


def _git_folder(start: str) -> str:
    """The `.git` folder of the work tree that holds `start` (for a linked work tree, its own one); "" if there is none."""
    folder = start
    while True:
        candidate = f"{folder.rstrip('/')}/.git"
        if os.path.isdir(candidate):
            return candidate
        text = _read(candidate)
        if text.startswith("gitdir:"):
            return os.path.normpath(os.path.join(folder, text[len("gitdir:") :].strip()))
        parent = os.path.dirname(folder)
        if parent == folder:
            return ""
        folder = parent


def _is_commit(text: str) -> bool:
    return len(text) >= _LONG and all(char in "0123456789abcdef" for char in text)


def _packed(text: str, reference: str) -> str:
    for line in text.splitlines():
        commit, _, name = line.partition(" ")
        if name == reference and _is_commit(commit):
            return commit
    return ""


def commit(project: str) -> str:
    """The full id of the commit that is checked out; "" without git, without a commit, or when it is not to be read."""
    git = _git_folder(project)
    if not git:
        return ""
    head = _read(f"{git}/HEAD").strip()
    common = _read(f"{git}/commondir").strip()
    shared = os.path.normpath(os.path.join(git, common)) if common else git
    for _ in range(5):  # a symbolic reference may name another
        if not head.startswith("ref:"):
            return head if _is_commit(head) else ""
        reference = head[len("ref:") :].strip()
        if ".." in reference.split("/") or reference.startswith("/"):
            return ""
        loose = _read(f"{git}/{reference}").strip() or _read(f"{shared}/{reference}").strip()
        head = loose or _packed(_read(f"{shared}/packed-refs"), reference)
    return ""


def is_dirty(project: str, *, timeout: float = 5.0) -> bool:
    """Whether files that git tracks below `project` differ from the commit. False without git, or when it takes too long.

    `timeout` in seconds.
    """
    if not _git_folder(project):
        return False
    import subprocess

    # No optional locks: looking must not disturb a git command that works there at the same time. No hooks and no
    # monitor: looking runs nothing that the repository brings.
    command = ("git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
    try:
        done = subprocess.run(
            (*command, "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all", "--", "."),
            cwd=project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0 and bool(done.stdout.strip())


def top_level(start: str) -> str:
    """The folder of the work tree that holds `start`; "" when there is none."""
    folder = start
    while not os.path.lexists(f"{folder.rstrip('/')}/.git"):
        parent = os.path.dirname(folder)
        if parent == folder:
            return ""
        folder = parent
    return folder
