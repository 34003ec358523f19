"""What the runner needs from outside: each port has a real side in `world` or `executors` and a fake in `testing`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from mlorch.model.attempt import AttemptDone, AttemptRequest, ExecutorEvent, Orphan
    from mlorch.model.events import Event
    from mlorch.model.history import PartitionState, RunRecord, StepRecord
    from mlorch.model.manifest import Artifact
    from mlorch.model.pools import Shortage
    from mlorch.model.spec import Pipeline, ValueDimension, Wanted


class Clock(Protocol):
    """Time. `now` is aware UTC and may be set by the user (`--now`); `wall` is the real one; `monotonic` in seconds."""

    def now(self) -> datetime:
        """The time that schedules and ages go by."""
        ...

    def wall(self) -> datetime:
        """The real time, for records."""
        ...

    def monotonic(self) -> float:
        """For durations."""
        ...


class Journal(Protocol):
    """The append-only events of one pipeline's partition. Raises `StateError` on damage, a full or a read-only disk."""

    def read(self) -> tuple[Event, ...]:
        """All whole events, oldest first; takes no lock and repairs nothing. A torn last line is left out."""
        ...

    def open(self) -> tuple[Event, ...]:
        """For the holder of the partition's lock: cut a torn tail, make ready to append, return all events."""
        ...

    def append(self, events: Iterable[Event]) -> None:
        """Hand the events to the system in one write (safe against our end, not against power loss)."""
        ...

    def flush(self) -> None:
        """Make what was appended durable. May be called from another thread than `append`."""
        ...

    def close(self) -> None:
        """Close the file; may be called twice."""
        ...


class Files(Protocol):
    """The project's files. Paths are relative to the project (or absolute, below one of its `roots`)."""

    def absolute(self, path: str) -> str:
        """The absolute path as text; links are not followed."""
        ...

    def outside(self, path: str) -> str:
        """Why `path` may not be used: it leads out of the project and its roots, links followed. "" when it may."""
        ...

    def expand(self, pattern: str) -> tuple[str, ...]:
        """Paths that match a glob (`*`, `?`, `[…]`, `**`), sorted; hidden names only where the pattern says so."""
        ...

    def exists(self, path: str) -> bool:
        """Whether there is something at `path` (a dangling link is nothing)."""
        ...

    def look(self, path: str, known: Artifact | None = None) -> Artifact | None:
        """The artifact at `path`, None if missing. Its content is read only if `known` (or the digest cache) does not vouch."""
        ...

    def same(self, known: Artifact) -> bool:
        """Whether what stands at `known.path` still has its content; cheap when its signature is unchanged."""
        ...

    def modified(self, path: str) -> float | None:
        """When the content of `path` last changed (mtime), in seconds since the epoch; None if missing."""
        ...

    def touched(self, path: str) -> float | None:
        """When anything about `path` itself last changed, its name included (ctime), as `modified`."""
        ...

    def stage(self, folder: str, path: str, *, is_folder: bool) -> str:
        """Make `folder` (a staging folder beside `path`) and return the staged path in it, with the last name of `path`.

        For a folder output the staged folder is made, empty; for a file only what holds it.
        """
        ...

    def set_aside(self, path: str, aside: str) -> None:
        """Rename what is at `path` to `aside` (missing: nothing happens); the folder of `path` exists afterwards."""
        ...

    def move(self, staged: str, final: str) -> None:
        """Put `staged` in place of `final` atomically; a folder replaces a folder. `staged` missing, `final` there: done before."""
        ...

    def swap(self, staged: str, final: str, identity: str) -> None:
        """Put `staged`, which has this identity, in place of `final`; what was there, if anything, stands at `staged` afterwards.

        Called again after an interruption it finishes what is left. Raises `FileError` when it is refused: nothing has changed.
        """
        ...

    def unswap(self, staged: str, final: str, identity: str) -> None:
        """Undo a `swap`, from wherever it came to. May be interrupted and called again."""
        ...

    def identity(self, path: str) -> str:
        """What stays the same when `path` is renamed, and differs for anything else there is at the time; "" if missing."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file or a whole folder, links not followed; missing is fine."""
        ...

    def written(self, path: str) -> tuple[int | None, str]:
        """What a step wrote to `path`: the bytes of a file, or of all files of a folder (None if missing); and why it may not be published.

        The latter begins with a verb (`is a link …`), and is "" when it may.
        """
        ...

    def read_text(self, path: str, limit: int) -> str | None:
        """Up to `limit` bytes as UTF-8 (damage replaced); None if missing. `limit` + 1 bytes or more raise `ValueError`."""
        ...

    def write_text(self, path: str, text: str) -> None:
        """Create or replace a small file."""
        ...

    def flush(self, paths: Sequence[str]) -> None:
        """Make the bytes of files and folders (with all below) durable. Safe to call from another thread. Raises `FileError`, `StateError`."""
        ...

    def flush_folders(self, paths: Sequence[str]) -> None:
        """Make the names in the folders that hold `paths` durable. Safe to call from another thread."""
        ...


