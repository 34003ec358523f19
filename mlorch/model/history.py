"""What the journal of a partition says, folded: checkpoints, runs, their steps and attempts.

These objects are changed by `engine.fold` only, one event at a time; everybody else reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlorch.model.states import RunState, StepState

if TYPE_CHECKING:
    from mlorch.model.events import Pairs, PublishIntended
    from mlorch.model.manifest import Artifact, Checkpoint


@dataclass(slots=True)
class AttemptRecord:
    """One attempt. `cause` as in `AttemptDone`, or `check`, `output`, `value`; `log` relative to the state folder."""

    number: int
    state: StepState
    started_at: str = ""
    finished_at: str = ""
    reason: str = ""
    detail: str = ""
    cause: str = ""
    command: str = ""
    exit_code: int | None = None
    signal: str = ""
    duration_s: float = 0.0
    peak_rss_bytes: int = 0
    cpu_s: float = 0.0
    log: str = ""
    fingerprint: str = ""
    staging: tuple[str, ...] = ()
    aside: tuple[tuple[str, str], ...] = ()
    external: bool = False
    adopted: str = ""
    retry_at: str = ""


@dataclass(slots=True)
class StepRecord:
    """One step of one run. `reason` says why it ran or did not; `detail` is the text for people."""

    id: str
    state: StepState = StepState.PENDING
    reason: str = ""
    detail: str = ""
    attempts: list[AttemptRecord] = field(default_factory=list)
    outputs: tuple[Artifact, ...] = ()
    values: str = "{}"
    metrics: str = "{}"
    publish: PublishIntended | None = None

    @property
    def last(self) -> AttemptRecord | None:
        """The newest attempt."""
        return self.attempts[-1] if self.attempts else None


@dataclass(slots=True)
class RunRecord:
    """One run of one partition. `partition` is "" for a pipeline without partitions."""

    run_id: str
    pipeline: str
    partition: str
    state: RunState = RunState.RUNNING
    reason: str = ""
    started_at: str = ""
    finished_at: str = ""
    exit_code: int | None = None
    params: Pairs = ()
    selection: tuple[str, ...] = ()
    total: int = 0
    spec_digest: str = ""
    git_commit: str = ""
    git_dirty: bool = False
    pid: int = 0
    start_ticks: int = 0
    boot_id: str = ""
    host: str = ""
    steps: dict[str, StepRecord] = field(default_factory=dict)

    @property
    def profile(self) -> str:
        """The profile that it ran with; "" for none."""
        words = (word.partition(" ") for word in self.selection)
        return next((value for name, _, value in words if name == "--profile"), "")


@dataclass(slots=True)
class PartitionState:
    """All that is known of one partition of one pipeline.

    `checkpoints`: the standing proofs, by step id. `unfinished`: step ids whose newest attempt ended badly (`failed`) or was
    cut off (`interrupted`) after the checkpoint, if any, was made. `removed`: paths of `temp` outputs taken away.
    `doubt`: lines of the journal were lost, so that a step without a checkpoint may have been started all the same. `events`: how
    many there were since the first; only ever grows, also when lines are lost or given up.
    """

    pipeline: str
    partition: str
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    unfinished: dict[str, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    runs: list[RunRecord] = field(default_factory=list)
    events: int = 0
    doubt: bool = False

    @property
    def last_run(self) -> RunRecord | None:
        """The newest run."""
        return self.runs[-1] if self.runs else None
