"""What happened, in the order in which it happened: the lines of a journal.

Every event names its run. Times are ISO 8601 UTC with `Z`. `record` and `event` translate to and from the JSON object of a
journal line; unknown keys of a newer writer are ignored, an unknown type is kept as `Unknown` and changes nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from mlorch.model.manifest import Artifact, Fact, Manifest

Pairs: TypeAlias = tuple[tuple[str, Any], ...]


class RunStarted(NamedTuple):
    """A run of one partition began. `params` are the values it runs with, `selection` the words that chose its steps and its profile."""

    run_id: str
    at: str
    pipeline: str
    partition: str
    params: Pairs = ()
    selection: tuple[str, ...] = ()
    steps: int = 0
    spec_digest: str = ""
    git_commit: str = ""
    git_dirty: bool = False
    pid: int = 0
    start_ticks: int = 0
    boot_id: str = ""
    host: str = ""
    reason: str = ""


class StepsReused(NamedTuple):
    """Steps whose checkpoint still counts; nothing of them was run."""

    run_id: str
    at: str
    steps: tuple[str, ...]
    reason: str = "unchanged"


class AttemptStarted(NamedTuple):
    """Written before the process is. `aside` are (final path, where its former content waits) of in-place outputs.

    `staging` are the staged places that this attempt may leave behind; all paths relative to the project. `adopted` is the
    token of the attempt of an earlier run whose end and files these are, "" for one that was started for this.
    """

    run_id: str
    at: str
    step: str
    attempt: int
    reason: str
    detail: str = ""
    command: str = ""
    log: str = ""
    fingerprint: str = ""
    staging: tuple[str, ...] = ()
    aside: tuple[tuple[str, str], ...] = ()
    external: bool = False
    adopted: str = ""


class AttemptEnded(NamedTuple):
    """An attempt that did not succeed. `retry_at` is set when another one follows, "" when this was the last."""

    run_id: str
    at: str
    step: str
    attempt: int
    state: str
    cause: str
    detail: str = ""
    exit_code: int | None = None
    signal: str = ""
    duration_s: float = 0.0
    peak_rss_bytes: int = 0
    cpu_s: float = 0.0
    retry_at: str = ""


class PublishIntended(NamedTuple):
    """The staged outputs are whole and flushed; from here on the moves are finished, by recovery if need be.

    `moves` are (staged path, final path). `success` is the JSON object of the `StepSucceeded` that follows: recovery
    finishes the moves and then writes it (with the artifacts looked at again).
    """

    run_id: str
    at: str
    step: str
    attempt: int
    moves: tuple[tuple[str, str], ...]
    success: dict[str, Any]


class StepSucceeded(NamedTuple):
    """The command and its checks succeeded and the outputs stand at their final paths. `values`, `metrics`: JSON texts."""

    run_id: str
    at: str
    step: str
    attempt: int
    fingerprint: str
    manifest: Manifest
    outputs: tuple[Artifact, ...] = ()
    values: str = "{}"
    metrics: str = "{}"
    exit_code: int = 0
    duration_s: float = 0.0
    peak_rss_bytes: int = 0
    cpu_s: float = 0.0
    state: str = "succeeded"
    detail: str = ""
    how: str = ""
    started_at: str = ""


class StepEnded(NamedTuple):
    """A step that ended without an attempt: skipped, blocked, not ready, cancelled."""

    run_id: str
    at: str
    step: str
    state: str
    reason: str
    detail: str = ""


class OutputRemoved(NamedTuple):
    """A `temp` output was removed since its last reader was done."""

    run_id: str
    at: str
    step: str
    path: str


class RunEnded(NamedTuple):
    """The run is over. `exit_code` is what it alone would have given the command."""

    run_id: str
    at: str
    state: str
    exit_code: int
    reason: str = ""


class RunLost(NamedTuple):
    """Written by a later invocation: the run's process ended without a word."""

    run_id: str
    at: str
    detail: str = ""


class JournalRepaired(NamedTuple):
    """Stands where damaged lines were taken out: `lines` of them, from line `first` on; the damaged file is kept as `copy`.

    `run_id` is the run whose own lines all of them were; "" if runs may have ended or begun among them. What lines that are
    left prove of the checkpoints made before: those of the steps in `sound` were not touched by what is missing.
    """

    run_id: str
    at: str
    lines: int
    first: int
    copy: str = ""
    sound: tuple[str, ...] = ()


