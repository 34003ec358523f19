"""`mlorch github`: the workflow of a project, and, in a job of it, the state of the run before."""

from __future__ import annotations

import json
import os
import shlex
import stat
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from mlorch.engine import github as texts
from mlorch.engine.crontab import Drift
from mlorch.model.errors import BusyError, StateError, UsageError
from mlorch.session.workspace import Workspace
from mlorch.world.git import top_level
from mlorch.world.project import read_file
from mlorch.world.statebranch import StateBranch
from mlorch.world.trouble import state_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlorch.session.options import GlobalOptions

NOTE = "github.json"
"""In the state folder: which commit of which branch was restored. It is not itself kept."""

EMPTY = "github-empty.json"
"""In the state folder, and kept: folders among the outputs that are empty, which git does not know."""

LARGEST = 95 * 1024 * 1024
"""Bytes of a file; GitHub refuses those over 100 MiB."""

_NOT_KEPT = frozenset({"cache", "reserve", NOTE, "cron.log"})
_LOCKS = frozenset({"lock"})
_MADE_BY = "# Made by: mlorch github show"


class File(NamedTuple):
    """A workflow file: where it is (relative to the repository), how it should be, and how the one that is there differs.

    `text` is "" of one that should not be there, or that is not.
    """

    path: str
    text: str
    differs: tuple[Drift, ...] = ()


class Workflows:
    """`mlorch github show` and `check`. Raises `UsageError`, and `SpecError` for wrong specs."""

    def __init__(self, options: GlobalOptions) -> None:
        self._workspace = Workspace(os.getcwd(), options.project, options.now, options.profile)
        self._profile = options.profile
        self._pipelines = self._workspace.pipelines()
        if self._workspace.unsound:
            from mlorch.model.errors import SpecError

            raise SpecError(self._workspace.unsound)
        self.top = top_level(self._workspace.root) or self._workspace.root
        folder = os.path.relpath(self._workspace.root, self.top)
        self._folder = "" if folder == "." else folder

    def show(self, pipeline: str, action: str, setup: str, profile: str = "") -> File:
        """The file for the project, or for one pipeline. `profile` for the one of the command line if it has none."""
        profile = self._profile or profile
        if pipeline:
            self._workspace.named(pipeline)
        words = ["mlorch", "github", "show", *([pipeline] if pipeline else [])]
        words += [
            word
            for name, value in (("--action", action), ("--setup", setup), ("--profile", profile))
            if value
            for word in (name, value)
        ]
        requirements = "requirements.txt" if os.path.isfile(f"{self._workspace.root}/requirements.txt") else ""
        wish = texts.Wish(action or self._action(), pipeline, self._folder, setup, requirements, profile)
        return File(
            wish.file, texts.workflow(wish, shlex.join(words), self._pipelines, self._workspace.project.secrets)
        )

    def check(self) -> Iterator[File]:
        """The project's file, and those of single pipelines as far as they are there, each made again as its first line says."""
        names = {pipeline.name for pipeline in self._pipelines}
        main = texts.Wish("", folder=self._folder)
        yield self._compared("", main)
        prefix = os.path.basename(main.file).removesuffix("yml")
        folder = os.path.join(self.top, os.path.dirname(main.file))
        for file in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            name = file.removeprefix(prefix).removesuffix(".yml")
            if not file.startswith(prefix) or not file.endswith(".yml") or file == os.path.basename(main.file):
                continue
            wish = texts.Wish("", name, self._folder)
            if name in names:
                yield self._compared(name, wish)
            else:
                yield File(wish.file, "", (Drift(f"{wish.file}: there is no pipeline `{name}`; remove the file"),))

    def _compared(self, pipeline: str, wish: texts.Wish) -> File:
        path = os.path.join(self.top, wish.file)
        if not os.path.isfile(path):
            return File(wish.file, "", (Drift(f"{wish.file} is not there; make it: mlorch github show > {wish.file}"),))
        found = os.fsdecode(read_file(path))
        made = self.show(pipeline, *_options(found))
        return File(made.path, made.text, texts.drift(wish, made.text, found))

    def _action(self) -> str:
        """The action as `uses:` names it: in this very repository, or where this mlorch says that it comes from."""
        local = os.path.join(self.top, "action.yml")
        if os.path.isfile(local) and os.fsdecode(read_file(local)).startswith("name: mlorch\n"):
            return "./"
        from importlib.metadata import PackageNotFoundError, metadata

        from mlorch import __version__

        try:
            links = metadata("mlorch").get_all("Project-URL") or []
        except PackageNotFoundError:
            links = []
        for link in links:
            label, _, url = link.partition(", ")
            if label.lower() in ("repository", "source") and url.startswith("https://github.com/"):
                return f"{url.removeprefix('https://github.com/').strip('/').removesuffix('.git')}@v{__version__}"
        raise UsageError(
            "this mlorch does not know in which repository on GitHub its action is",
            "say it: mlorch github show --action OWNER/REPOSITORY@VERSION",
        )


