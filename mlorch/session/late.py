"""Ports of the runner that are made when the first step needs them: mostly there is nothing to do, and imports cost time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mlorch.executors.local import LocalExecutor
    from mlorch.executors.orphans import LocalOrphans
    from mlorch.model.attempt import AttemptRequest, ExecutorEvent, Orphan
    from mlorch.model.history import RunRecord
    from mlorch.model.pools import Shortage
    from mlorch.model.spec import Wanted
    from mlorch.session.workspace import Workspace
    from mlorch.world.pools import FilePools, FileSlots


class LateExecutor:
    """The local executor, made when it is first needed. `env` is what steps inherit."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._made: LocalExecutor | None = None
        self._woken = False

    def _executor(self) -> LocalExecutor:
        if self._made is None:
            from mlorch.executors.local import LocalExecutor

            self._made = LocalExecutor(self._env)
        return self._made

    def prepare(self) -> None:
        """As `Executor.prepare`."""
        self._executor().prepare()

    def submit(self, request: AttemptRequest) -> None:
        """As `Executor.submit`."""
        self._executor().submit(request)

    def poll(self, timeout: float | None) -> Sequence[ExecutorEvent]:
        """As `Executor.poll`."""
        executor = self._executor()
        if self._woken:
            self._woken, timeout = False, 0.0
        return executor.poll(timeout)

    def cancel(self, token: str, *, hurry: bool = False) -> None:
        """As `Executor.cancel`."""
        self._executor().cancel(token, hurry=hurry)

    def wake(self) -> None:
        """As `Executor.wake`; before there is an executor nobody sleeps in it, and the next `poll` does not either."""
        if self._made is None:
            self._woken = True
        if self._made is not None:  # also if it was made just now
            self._made.wake()

    def close(self) -> None:
        """As `Executor.close`."""
        if self._made is not None:
            self._made.close()


class LateOrphans:
    """The `Orphans` port for this machine. `record` gives the file of a run's starts and ends."""

    def __init__(self, record: Callable[[str], str]) -> None:
        self._record = record
        self._made: LocalOrphans | None = None

    def _orphans(self) -> LocalOrphans:
        if self._made is None:
            from mlorch.executors.orphans import LocalOrphans

            self._made = LocalOrphans(self._record)
        return self._made

    def deserted(self, run: RunRecord) -> bool:
        """As `Orphans.deserted`."""
        return self._orphans().deserted(run)

    def find(self, run: RunRecord) -> tuple[Orphan, ...]:
        """As `Orphans.find`."""
        return self._orphans().find(run)

    def end(self, run: RunRecord, grace: float, *, watched_too: bool = False) -> None:
        """As `Orphans.end`."""
        self._orphans().end(run, grace, watched_too=watched_too)


class LatePools:
    """The `Pools` port for this machine: the pools of a project, shared by all that use its state folder."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._made: FilePools | None = None

    @property
    def changes(self) -> int:
        """As `Pools.changes`."""
        return self._made.changes if self._made is not None else 0

    def take(self, wanted: Wanted, run_id: str, note: str) -> FileSlots | Shortage:
        """As `Pools.take`."""
        if self._made is None:
            from mlorch.world.pools import FilePools

            self._made = FilePools(self._workspace.layout.pools, dict(self._workspace.project.pools))
        return self._made.take(wanted, run_id, note)