class JournalCompacted(NamedTuple):
    """Closes the beginning of a journal that was given up: `events` of `runs` that are over.

    What they added up to stands before it, in lines of `CheckpointKept`, and here: `unfinished`, `removed`
    and `doubt` as in `PartitionState`. `run_id` is the last run that was given up.
    """

    run_id: str
    at: str
    events: int
    runs: int
    unfinished: Pairs = ()
    removed: tuple[str, ...] = ()
    doubt: bool = False


class CheckpointKept(NamedTuple):
    """A checkpoint whose run was given up. Fields as in `Checkpoint`."""

    run_id: str
    at: str
    step: str
    attempt: int
    fingerprint: str
    manifest: Manifest
    outputs: tuple[Artifact, ...] = ()
    values: str = "{}"
    metrics: str = "{}"
    duration_s: float = 0.0
    peak_rss_bytes: int = 0
    how: str = ""


class ScheduleNoted(NamedTuple):
    """A fact about when a pipeline is due; it stands in the journal of the pipeline's schedule, and belongs to no run.

    `what` is one of the words of `engine.agenda`, which also says what `facts` hold; `key` is the partition that it is about.
    """

    run_id: str
    at: str
    what: str
    key: str = ""
    facts: Pairs = ()


class Unknown(NamedTuple):
    """An event type that this version does not know."""

    run_id: str
    at: str


Event: TypeAlias = (
    RunStarted
    | StepsReused
    | AttemptStarted
    | AttemptEnded
    | PublishIntended
    | StepSucceeded
    | StepEnded
    | OutputRemoved
    | RunEnded
    | RunLost
    | JournalRepaired
    | JournalCompacted
    | CheckpointKept
    | ScheduleNoted
    | Unknown
)

_CLASSES: dict[str, type[Any]] = {
    "run_started": RunStarted,
    "steps_reused": StepsReused,
    "attempt_started": AttemptStarted,
    "attempt_ended": AttemptEnded,
    "publish_intended": PublishIntended,
    "step_succeeded": StepSucceeded,
    "step_ended": StepEnded,
    "output_removed": OutputRemoved,
    "run_ended": RunEnded,
    "run_lost": RunLost,
    "journal_repaired": JournalRepaired,
    "journal_compacted": JournalCompacted,
    "checkpoint_kept": CheckpointKept,
    "schedule_noted": ScheduleNoted,
}
_TYPES = {cls: name for name, cls in _CLASSES.items()}
_FIELDS: dict[type[Any], tuple[str, ...]] = {cls: cls.__match_args__ for cls in _CLASSES.values()}
_ARTIFACT = Artifact.__match_args__
_PAIRS = frozenset({"params", "unfinished", "facts"})
_TUPLES = frozenset({"steps", "selection", "staging", "sound", "removed"})
_NESTED = frozenset({"moves", "aside"})


def _artifact_record(artifact: Artifact) -> dict[str, Any]:
    return {name: value for name in _ARTIFACT if (value := getattr(artifact, name)) not in ("", False)}


def record(event: Event) -> dict[str, Any]:
    """The JSON object of `event`, with its `type`."""
    out: dict[str, Any] = {"type": _TYPES[type(event)]}
    for name in _FIELDS[type(event)]:
        value = getattr(event, name)
        if name == "outputs":
            value = [_artifact_record(artifact) for artifact in value]
        elif name in _PAIRS:
            value = dict(value)
        out[name] = value
    return out


def event(data: dict[str, Any]) -> Event:
    """The event of a journal line's JSON object.

    Raises `KeyError`, `TypeError` or `ValueError` when the object does not have the shape of its type.
    """
    cls = _CLASSES.get(data["type"])
    if cls is None:
        return Unknown(data["run_id"], data["at"])
    given: dict[str, Any] = {}
    for name in _FIELDS[cls]:
        if name not in data:
            continue
        value = data[name]
        if name == "manifest":
            value = tuple(Fact(*fact) for fact in value)
        elif name == "outputs":
            value = tuple(Artifact(**item) for item in value)
        elif name in _PAIRS:
            value = tuple(value.items())
        elif name in _NESTED:
            value = tuple((pair[0], pair[1]) for pair in value)
        elif name in _TUPLES and isinstance(value, list):
            value = tuple(value)
        given[name] = value
    made: Event = cls(**given)
    return made
