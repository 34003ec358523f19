"""A branch of the project's repository that holds nothing but mlorch's state and outputs: fetched, and replaced whole.

Each save is a commit without a parent that takes the place of the one before, if that is still the one which was restored. So the branch
does not grow, files that did not change are not sent again, and of two that save at once the second hears of it.
A repository of its own beside the project's (`git_dir`) keeps the project's attributes, filters and hooks away from bytes that must come
back as they were.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from mlorch.model.errors import BusyError, StateError

if TYPE_CHECKING:
    from collections.abc import Iterable

TRIES = 3
PAUSE = 2.0
"""Seconds before the second try of what goes over the network; twice that before the third."""

_AS_THEY_ARE = "* -text -eol -filter -ident -working-tree-encoding -crlf\n"
_WHO = "mlorch"
_MAIL = "mlorch@localhost"
_BASE = "refs/mlorch/base"


class _Done(NamedTuple):
    code: int
    out: bytes
    error: str


class StateBranch:
    """The branch `branch` of the repository that the project's `origin` names. `work` is the project's folder.

    `token` is sent to an https address, in the environment of git only. Every method may raise `StateError`.
    """

    def __init__(self, work: str, git_dir: str, branch: str, token: str = "") -> None:
        self._work = work
        self._dir = git_dir
        self._ref = f"refs/heads/{branch}"
        self.branch = branch
        self._token = token
        self._url = self._origin()

    def tip(self) -> str:
        """The commit that the branch is at; "" when there is no such branch. A question that failed is never taken for that."""
        done = self._network("ls-remote", self._url, self._ref)
        return done.out.decode().split("\t")[0].strip() if done.out.strip() else ""

    def fetch(self) -> str:
        """Get the branch's newest commit; its id, "" when there is no such branch."""
        self._prepare()
        if not self.tip():
            return ""
        self._network("fetch", "--quiet", "--no-tags", "--depth=1", self._url, f"+{self._ref}:{_BASE}")
        return self._git("rev-parse", f"{_BASE}^{{commit}}").out.decode().strip()

    def names(self, commit: str) -> tuple[str, ...]:
        """The files of a commit, relative to the project."""
        listed = self._git("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit).out
        return tuple(os.fsdecode(name) for name in listed.split(b"\0") if name)

    def put_out(self, commit: str) -> None:
        """Write all files of a commit into the project, over what is there."""
        self._git("read-tree", "--reset", commit)
        self._git("checkout-index", "--all", "--force", "--quiet")

    def commit(self, names: Iterable[str], message: str) -> str:
        """A commit of these files (relative to the project, links as links) and nothing else; returns its id."""
        self._prepare()
        self._git("read-tree", "--empty")
        self._git("update-index", "--add", "-z", "--stdin", data=b"".join(os.fsencode(name) + b"\0" for name in names))
        tree = self._git("write-tree").out.decode().strip()
        return self._git("commit-tree", tree, "-m", message).out.decode().strip()

    def same(self, commit: str, other: str) -> bool:
        """Whether two commits hold the same files."""
        trees = [self._git("rev-parse", f"{name}^{{tree}}").out for name in (commit, other)]
        return trees[0] == trees[1]

    def push(self, commit: str, expected: str) -> None:
        """Make `commit` the branch, if it is at `expected` ("": not there) still. Raises `BusyError` if it is not."""
        lease = f"--force-with-lease={self._ref}:{expected}"
        done = self._call("push", "--porcelain", lease, self._url, f"{commit}:{self._ref}")
        for attempt in range(1, TRIES):
            if done.code == 0 or b"[rejected]" in done.out:
                break
            time.sleep(PAUSE * attempt)
            done = self._call("push", "--porcelain", lease, self._url, f"{commit}:{self._ref}")
        if done.code == 0 or self.tip() == commit:  # it may have arrived although we were not told
            self._git("update-ref", _BASE, commit)
            return
        if b"[rejected]" in done.out:
            raise BusyError(
                f"the branch {self.branch} was changed by another run meanwhile, so this run's state is not kept",
                "what it did is done again by the next run; see that all workflows which use this branch share one `concurrency` group",
            )
        raise StateError(f"the branch {self.branch} could not be pushed: {_last(done.error)}", _PERMISSION)

    def _origin(self) -> str:
        env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        # In a container the clone may belong to another user; its configuration is only read.
        done = _run(("git", "-c", "safe.directory=*", "-C", self._work, "remote", "get-url", "origin"), env)
        if done.code != 0:
            raise StateError(
                f"{self._work} is in no git repository with a remote `origin`, where the state could be kept: {_last(done.error)}",
                "call it in a clone, as actions/checkout makes it",
            )
        url = os.fsdecode(done.out).strip()
        # A path is meant from where git was asked, and the repository of our own is elsewhere.
        local = not os.path.isabs(url) and "://" not in url and ":" not in url.split("/", 1)[0]
        return os.path.abspath(os.path.join(self._work, url)) if local else url

    def _prepare(self) -> None:
        if not os.path.isfile(f"{self._dir}/HEAD"):
            try:
                os.makedirs(self._dir, 0o700, exist_ok=True)
            except OSError as error:
                raise StateError(
                    f"{self._dir} cannot be made: {error.strerror}", "see that the disk has room"
                ) from error
            self._git("init", "--quiet", "--bare", "--template=", self._dir, places=())
        os.makedirs(f"{self._dir}/info", exist_ok=True)
        with open(f"{self._dir}/info/attributes", "w", encoding="ascii") as file:
            file.write(_AS_THEY_ARE)

    def _network(self, *words: str) -> _Done:
        for attempt in range(1, TRIES):
            done = self._call(*words)
            if done.code == 0:
                return done
            time.sleep(PAUSE * attempt)
        return self._git(*words)

    def _git(self, *words: str, data: bytes = b"", places: tuple[str, ...] = ("GIT_DIR", "GIT_WORK_TREE")) -> _Done:
        done = self._call(*words, data=data, places=places)
        if done.code != 0:
            raise StateError(f"git {words[0]} failed: {_last(done.error)}", _PERMISSION)
        return done

    def _call(self, *words: str, data: bytes = b"", places: tuple[str, ...] = ("GIT_DIR", "GIT_WORK_TREE")) -> _Done:
        env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        env |= {
            name: value for name, value in (("GIT_DIR", self._dir), ("GIT_WORK_TREE", self._work)) if name in places
        }
        env |= {
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_AUTHOR_NAME": _WHO,
            "GIT_AUTHOR_EMAIL": _MAIL,
            "GIT_COMMITTER_NAME": _WHO,
            "GIT_COMMITTER_EMAIL": _MAIL,
            "LC_ALL": "C",
        }
        settings = {"core.bare": "false", "core.autocrlf": "false", "core.symlinks": "true", "core.fileMode": "true"}
        settings |= {"core.hooksPath": os.devnull, "gc.auto": "0", "core.quotePath": "false", "core.fsmonitor": "false"}
        if self._token and self._url.startswith("https://"):
            from base64 import b64encode

            host = "/".join(self._url.split("/", 3)[:3])
            basic = b64encode(f"x-access-token:{self._token}".encode()).decode()
            settings[f"http.{host}/.extraheader"] = f"AUTHORIZATION: basic {basic}"
        env["GIT_CONFIG_COUNT"] = str(len(settings))
        for number, (key, value) in enumerate(settings.items()):
            env[f"GIT_CONFIG_KEY_{number}"], env[f"GIT_CONFIG_VALUE_{number}"] = key, value
        return _run(("git", *words), env, self._work, data)


_PERMISSION = "see that origin can be reached, and that the job has `permissions: contents: write`"


def _run(command: tuple[str, ...], env: dict[str, str], folder: str | None = None, data: bytes = b"") -> _Done:
    import subprocess

    try:
        done = subprocess.run(command, input=data, capture_output=True, env=env, cwd=folder, check=False)
    except OSError as error:
        raise StateError(f"git cannot be called: {error.strerror}", "install git") from error
    return _Done(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace").strip())


def _last(text: str) -> str:
    """The lines of git that say what is wrong."""
    lines = [line for line in text.splitlines() if line.startswith(("fatal:", "error:", "remote:", "!"))]
    return " ".join(lines or text.splitlines()[-1:]) or "no word why"
