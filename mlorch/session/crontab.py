"""`mlorch cron`: the block of this project in a crontab, shown, put in, taken out, compared."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mlorch.engine import crontab as texts
from mlorch.model.errors import MachineError
from mlorch.session.workspace import Workspace
from mlorch.world.crontab import Crontab

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlorch.engine.crontab import Drift
    from mlorch.session.options import GlobalOptions

_T = TypeVar("_T")


class CronReport(NamedTuple):
    """What was found or done. `installed`: the block is there now; `changed`: the crontab was; `notes` are for people."""

    block: str
    whose: str
    installed: bool
    changed: bool = False
    differs: tuple[Drift, ...] = ()
    notes: tuple[str, ...] = ()


class CronWork:
    """One `mlorch cron`. Raises `UsageError` without a project, `SpecError` for a wrong project file, `MachineError` without cron."""

    def __init__(self, options: GlobalOptions, user: str) -> None:
        self._workspace = Workspace(os.getcwd(), options.project, options.now, options.profile)
        self.entry = texts.Entry(self._workspace.root, program(), self._workspace.layout.root, options.profile)
        self._user = user

    def show(self) -> CronReport:
        """The block as it would be, whether or not there is a cron here."""
        return CronReport(_worded(lambda: texts.block(self.entry)), "", installed=False)

    def install(self) -> CronReport:
        """Put it in, or make it right."""
        if not self._user:  # of another user's project the folder is theirs to make
            self._workspace.layout.create(allow_network=self._workspace.project.allow_network_state)
        return self._change(lambda text: texts.install(text, self.entry), installed=True)

    def remove(self) -> CronReport:
        """Take it out."""
        return self._change(lambda text: texts.remove(text, self.entry.project), installed=False)

    def check(self) -> CronReport:
        """Compare, and change nothing."""
        crontab = Crontab(self._user)
        text = crontab.read()
        differs = _worded(lambda: texts.drift(text, self.entry))
        there = _worded(lambda: texts.is_installed(text, self.entry.project))
        return CronReport(self._block, crontab.whose, there, differs=differs, notes=self._notes())

    @property
    def _block(self) -> str:
        return _worded(lambda: texts.block(self.entry))

    def _change(self, edit: Callable[[str], str], *, installed: bool) -> CronReport:
        crontab = Crontab(self._user)
        with crontab.held():
            before = crontab.read()
            after = _worded(lambda: edit(before))
            if after != before:
                crontab.write(after)
        notes = self._notes() if installed else ()
        return CronReport(self._block, crontab.whose, installed, after != before, notes=notes)

    def _notes(self) -> tuple[str, ...]:
        """Why the line may be of no use."""
        pipelines = self._workspace.pipelines()
        if self._workspace.unsound:
            return ("some pipelines have problems, and are not run: see `mlorch validate`",)
        if not any(pipeline.schedule or pipeline.triggers for pipeline in pipelines):
            return ("no pipeline has a `schedule` or `triggers` yet, so `tick` will find nothing to do",)
        return ()


def program() -> tuple[str, ...]:
    """How cron must call mlorch: absolute, and the same whoever asks.

    The command that was installed beside this Python comes first: it is there however mlorch was called now.
    """
    beside = os.path.join(os.path.dirname(os.path.abspath(sys.executable)), "mlorch")
    called = os.path.abspath(sys.argv[0])
    for path in (beside, called if os.path.basename(called) == "mlorch" else ""):
        if path and os.path.isfile(path) and os.access(path, os.X_OK):
            return (path,)
    return (os.path.abspath(sys.executable), "-m", "mlorch")


def _worded(work: Callable[[], _T]) -> _T:
    try:
        return work()
    except texts.CrontabError as error:
        raise MachineError(str(error), "mend it with `crontab -e`; nothing was changed") from error
