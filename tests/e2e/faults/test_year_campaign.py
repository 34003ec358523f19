"""What `make year` backfills, and that it would notice a difference. The campaign itself takes minutes."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from typing import TYPE_CHECKING

from tests.faults.place import Tally
from tests.year.campaign import check, compare
from tests.year.project import BACKFILL, Flights

if TYPE_CHECKING:
    from pathlib import Path


def test_it_is_all_days_all_months_and_all_predictions(tmp_path: Path) -> None:
    place = Flights(tmp_path / "flights", date(2013, 1, 1), date(2013, 3, 31))
    assert place.run("validate", "--strict")[0] == 0, place.said()
    code, said = place.run(*BACKFILL, "--dry-run", "-o", "json")
    assert code == 0
    data = json.loads(said)["data"]
    wanted = Counter(row["pipeline"] for row in (*data["upstream"], *data["partitions"]) if row["action"] == "run")
    assert wanted == {"flights_features": 90, "delay_model": 3, "delay_predictions": 59}
    assert place.steps() == {"flights_features": 3 * 90, "delay_model": 5 * 3, "delay_predictions": 2 * 59}


def test_a_difference_is_noticed(tmp_path: Path) -> None:
    tally = Tally()
    assert compare({"a": b"1", "b": b"1", "c": b"1"}, {"a": b"1", "b": b"2", "d": b"1"}, tally) == 3
    assert (tally.lost, tally.good) == (3, False)
    undone = Tally()
    check(Flights(tmp_path / "flights", date(2013, 1, 25), date(2013, 2, 1)), undone, "nothing ran")
    assert undone.lost >= 3 and not undone.good
