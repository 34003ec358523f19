"""A pipeline as a team described it: frozen, typed, every default filled in.

Strings that may hold `${{ … }}` are kept as typed (`Template`); `lang` evaluates them.
Durations are seconds, sizes bytes. Paths are as typed: relative to the project, `/` between parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from mlorch.model.diagnostics import Place

JsonScalar: TypeAlias = str | int | float | bool | None
JsonValue: TypeAlias = "JsonScalar | list[JsonValue] | dict[str, JsonValue]"
Template: TypeAlias = str
"""Text that may hold `${{ … }}`."""
Wanted: TypeAlias = tuple[tuple[str, int], ...]
"""Slots that a step takes: (pool, how many), sorted by pool."""


class Kind(StrEnum):
    """What a pipeline is for; brings default policies and lint."""

    FEATURE = "feature"
    TRAINING = "training"
    INFERENCE = "inference"


class Track(StrEnum):
    """How a change of an input is noticed."""

    CONTENT = "content"
    MTIME = "mtime"
    NONE = "none"


class Write(StrEnum):
    """Where a command writes an output: to a staged place, or to its final path."""

    STAGE = "stage"
    IN_PLACE = "in_place"


class TriggerRule(StrEnum):
    """How the ends of a step's needs decide whether it runs."""

    ALL_SUCCESS = "all_success"
    ALL_DONE = "all_done"
    ANY_SUCCESS = "any_success"
    ANY_FAILED = "any_failed"
    NONE_FAILED = "none_failed"
    ALWAYS = "always"


class SideEffects(StrEnum):
    """What a step does outside its outputs."""

    NONE = "none"
    IDEMPOTENT = "idempotent"
    EXTERNAL = "external"


