"""Children that nobody started knowingly: whose they are, and when they count no longer."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from mlorch.executors.supervisor.attempt import Attempt
from mlorch.executors.supervisor.leftovers import HOPELESS, Leftovers

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def child() -> Iterator[int]:
    # Blocks SIGTERM, so that only KILL ends it; nobody waits for it but this fixture. A session of its own, since that of the
    # tests may have its leader outside our process namespace (CI in a container), and reads as 0 then.
    pid = os.posix_spawn("/bin/sleep", ["sleep", "1000"], {}, setsid=True, setsigmask=[signal.SIGTERM])
    yield pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_what_the_session_of_an_attempt_holds_is_its_own(child: int) -> None:
    attempt, leftovers = Attempt("a", ""), Leftovers()
    attempt.pid = os.getsid(child)
    leftovers.census([], [attempt])
    assert child in leftovers.of(attempt)
    leftovers.gone(child)
    assert child not in leftovers.of(attempt)


def test_what_we_started_is_no_leftover(child: int) -> None:
    attempt, leftovers = Attempt("a", ""), Leftovers()
    attempt.pid = os.getsid(child)
    leftovers.census([child], [attempt])
    assert child not in leftovers.of(attempt)


def test_what_does_not_end_counts_no_longer(child: int) -> None:
    attempt, leftovers = Attempt("a", ""), Leftovers()
    attempt.pid = os.getsid(child)
    leftovers.census([], [attempt])
    leftovers.give_up(attempt)
    assert not leftovers
    leftovers.census([], [attempt])
    assert child not in leftovers.of(attempt), "not even when it is seen again"


def test_nobodys_stays_until_all_suspects_are_gone_and_is_given_up_in_the_end(child: int) -> None:
    attempt, leftovers = Attempt("a", ""), Leftovers()
    leftovers.census([], [attempt])
    assert child not in leftovers.of(attempt)
    assert leftovers.end_unowned({"a"}, 100.0) == float("inf")
    first = leftovers.end_unowned(set(), 100.0)
    assert 100.0 < first <= 103.0
    assert leftovers
    leftovers.end_unowned(set(), first + HOPELESS)
    assert not leftovers
    assert os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None, (
        "it was not killed, only told to end"
    )
