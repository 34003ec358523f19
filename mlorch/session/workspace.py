"""The project as found on disk: its specs, read when they are first needed, and its state."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from mlorch.engine.fold import fold
from mlorch.model.diagnostics import Diagnostic, Place, Severity
from mlorch.model.errors import FileError, SpecError, UsageError
from mlorch.model.states import RunState
from mlorch.session import large
from mlorch.session.ahead import Ahead, AheadMemory
from mlorch.session.profiles import profiled
from mlorch.world.clock import SystemClock, parse_now
from mlorch.world.files import ProjectFiles
from mlorch.world.journal import FileJournal
from mlorch.world.layout import StateLayout
from mlorch.world.observed import MISSING, stamp
from mlorch.world.project import PROJECT_FILE, find_project, pipeline_files, read_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from mlorch.engine.agenda import Mark
    from mlorch.model.history import PartitionState
    from mlorch.model.spec import Pipeline, Project, ValueDimension
    from mlorch.session.agendas import Agendas
    from mlorch.session.labels import Answers, Labels


_T = TypeVar("_T")


def given_time(text: str) -> datetime:
    """The time that `--now` or `MLORCH_NOW` names. Raises `UsageError` when it is none."""
    try:
        return parse_now(text)
    except ValueError as error:
        raise UsageError(f"--now: {error}") from None


class Workspace:
    """Everything of one project that commands share. Also the `Catalog` of its pipelines.

    `explicit` is `--project` ("" to look upwards from `start`), `now` is `--now` as typed, `profile` is `--profile`, `ahead` what
    is being read already.
    """

    def __init__(self, start: str, explicit: str, now: str = "", profile: str = "", ahead: Ahead | None = None) -> None:
        self._ahead = ahead or Ahead()
        self._memories: list[AheadMemory] = []
        self.root = find_project(start, explicit or None)
        self.clock = SystemClock(given_time(now) if now else None)
        self.warnings: list[Diagnostic] = []
        self.texts: dict[str, bytes] = {}
        self.project = profiled(self._load_project(), profile)
        state = self.project.state
        self.layout = StateLayout(state if os.path.isabs(state) else f"{self.root}/{state}")
        self.files = ProjectFiles(self.root, self.project.roots, cache_dir=self.layout.cache)
        self._memory = self._memory_in(self.layout.cache)
        self._files_listed: tuple[str, ...] | None = None
        self._by_file: dict[str, Pipeline | None] = {}
        self._wrong: dict[str, tuple[Diagnostic, ...]] = {}
        self._pinned: dict[str, str] = {}
        self._states: dict[tuple[str, str], PartitionState] = {}
        self._stamps: dict[tuple[str, str], str] = {}
        self._state_made = False
        self._labels: Labels | None = None
        self._scheduled: dict[str, bool] = {}
        self.passed_over: tuple[Diagnostic, ...] = ()

    # Specs.

    def _load_project(self) -> Project:
        from mlorch.model.spec import Project

        path = f"{self.root}/{PROJECT_FILE}"
        if not os.path.exists(path):
            return Project()
        from mlorch.spec.load import load_project

        # Where the state folder is unless the file says otherwise: that is known only when it has been read.
        memory = self._memory_in(f"{self.root}/{Project().state}/cache")
        try:
            data = self._read(PROJECT_FILE)
        except FileError as error:
            raise SpecError((Diagnostic("E001", error.message, Place(PROJECT_FILE), error.hint),)) from error
        loaded = load_project(data, PROJECT_FILE, memory)
        return self._accept(loaded.value, loaded.diagnostics)

    def _memory_in(self, cache: str) -> AheadMemory:
        self._memories.append(AheadMemory(f"{cache}/specs", self._ahead))
        return self._memories[-1]

    def _read(self, file: str) -> bytes:
        data = read_file(file if file.startswith("/") else f"{self.root}/{file}")
        self.texts[file] = data
        return data

    def _accept(self, value: _T | None, diagnostics: Iterable[Diagnostic]) -> _T:
        found = tuple(diagnostics)
        if value is None:
            raise SpecError(found)
        self.warnings.extend(problem for problem in found if problem.severity is Severity.WARNING)
        return value

    def choose_profile(self, name: str) -> None:
        """Go on with this profile, if none was chosen; before any pipeline is read. Raises `UsageError`."""
        if not self.project.profile:
            self.project = profiled(self.project, name)

    def spec_files(self) -> tuple[str, ...]:
        """The project's pipeline files, relative to it, sorted."""
        if self._files_listed is None:
            self._files_listed = pipeline_files(self.root, self.project.pipelines)
        return self._files_listed

    def load_file(self, file: str) -> Pipeline:
        """The pipeline of a file (relative to the project, or absolute). Raises `SpecError`."""
        if file not in self._by_file and file not in self._wrong:
            self._load(file)
        if file in self._wrong:
            raise SpecError(self._wrong[file])
        pipeline = self._by_file[file]
        assert pipeline is not None  # noqa: S101 - it is not among the wrong ones
        return pipeline

    def pin(self, file: str, data: bytes) -> Pipeline:
        """From here on `file` holds `data`, whatever stands on disk: what a run kept of it. Raises `SpecError`."""
        self.texts[file] = data
        self._by_file.pop(file, None)
        self._wrong.pop(file, None)
        self._take(file, data)
        pipeline = self.load_file(file)
        self._pinned[pipeline.name] = file
        return pipeline

    def _load(self, file: str) -> None:
        try:
            data = self._read(file)
        except FileError as error:
            self._wrong[file] = (Diagnostic("E001", error.message, Place(file), error.hint),)
            return
        self._take(file, data)

    def _take(self, file: str, data: bytes) -> None:
        from mlorch.spec.load import load_pipeline

        loaded = load_pipeline(data, file, self.project, self._memory)
        if loaded.value is None:
            self._wrong[file] = tuple(loaded.diagnostics)
        else:
            self._by_file[file] = self._accept(loaded.value, loaded.diagnostics)

    def save(self) -> None:
        """Keep what was read of specs and other files for later commands."""
        for memory in self._memories:
            memory.save()
        self.files.save()

    def project_text(self, path: str) -> str | None:
        """The text of a file of the project for the rules that look at code; None if there is none to read."""
        try:
            return self.files.read_text(path, 4 * 1024 * 1024)
        except (ValueError, FileError):
            return None

    def pipelines(self) -> tuple[Pipeline, ...]:
        """Every pipeline of the project that is sound, by name. Those that are not are in `unsound`."""
        found = []
        for file in self.spec_files():
            if file not in self._by_file and file not in self._wrong:
                self._load(file)
            pipeline = self._by_file.get(file)
            if pipeline is not None:
                found.append(pipeline)
        return tuple(sorted(found, key=lambda pipeline: pipeline.name))

    def selectable(self) -> tuple[Pipeline, ...]:
        """As `pipelines`, for a selection that a wrong one might belong to: `passed_over` says so from here on."""
        found = self.pipelines()
        self.passed_over = self.unsound
        return found

    def loaded(self) -> tuple[Pipeline, ...]:
        """The sound pipelines that were read so far."""
        return tuple(pipeline for pipeline in self._by_file.values() if pipeline is not None)

    @property
    def unsound(self) -> tuple[Diagnostic, ...]:
        """The problems of the specs that were read and cannot be used."""
        return tuple(problem for problems in self._wrong.values() for problem in problems)

    def named(self, name: str) -> Pipeline:
        """The pipeline of that name. Raises `UsageError` if there is none, `SpecError` if its file is wrong."""
        if name in self._pinned:
            return self.load_file(self._pinned[name])
        guess = next((file for file in self.spec_files() if os.path.splitext(os.path.basename(file))[0] == name), None)
        if guess is not None:
            pipeline = self.load_file(guess)
            if pipeline.name == name:
                return pipeline
        for pipeline in self.pipelines():
            if pipeline.name == name:
                return pipeline
        if self._wrong:  # it may be one of these
            raise SpecError(self.unsound)
        raise UsageError(
            f"there is no pipeline `{name}`" + meant(name, [p.name for p in self.pipelines()]), self._known()
        )

    def _known(self) -> str:
        names = [pipeline.name for pipeline in self.pipelines()]
        return (
            f"pipelines of this project: {', '.join(names)}"
            if names
            else f"no pipeline file matches {', '.join(self.project.pipelines)}"
        )

    # The `Catalog` port.

    def pipeline(self, name: str) -> Pipeline | None:
        """The pipeline of that name; None if there is none. Raises `SpecError` if its file is wrong."""
        try:
            return self.named(name)
        except UsageError:
            return None

    def state(self, pipeline: str, partition: str) -> PartitionState:
        """What the journal of a partition says; read once a command, until `forget`."""
        key = (pipeline, partition)
        found = self._states.get(key)
        if found is None:
            path = self.layout.journal(pipeline, partition)
            before = stamp(path)
            if large.is_large(self.layout.journal_size(pipeline, partition)):
                found = large.state_of(path, pipeline, partition, 2 * self.project.retain_runs)
            else:
                events = FileJournal(path).read() if before != MISSING else ()
                found = fold(pipeline, partition, events)
            self._states[key] = found
            self._stamps[key] = before if stamp(path) == before else ""
        return found

    def make_state(self) -> None:
        """Make the state folder if need be, and see, once a command, that it may be used. Raises `StateError`."""
        if not self._state_made:
            self.layout.create(allow_network=self.project.allow_network_state)
            self._state_made = True

    def has_state(self, pipeline: str, partition: str) -> bool:
        """Whether the state of a partition was asked for before, and not forgotten."""
        return (pipeline, partition) in self._states

    def stamp(self, pipeline: str, partition: str) -> str:
        """What stands for the journal that `state` gave the state of; "" if it was just changed."""
        return self._stamps.get((pipeline, partition), "")

    def confirm(self, pipeline: str, partition: str, journal: str) -> None:
        """What `state` gave was kept up to date by a run, which left a journal with this signature."""
        there = stamp(self.layout.journal(pipeline, partition))
        self._stamps[pipeline, partition] = there if there == journal else ""

    def forget(self, pipeline: str, partition: str) -> None:
        """The state of a partition is about to change: read it again when it is next asked for."""
        self._states.pop((pipeline, partition), None)
        self._stamps.pop((pipeline, partition), None)

    def partitions(self, pipeline: str) -> tuple[str, ...]:
        """Keys of the partitions that have state."""
        return self.layout.partitions(pipeline)

    def labels(self, pipeline: Pipeline, dimension: ValueDimension) -> tuple[str, ...]:
        """The labels of a dimension by value. Raises `SpecError` and `NotReadyError`, see `session.labels`."""
        if dimension.values:
            return dimension.values
        if self._labels is None:
            from mlorch.session.labels import Labels

            self._labels = Labels(self.root, self.answers)
        return self._labels.of(pipeline, dimension)

    @cached_property
    def agendas(self) -> Agendas:
        """What is remembered of schedules."""
        from mlorch.session.agendas import Agendas

        return Agendas(self.layout, self.clock, allow_network=self.project.allow_network_state)

    def marks(self, pipeline: str) -> Mapping[str, Mark]:
        """What people said of partitions, whether or not they have been run since."""
        if pipeline not in self._scheduled:
            self._scheduled[pipeline] = os.path.exists(self.layout.journal("@schedule", pipeline))
        # The usual case must not load what only schedules need.
        return self.agendas.of(pipeline).marks if self._scheduled[pipeline] else {}

    def mark(self, pipeline: str, key: str) -> Mark | None:
        """What a person said of a partition, as long as no run of it has succeeded since."""
        mark = self.marks(pipeline).get(key)
        last = self.state(pipeline, key).last_run if mark is not None else None
        if mark is not None and last is not None and last.started_at >= mark.at and last.state is RunState.SUCCEEDED:
            return None
        return mark

    @cached_property
    def answers(self) -> Answers:
        """What commands of specs say: kept from their last call, unless this command may call them."""
        from mlorch.session.labels import Answers

        plain = {name: text for name, text in self.project.env if "${{" not in text}
        return Answers(f"{self.layout.cache}/answers", self.root, os.environ | plain, self.clock)


def meant(name: str, known: list[str]) -> str:
    """`; did you mean …?` for a name that comes close to a known one, else ""."""
    import difflib

    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean `{close[0]}`?" if close else ""