class CachePolicy(StrEnum):
    """When the last result counts."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Backoff(StrEnum):
    """How the delay between attempts grows."""

    CONSTANT = "constant"
    LINEAR = "linear"
    EXPONENTIAL = "exponential"


class CatchUp(StrEnum):
    """What happens to windows missed while no tick came."""

    NONE = "none"
    LATEST = "latest"
    ALL = "all"


CATCHUP_LIMIT = 14
"""Windows that are caught up with at most, unless a schedule says so itself."""


class Schedule(NamedTuple):
    """When a pipeline is due. `start` and `end` are a date or a time in `timezone` ("" for open), both included.

    `exclude` are cron lines and dates on which no tick counts. `catchup_limit` is a number of windows.
    """

    cron: str
    timezone: str = "UTC"
    start: str = ""
    end: str = ""
    exclude: tuple[str, ...] = ()
    catchup: CatchUp = CatchUp.LATEST
    catchup_limit: int = CATCHUP_LIMIT


class Trigger(NamedTuple):
    """What makes a pipeline due beside its schedule: exactly one of `glob`, `pipeline` and `run` is set.

    `quiet_for` in seconds. Of `above`, `below` and `changed` exactly one belongs to `run`.
    """

    glob: str = ""
    marker: str = ""
    quiet_for: float = 0.0
    pipeline: str = ""
    run: str | tuple[str, ...] = ""
    above: float | None = None
    below: float | None = None
    changed: bool = False


class Owner(NamedTuple):
    """Whom alerts go to. `contacts` are further (name, address) pairs."""

    email: str
    name: str = ""
    contacts: tuple[tuple[str, str], ...] = ()


class Param(NamedTuple):
    """A parameter: its JSON Schema fragment (as canonical JSON text, "" for none) and its default."""

    name: str
    schema: str = ""
    default: JsonValue = None
    has_default: bool = True
    affects_cache: bool = True
    description: str = ""


class Secret(NamedTuple):
    """Where a secret comes from: `source` is `env`, `file` or `command`, `value` its name, path or command line."""

    name: str
    source: str
    value: str


class TimeDimension(NamedTuple):
    """Partition by time. `every` is `hour`, `day`, `week`, `month` or "" when `cron` is given."""

    name: str
    every: str
    cron: str = ""
    start: str = ""
    end: str = ""
    timezone: str = "UTC"
    lag: float = 0.0
    lookback: int = 0


class ValueDimension(NamedTuple):
    """Partition by value: exactly one of `values`, `glob`, `command` is set."""

    name: str
    values: tuple[str, ...] = ()
    glob: str = ""
    command: str | tuple[str, ...] = ""


Dimension: TypeAlias = TimeDimension | ValueDimension


class Span(StrEnum):
    """Which partitions of another pipeline are read."""

    SAME = "same"
    LAST = "last"
    ALL = "all"
    RANGE = "range"


@dataclass(frozen=True, slots=True)
class UpstreamInput:
    """An output of another pipeline's (or this pipeline's earlier) partitions.

    `output` is `name` or `step.name`; `count` for `last(N)`; `first` and `last` are labels or templates for a range.
    """

    pipeline: str
    output: str
    span: Span = Span.SAME
    count: int = 0
    first: Template = ""
    last: Template = ""


class Input(NamedTuple):
    """A named input: `paths` (paths, globs or one expression) or `upstream`. `is_list`: it was written as a list.

    `max_age` in seconds.
    """

    name: str
    paths: tuple[Template, ...] = ()
    is_list: bool = False
    required: bool = True
    track: Track = Track.CONTENT
    max_age: float | None = None
    upstream: UpstreamInput | None = None


class Output(NamedTuple):
    """A named output. A `path` that ends in `/` is a folder. `write` is None where the spec does not say."""

    name: str
    path: Template
    non_empty: bool = False
    temp: bool = False
    write: Write | None = None


class Check(NamedTuple):
    """After the command, before its outputs are published: exactly one of `expr` and `run`."""

    expr: str = ""
    run: str | tuple[str, ...] = ""
    warn: bool = False
    message: str = ""


class Retry(NamedTuple):
    """`attempts` counts the first. Delays in seconds. `exit_codes`: the only ones retried (empty: all); `never` wins."""

    attempts: int = 1
    delay: float = 0.0
    backoff: Backoff = Backoff.CONSTANT
    max_delay: float | None = None
    full_jitter: bool = False
    exit_codes: tuple[int, ...] = ()
    signals: tuple[str, ...] | None = None
    on_timeout: bool = True
    never: tuple[int, ...] = ()


class Cache(NamedTuple):
    """`ttl` in seconds; `ignore` names inputs, params or env entries left out of the fingerprint."""

    policy: CachePolicy = CachePolicy.AUTO
    version: str = ""
    ttl: float | None = None
    ignore: tuple[str, ...] = ()


class Step(NamedTuple):
    """One command with what it reads and writes."""

    id: str
    run: str | tuple[str, ...]
    shell: str = ""
    needs: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    code: tuple[str, ...] = ()
    values: tuple[tuple[str, str], ...] = ()
    metrics: Template = ""
    checks: tuple[Check, ...] = ()
    when: str = ""
    trigger_rule: TriggerRule = TriggerRule.ALL_SUCCESS
    retry: Retry = Retry()
    timeout: float | None = None
    grace: float = 10.0
    cache: Cache = Cache()
    allow_failure: bool | tuple[int, ...] = False
    side_effects: SideEffects = SideEffects.NONE
    log_limit: int = 64 * 1024 * 1024
    pool: Wanted = ()
    env: tuple[tuple[str, Template], ...] = ()
    secrets: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    working_dir: Template = ""
    description: str = ""
    place: Place | None = None


class Concurrency(NamedTuple):
    """How many runs of a group go on at once over all processes. `if_busy`: `wait`, `skip` or `fail`."""

    group: str
    limit: int = 1
    if_busy: str = "wait"


class Pipeline(NamedTuple):
    """One pipeline file, read and checked. `file` is relative to the project; `digest` the SHA-256 of its bytes."""

    name: str
    kind: Kind
    owner: Owner
    steps: tuple[Step, ...]
    file: str = ""
    digest: str = ""
    description: str = ""
    runbook: str = ""
    tags: tuple[str, ...] = ()
    params: tuple[Param, ...] = ()
    env: tuple[tuple[str, Template], ...] = ()
    secrets: tuple[Secret, ...] = ()
    partitions: tuple[Dimension, ...] = ()
    timeout: float | None = None
    schedule: Schedule | None = None
    triggers: tuple[Trigger, ...] = ()
    deadline: float | None = None
    concurrency: tuple[Concurrency, ...] = ()

    @property
    def catchup(self) -> tuple[CatchUp, int]:
        """What happens to windows that were missed, and how many are taken at most: as scheduled, else as its kind brings."""
        if self.schedule is not None:
            return self.schedule.catchup, self.schedule.catchup_limit
        return (CatchUp.ALL if self.kind is Kind.FEATURE else CatchUp.LATEST), CATCHUP_LIMIT

    @property
    def time_dimension(self) -> TimeDimension | None:
        """The dimension that is time, if there is one (at most one)."""
        for dimension in self.partitions:
            if isinstance(dimension, TimeDimension):
                return dimension
        return None


class Profile(NamedTuple):
    """Changes of a project that `--profile` chooses: each item replaces the one of its name, or is one more."""

    name: str
    env: tuple[tuple[str, Template], ...] = ()
    params: tuple[tuple[str, JsonValue], ...] = ()
    pools: tuple[tuple[str, int], ...] = ()


class Project(NamedTuple):
    """What all pipelines share. `roots` maps a name to an absolute folder outside the project.

    `defaults` holds the step keys that are merged under every step, as JSON text ("" for none). `profile` is the one that was
    chosen ("" for none): its changes are in the other fields.
    """

    pipelines: tuple[str, ...] = ("pipelines/*.yaml", "pipelines/*.yml")
    state: str = ".mlorch"
    env: tuple[tuple[str, Template], ...] = ()
    params: tuple[tuple[str, JsonValue], ...] = ()
    secrets: tuple[Secret, ...] = ()
    roots: tuple[tuple[str, str], ...] = ()
    pools: tuple[tuple[str, int], ...] = ()
    concurrency: Concurrency | None = None
    retain_runs: int = 200
    retain_days: int = 90
    allow_network_state: bool = False
    file: str = ""
    digest: str = ""
    defaults: str = ""
    profiles: tuple[Profile, ...] = ()
    profile: str = ""
