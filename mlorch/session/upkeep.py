"""`doctor` and `gc`, put together. Both must work where little else does: with wrong specs, or a damaged state."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mlorch.model.errors import ExitCode, FileError, SpecError
from mlorch.model.findings import Area, Finding, Level
from mlorch.model.times import iso_utc
from mlorch.session.compaction import Collector
from mlorch.session.doctor import StateDoctor
from mlorch.session.surroundings import machine, programs, specs
from mlorch.session.workspace import Workspace
from mlorch.world.layout import StateLayout
from mlorch.world.project import PROJECT_FILE, find_project, read_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mlorch.model.spec import Project
    from mlorch.session.options import GlobalOptions


class Doctor:
    """One `mlorch doctor`. Raises `UsageError` when there is no project."""

    def __init__(self, options: GlobalOptions, *, state_only: bool, repair: bool) -> None:
        self._options = options
        self._state_only = state_only
        self._repair = repair
        self.root = find_project(os.getcwd(), options.project or None)

    def findings(self) -> Iterator[Finding]:
        """Everything that was looked at: machine and project first, unless only the state is asked for."""
        if not self._state_only:
            yield from machine(self.root)
        project, wrong = self._project()
        if not self._state_only:
            yield from self._specs(wrong)
        state = project.state
        layout = StateLayout(state if os.path.isabs(state) else f"{self.root}/{state}")
        doctor = StateDoctor(
            self.root,
            layout,
            lambda: iso_utc(datetime.now(UTC)),
            allow_network=project.allow_network_state,
            repair=self._repair,
        )
        yield from doctor.findings()

    def _project(self) -> tuple[Project, SpecError | FileError | None]:
        """The project file, or what is sound of it."""
        try:
            return Workspace(self.root, self.root, profile=self._options.profile).project, None
        except SpecError as error:
            from mlorch.spec.load import partial_project

            return partial_project(read_file(f"{self.root}/{PROJECT_FILE}"), PROJECT_FILE), error
        except FileError as error:
            from mlorch.model.spec import Project

            return Project(), error

    def _specs(self, wrong: SpecError | FileError | None) -> Iterator[Finding]:
        if isinstance(wrong, SpecError):
            yield from specs(wrong.diagnostics, 1)
            return
        if wrong is not None:
            yield Finding(Area.PROJECT, Level.PROBLEM, wrong.message, wrong.hint, PROJECT_FILE)
            return
        workspace = Workspace(self.root, self.root, profile=self._options.profile)
        found = workspace.pipelines()
        yield from specs((*workspace.unsound, *workspace.warnings), len(workspace.spec_files()))
        yield from programs(workspace, found)


def exit_code(findings: Iterable[Finding]) -> ExitCode:
    """9 for a state that cannot be used as it is, 3 for a wrong project, 1 for a machine that lacks something; warnings are 0."""
    areas = {finding.area for finding in findings if finding.level is Level.PROBLEM and not finding.mended}
    for area, code in ((Area.STATE, ExitCode.STATE), (Area.PROJECT, ExitCode.SPEC), (Area.MACHINE, ExitCode.FAILED)):
        if area in areas:
            return code
    return ExitCode.OK


def collector(options: GlobalOptions, *, dry_run: bool) -> Collector:
    """One `mlorch gc`. Raises `UsageError`, and `SpecError` for a wrong project file: it says what may be given up."""
    return Collector(Workspace(os.getcwd(), options.project, options.now, options.profile), dry_run=dry_run)


def gc_code(skipped: Sequence[str]) -> ExitCode:
    """9 when a journal could not be read; a busy partition is left for the next time."""
    return ExitCode.STATE if any(not why.startswith("busy") for why in skipped) else ExitCode.OK
