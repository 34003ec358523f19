"""One attempt of one step, as it is handed to an executor, and what the executor says of it."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias


class AttemptRequest(NamedTuple):
    """What an executor needs to run one attempt. All paths are absolute.

    `token` is unique over all runs (`RUN_ID/STEP/ATTEMPT`). `env` is added to the environment that steps inherit, after
    the variables named in `unset` were taken out of it. What the step leaves running is found by the `MLORCH_RUN_ID`,
    `MLORCH_STEP` and `MLORCH_ATTEMPT` in `env`. `log` is created by the executor; stdout and stderr both go there, at most
    about `log_limit` bytes (head and tail stay). `record` is a file to which the executor appends, as JSON lines, the start
    and the end of the attempt, before it tells anybody. `lends` are descriptors that stay open in the step's processes
    (locks); they must stay open until the attempt has ended. `masks` are byte strings to be replaced by `***` in the log.
    `timeout`, `grace` and `heartbeat` are seconds (`None`: no bound). While `slots` attempts or more are under way (0: no
    bound), this one waits its turn, in the order of submission; if we are gone by then, it is never started.
    """

    token: str
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    cwd: str
    log: str
    record: str
    log_limit: int = 64 * 1024 * 1024
    timeout: float | None = None
    grace: float = 10.0
    heartbeat: float | None = None
    lends: tuple[int, ...] = ()
    masks: tuple[bytes, ...] = ()
    unset: tuple[str, ...] = ()
    slots: int = 0


class AttemptRunning(NamedTuple):
    """The process of an attempt was started. `start_ticks` with `boot_id` and `pid` is its identity (`/proc/PID/stat`)."""

    token: str
    pid: int
    start_ticks: int
    at: str


class AttemptDone(NamedTuple):
    """How an attempt ended.

    Exactly one of `exit_code`, `signal` and `spawn_error` tells: a status from 0 to 255, a name such as `SIGKILL`, or why the
    command could not be started (`errno` then says which). `cause` is `exit`, `signal`, `timeout`, `heartbeat`, `oom`
    (memory ran out: a `SIGKILL`, or the 137 that a shell makes of it), `cancelled`, `spawn` or `lost` (who watched the
    process died first: nothing tells but what that one could still say in `spawn_error`; no process of the attempt lives). `started_at`, `ended_at`: ISO
    8601 UTC; `duration_s` by the monotonic clock; `peak_rss_bytes` and `cpu_s` (user and system) of the process and its
    waited-for children. `record_error` says why the attempt could not be written to its record, "" when it stands there.
    """

    token: str
    cause: str
    exit_code: int | None = None
    signal: str = ""
    spawn_error: str = ""
    errno: int = 0
    started_at: str = ""
    ended_at: str = ""
    duration_s: float = 0.0
    peak_rss_bytes: int = 0
    cpu_s: float = 0.0
    record_error: str = ""


ExecutorEvent: TypeAlias = AttemptRunning | AttemptDone


class Orphan(NamedTuple):
    """An attempt that outlived its mlorch. `watched`: its supervisor lives, so its end will be recorded. `at`: ISO 8601 UTC."""

    token: str
    pid: int
    at: str
    watched: bool