class Executor(Protocol):
    """Runs attempts. Nothing here waits but `poll`."""

    def prepare(self) -> None:
        """An attempt will probably follow: what takes a moment may begin now. Raises nothing."""
        ...

    def submit(self, request: AttemptRequest) -> None:
        """Hand over one attempt; its end comes from `poll`, a failure to start included."""
        ...

    def poll(self, timeout: float | None) -> Sequence[ExecutorEvent]:
        """What happened since; waits up to `timeout` seconds (None: until something does, or `wake`)."""
        ...

    def cancel(self, token: str, *, hurry: bool = False) -> None:
        """End an attempt: TERM, KILL after its grace (at once when `hurry`); its end comes from `poll`."""
        ...

    def wake(self) -> None:
        """Make `poll` return early; may be called from a thread or a signal handler."""
        ...

    def close(self) -> None:
        """No further attempts; what still runs goes on unless cancelled."""
        ...


class Lock(Protocol):
    """The lock of one partition."""

    def acquire(self, *, wait: float | None, note: str) -> bool:
        """Take it; wait up to `wait` seconds (None: for ever, 0: not at all). False if somebody else holds it.

        `note` (who, since when, run id) is kept with the lock for the message only.
        """
        ...

    def holder(self) -> str:
        """The note of whoever holds or last held it; "" if unknown."""
        ...

    def fileno(self) -> int:
        """The descriptor to lend to steps while the lock is held."""
        ...

    def release(self) -> None:
        """Give it back; may be called twice."""
        ...


class Slots(Protocol):
    """Slots of pools that are held."""

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What is lent to the processes that need them."""
        ...

    def release(self) -> None:
        """Give them back; may be called twice. They are free once no process that they were lent to lives either."""
        ...


class Pools(Protocol):
    """Slots that all runs of the machine share."""

    @property
    def changes(self) -> int:
        """Grows each time that slots of this command are given back."""
        ...

    def take(self, wanted: Wanted, run_id: str, note: str) -> Slots | Shortage:
        """All the slots that are wanted, or what there are too few of; waits for nobody. Raises `StateError`.

        `note` says who takes them, for the messages of others.
        """
        ...


class Observer(Protocol):
    """Watches runs while they happen: a live table, plain lines, GitHub groups. Must not raise for a closed output."""

    def run_started(self, run: RunRecord, order: Sequence[str]) -> None:
        """A run began; `order` are the ids of its steps in the order of the graph."""
        ...

    def step_changed(self, run: RunRecord, step: StepRecord) -> None:
        """A step started, ended, or waits for another attempt."""
        ...

    def step_runs(self, run: RunRecord, step: str, *, runs: bool) -> None:
        """A process of a step that was started begins, or is over: before, it waits its turn; afterwards, its results are looked at."""
        ...

    def step_waits(self, run: RunRecord, step: str, pool: str, holders: str) -> None:
        """A step that is ready waits for slots of a pool. `holders`: who has them, "" when it is steps of this command."""
        ...

    def run_ended(self, run: RunRecord) -> None:
        """A run is over."""
        ...

    def note(self, message: str) -> None:
        """Something to tell people meanwhile: a lock waited for, an orphan found, a torn journal cut."""
        ...

    def tick(self) -> None:
        """Called a few times a second while attempts run."""
        ...

    def close(self) -> None:
        """The last call."""
        ...


class Catalog(Protocol):
    """The other pipelines of the project, as far as one of them needs to know."""

    def pipeline(self, name: str) -> Pipeline | None:
        """The pipeline of that name; None if there is none (or it is not sound)."""
        ...

    def state(self, pipeline: str, partition: str) -> PartitionState:
        """What is known of one of its partitions."""
        ...

    def partitions(self, pipeline: str) -> Sequence[str]:
        """Keys of the partitions that have state, in no order."""
        ...

    def labels(self, pipeline: Pipeline, dimension: ValueDimension) -> Sequence[str]:
        """The labels of one of its dimensions by value, as far as they are known."""
        ...


class RunFolders(Protocol):
    """Where a run keeps what it leaves: logs, values, records. All paths absolute."""

    def make(self, run_id: str, facts: str, spec: str) -> None:
        """Make the folder of a run and keep `facts` (JSON: what runs, with which commit) and the text of the spec ("" if unknown) in it."""
        ...

    def path(self, run_id: str, step: str, attempt: int, suffix: str) -> str:
        """The file `suffix` (`log`, `values`, `summary`, `context.json`, …) of an attempt."""
        ...

    def record(self, run_id: str) -> str:
        """The file in which the executor keeps starts and ends."""
        ...

    def ends(self, run_id: str) -> Mapping[str, AttemptDone]:
        """The ends that the executor recorded since the machine was started, by token."""
        ...

    def masked(self, text: str, secrets: Sequence[str]) -> str:
        """Text without secrets, as they are or encoded."""
        ...

    def sweep(self, folder: str) -> None:
        """Remove staging folders in `folder` (relative) that a power cut left and no run comes back to; looks once a command."""
        ...

    def relative(self, path: str) -> str:
        """A path of these, relative to the state folder, for records and people."""
        ...


class Orphans(Protocol):
    """Attempts that outlived the mlorch that started them."""

    def deserted(self, run: RunRecord) -> bool:
        """Whether the mlorch process of a run that has no end is gone."""
        ...

    def find(self, run: RunRecord) -> Sequence[Orphan]:
        """Attempts of a deserted run that still live."""
        ...

    def end(self, run: RunRecord, grace: float, *, watched_too: bool = False) -> None:
        """End what lives of a deserted run: TERM, KILL after `grace` seconds; waits until it is gone.

        Attempts whose supervisor lives are left to it, unless `watched_too`.
        """
        ...
