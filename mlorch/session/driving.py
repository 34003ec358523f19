"""How a command's jobs are driven: its options, and this process's signals meanwhile."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class DriveOptions:
    """What the runner is told; `slots` None means the CPUs we may use, `wait_timeout` is in seconds."""

    slots: int | None = None
    fail_fast: bool = False
    if_busy: str = "wait"
    wait_timeout: float | None = None
    rerun_unsafe: bool = False
    max_failures: int | None = None
    kill_orphans: bool = False


class Signals:
    """While it is entered, SIGINT, SIGTERM and SIGHUP call `stop` with their number instead of ending the process.

    A signal that was ignored from outside (`nohup`) stays so. `received` is the last one.
    """

    def __init__(self, stop: Callable[[int], None]) -> None:
        self._stop = stop
        self._before: dict[int, Any] = {}
        self.received = 0

    def __enter__(self) -> Signals:
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.received = number
        self._stop(number)
