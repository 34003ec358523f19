"""What was asked for on the command line, as frozen values."""

from __future__ import annotations

from typing import Any, NamedTuple

DEFAULT_ONLY = ("missing", "failed")


class GlobalOptions(NamedTuple):
    """Options that every command takes, before or after its name.

    `project` is a folder as typed ("" to look upwards), `output` one of `table json github plain` (decided by the terminal
    unless said), `now` the time to go by as typed ("" for the real one).
    """

    project: str = ""
    profile: str = ""
    output: str = "plain"
    quiet: bool = False
    verbose: bool = False
    color: bool = False
    now: str = ""


class RunOptions(NamedTuple):
    """`mlorch run` and `plan`. `params` are (name, text) as typed; `jobs` None means the CPUs we may use.

    Of a run before, for `mlorch retry`: `values` are its parameters (name, value), `due` is the tick that it was for.
    `if_busy` is `wait`, `skip` or `fail`; `wait_timeout` in seconds, None for as long as it takes; `orphans` is `adopt` or `kill`.
    """

    pipelines: tuple[str, ...]
    partitions: tuple[str, ...] = ()
    params: tuple[tuple[str, str], ...] = ()
    params_file: str = ""
    only: tuple[str, ...] = ()
    from_steps: tuple[str, ...] = ()
    until: tuple[str, ...] = ()
    force: bool = False
    force_steps: tuple[str, ...] = ()
    fail_fast: bool = False
    jobs: int | None = None
    if_busy: str = "wait"
    wait_timeout: float | None = None
    orphans: str = "adopt"
    rerun_unsafe: bool = False
    with_upstream: bool = False
    values: tuple[tuple[str, Any], ...] = ()
    due: str = ""


class BackfillOptions(NamedTuple):
    """`mlorch backfill`. `first` and `last` are labels, both included ("" for open); `newest` takes the newest N windows.

    `only` is a subset of `missing failed stale all`; `max_failures` None means any number.
    """

    pipeline: str
    first: str = ""
    last: str = ""
    newest: int | None = None
    partitions: tuple[str, ...] = ()
    only: tuple[str, ...] = DEFAULT_ONLY
    params: tuple[tuple[str, str], ...] = ()
    params_file: str = ""
    jobs: int | None = None
    newest_first: bool = False
    max_failures: int | None = None
    with_upstream: bool = False
    dry_run: bool = False


class RunsFilter(NamedTuple):
    """`mlorch runs`. `since` is a duration (`2d`) or a time as typed, "" for all; `states` are run states; `limit` 0 is none."""

    pipelines: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    partition: str = ""
    since: str = ""
    limit: int = 20
