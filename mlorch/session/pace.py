"""How long the steps of a pipeline take, by what its history says."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from mlorch.engine.plan import durations_of
from mlorch.session.history import History

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlorch.session.workspace import Workspace

_RUNS_LOOKED_AT = 50


class Pace:
    """Reads history when it is asked; what other partitions say, once for each pipeline."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._history = History(workspace)
        self._elsewhere: dict[str, Mapping[str, float]] = {}

    def of(self, pipeline: str, key: str) -> Mapping[str, float]:
        """The seconds that steps took in this partition, else in the one of the pipeline that ran last."""
        own = durations_of(self._workspace.state(pipeline, key))
        if own or not key:
            return own
        return self.elsewhere(pipeline)

    def elsewhere(self, pipeline: str) -> Mapping[str, float]:
        """The seconds that steps took in the partition that ran last."""
        if pipeline not in self._elsewhere:
            found = (durations_of(self._workspace.state(pipeline, other)) for other in self._newest(pipeline))
            self._elsewhere[pipeline] = next(filter(None, found), {})
        return self._elsewhere[pipeline]

    def _newest(self, pipeline: str) -> Iterator[str]:
        """The partitions of the newest runs, the newest first."""
        for run_id in islice(reversed(self._workspace.layout.run_ids()), _RUNS_LOOKED_AT):
            where = self._history.where(run_id)
            if where is not None and where[0] == pipeline:
                yield where[1]