def _options(text: str) -> tuple[str, str, str]:
    """`--action`, `--setup` and `--profile` as the first line of a workflow file tells them."""
    first = text.partition("\n")[0]
    found = {"--action": "", "--setup": "", "--profile": ""}
    if first.startswith(_MADE_BY):
        try:
            words = shlex.split(first.removeprefix(_MADE_BY))
        except ValueError:
            words = []
        for name, value in pairwise(words):
            if name in found:
                found[name] = value
    return found["--action"], found["--setup"], found["--profile"]


def asked(environment: dict[str, str]) -> list[str]:
    """The command line that a job of the workflow stands for: what a person asked for in its fields, else `tick`.

    Values come as JSON in `MLORCH_INPUTS`, never as text of a shell. Raises `UsageError`.
    """
    text = environment.get("MLORCH_INPUTS", "")
    try:
        given = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise UsageError(
            f"MLORCH_INPUTS is not JSON: {error}", "the workflow sets it: ${{ toJSON(inputs) }}"
        ) from error
    chosen = environment.get("MLORCH_PIPELINE_CHOSEN", "")
    if not isinstance(given, dict) or not given:
        return ["run", chosen] if chosen else ["tick"]
    pipeline = str(given.get(texts.PIPELINE) or chosen)
    if pipeline in ("", texts.WHAT_IS_DUE) and (given.get(texts.PIPELINE) or not chosen):
        return ["tick"]
    if pipeline.startswith("-"):
        raise UsageError(f"`{pipeline}` is no pipeline")
    words = ["run", pipeline]
    if given.get(texts.PARTITION):
        words.append(f"--partition={given[texts.PARTITION]}")
    return [*words, *_params(pipeline, given)]


def _params(pipeline: str, given: dict[str, object]) -> Iterator[str]:
    """An empty field means the default."""
    values: dict[str, object] = {}
    for key, value in given.items():
        owner, _, name = key.rpartition("-")
        if key in (texts.PIPELINE, texts.PARTITION, texts.PARAMS) or owner not in ("", pipeline) or value in ("", None):
            continue
        values[name] = value
    if given.get(texts.PARAMS):
        try:
            more = json.loads(str(given[texts.PARAMS]))
        except ValueError as error:
            raise UsageError(f"`params` is not JSON: {error}", 'write it like {"trees": 100}') from error
        if not isinstance(more, dict):
            raise UsageError("`params` is not a mapping", 'write it like {"trees": 100}')
        values |= more
    for name, value in values.items():
        yield f"--param={name}={value if isinstance(value, str) else json.dumps(value)}"


