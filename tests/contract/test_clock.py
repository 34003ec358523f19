"""What every clock holds to, the machine's and the hand-wound one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mlorch.testing.clock import HandClock
from mlorch.world.clock import SystemClock

GIVEN = datetime(2020, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize("clock", [SystemClock(), HandClock()], ids=["system", "hand"])
def test_times_are_aware_utc(clock: SystemClock | HandClock) -> None:
    assert clock.now().utcoffset() == clock.wall().utcoffset() == timedelta(0)


@pytest.mark.parametrize("clock", [SystemClock(GIVEN), HandClock(now=GIVEN)], ids=["system", "hand"])
def test_now_can_be_given_and_leaves_the_wall_clock_alone(clock: SystemClock | HandClock) -> None:
    assert clock.now() == GIVEN
    assert clock.wall() > GIVEN


@pytest.mark.parametrize("clock", [SystemClock(), HandClock()], ids=["system", "hand"])
def test_the_monotonic_clock_does_not_run_backwards(clock: SystemClock | HandClock) -> None:
    assert clock.monotonic() <= clock.monotonic()