class KeptState:
    """The state between two jobs: `restore` before mlorch runs, `save` after it.

    `token` may write to the repository. Raises `UsageError`, `StateError`, `BusyError`.
    """

    def __init__(self, options: GlobalOptions, branch: str, *, outputs: bool) -> None:
        self._workspace = Workspace(os.getcwd(), options.project, options.now, options.profile)
        self.root = self._workspace.root
        self.state = os.path.relpath(self._workspace.layout.root, self.root)
        if self.state == os.pardir or self.state.startswith((f"{os.pardir}/", "/")):
            raise UsageError(
                f"the state folder {self._workspace.layout.root} is outside of the project",
                "a job keeps what is inside: leave `state:` in mlorch.yaml out",
            )
        self._note = f"{self._workspace.layout.root}/{NOTE}"
        self._empty = f"{self._workspace.layout.root}/{EMPTY}"
        self._outputs = outputs
        token = os.environ.get("MLORCH_GITHUB_TOKEN", "")
        self._branch = StateBranch(self.root, f"{self._workspace.layout.cache}/github.git", branch, token)

    def restore(self) -> int:
        """Bring back what the run before left; returns the number of files (0: there was none before)."""
        if self._workspace.layout.pipelines():
            raise BusyError(
                f"there is state in {self._workspace.layout.root} already, and it is not overwritten",
                "restore into a fresh clone, or move the folder away",
            )
        commit = self._branch.fetch()
        names = self._branch.names(commit) if commit else ()
        if commit:
            self._branch.put_out(commit)
        self._workspace.layout.create(allow_network=self._workspace.project.allow_network_state)
        os.chmod(self._workspace.layout.root, 0o700)
        for folder in self._empty_folders():
            os.makedirs(os.path.join(self.root, folder), exist_ok=True)
        self._remember(commit)
        return len(names)

    def save(self) -> int:
        """Keep what is there now for the next; returns the number of files, 0 when nothing changed."""
        base = self._restored()
        names = sorted(set(self._state_files()) | (set(self._output_files()) if self._outputs else set()))
        for name in names:
            if os.lstat(os.path.join(self.root, name)).st_size > LARGEST:
                raise StateError(
                    f"{name} is larger than {LARGEST // (1024 * 1024)} MiB: a branch on GitHub cannot hold it",
                    "write it outside of the project (`roots:` in mlorch.yaml, such as a mounted bucket), or keep no outputs (keep-outputs: false)",
                )
        commit = self._branch.commit(names, "State of mlorch")
        if base and self._branch.same(commit, base):
            return 0
        self._branch.push(commit, base)
        self._remember(commit)
        return len(names)

    def _restored(self) -> str:
        try:
            note = json.loads(read_file(self._note))
            base = note["base"] if note["branch"] == self._branch.branch else None
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it does not say what was restored
            base = None
        if not isinstance(base, str):
            raise StateError(
                f"nothing was restored from the branch {self._branch.branch} before, so it is not replaced",
                "call `mlorch github restore` first, in the same folder and with the same --branch",
            )
        return base

    def _remember(self, commit: str) -> None:
        _write(self._note, {"branch": self._branch.branch, "base": commit})

    def _state_files(self) -> Iterator[str]:
        top = self._workspace.layout.root
        for folder, below, files in os.walk(top):
            if folder == top:
                below[:] = [name for name in below if name not in _NOT_KEPT]
            for name in files:
                if name not in _LOCKS and not (folder == top and name in _NOT_KEPT):
                    yield os.path.relpath(os.path.join(folder, name), self.root)

    def _output_files(self) -> Iterator[str]:
        """What the journals say was published, as far as it lies in the project and is there."""
        empty: list[str] = []
        for pipeline in self._workspace.layout.pipelines():
            for key in self._workspace.partitions(pipeline):
                for checkpoint in self._workspace.state(pipeline, key).checkpoints.values():
                    for artifact in checkpoint.outputs:
                        if not artifact.path.startswith(("/", "../")):
                            yield from self._below(artifact.path.rstrip("/"), empty)
                self._workspace.forget(pipeline, key)
        _write(self._empty, sorted(set(empty)))
        yield os.path.relpath(self._empty, self.root)

    def _below(self, path: str, empty: list[str]) -> Iterator[str]:
        whole = os.path.join(self.root, path)
        try:
            mode = os.lstat(whole).st_mode
        except OSError:
            return
        if not stat.S_ISDIR(mode):
            yield path
            return
        for folder, below, files in os.walk(whole):
            relative = os.path.relpath(folder, self.root)
            links = [name for name in below if os.path.islink(os.path.join(folder, name))]
            yield from (f"{relative}/{name}" for name in (*files, *links))
            if not below and not files:
                empty.append(relative)

    def _empty_folders(self) -> list[str]:
        if not os.path.isfile(self._empty):
            return []
        found = json.loads(read_file(self._empty))
        return [
            name for name in found if isinstance(name, str) and not name.startswith("/") and ".." not in name.split("/")
        ]


def _write(path: str, content: object) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(content, file)
    except OSError as error:
        raise state_error(error, path, "write") from error
