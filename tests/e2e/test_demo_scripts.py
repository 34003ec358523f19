"""The flights scripts: nothing that happened later gets into a feature, and the same input gives the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from clean import COLUMNS, clean
from features import PLANES_COLUMNS, WEATHER_COLUMNS, build

if TYPE_CHECKING:
    from collections.abc import Sequence

SCRIPTS = Path(__file__).parents[2] / "pipelines" / "flights"
OUTCOMES = {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"}


class Flight(TypedDict, total=False):
    """What a test says about a flight; `raw_flights` fills in the rest."""

    at: int
    delay: int | None
    origin: str
    tailnum: str


def raw_flights(*flights: Flight, day: str = "2013-01-10") -> pl.DataFrame:
    when = date.fromisoformat(day)
    rows = []
    for number, flight in enumerate(flights, start=1):
        at, delay = flight["at"], flight.get("delay", 0)
        left = None if delay is None else delay
        local_hour = pl.datetime(when.year, when.month, when.day, at // 100) + timedelta(hours=5)
        rows.append(
            {
                "year": when.year, "month": when.month, "day": when.day,
                "dep_time": None if left is None else at, "sched_dep_time": at, "dep_delay": left,
                "arr_time": None if left is None else at, "sched_arr_time": (at + 200) % 2400, "arr_delay": left,
                "carrier": "UA", "flight": number, "tailnum": flight.get("tailnum", "N1"),
                "origin": flight.get("origin", "EWR"), "dest": "BOS", "air_time": 60, "distance": 200,
                "hour": at // 100, "minute": at % 100,
                "time_hour": pl.select(local_hour.dt.strftime("%Y-%m-%dT%H:%M:%SZ")).item(),
            }
        )  # fmt: skip
    return pl.DataFrame(rows, schema=COLUMNS)


def raw_weather(*reports: tuple[int, float], origin: str = "EWR", day: str = "2013-01-10") -> pl.DataFrame:
    """Reports as (local hour, temperature)."""
    when = date.fromisoformat(day)
    rows = [
        {"origin": origin, "year": when.year, "month": when.month, "day": when.day, "hour": hour, "temp": temp,
         "time_hour": f"{day}T{hour + 5:02}:00:00Z"}
        for hour, temp in reports
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=WEATHER_COLUMNS)


def raw_planes() -> pl.DataFrame:
    return pl.DataFrame([{"tailnum": "N1", "year": 2003, "seats": 150}], schema=PLANES_COLUMNS)


def features(flights: pl.DataFrame, weather: pl.DataFrame | None = None, delay_hours: int = 3) -> pl.DataFrame:
    return build(clean(flights), raw_weather() if weather is None else weather, raw_planes(), delay_hours=delay_hours)


def row(frame: pl.DataFrame, at: int) -> dict[str, object]:
    return frame.filter(pl.col("sched_dep_time") == at).row(0, named=True)


def test_no_outcome_is_a_feature() -> None:
    assert not OUTCOMES & set(features(raw_flights({"at": 900})).columns)


def test_the_own_and_later_delays_change_nothing() -> None:
    before = features(raw_flights({"at": 800, "delay": 20}, {"at": 905, "delay": 0}, {"at": 950}, {"at": 1010}))
    after = features(
        raw_flights(
            {"at": 800, "delay": 20}, {"at": 905, "delay": -8}, {"at": 950, "delay": 300}, {"at": 1010, "delay": None}
        )
    )
    until_ten = pl.col("hour") < 10
    assert_frame_equal(before.filter(until_ten), after.filter(until_ten))
    assert row(before, 1010) != row(after, 1010), "at ten the delays of nine o'clock are known"


def test_a_delay_counts_only_once_the_flight_has_left() -> None:
    seen = row(features(raw_flights({"at": 830, "delay": 29}, {"at": 831, "delay": 29}, {"at": 900})), 900)
    assert (seen["recent_left"], seen["recent_waiting"]) == (1, 1)
    assert (seen["recent_delay_mean"], seen["recent_delay_max"], seen["recent_late_share"]) == (29.0, 29, 1.0)


def test_how_long_others_will_wait_is_not_known() -> None:
    short = features(raw_flights({"at": 830, "delay": 31}, {"at": 900}))
    long = features(raw_flights({"at": 830, "delay": 600}, {"at": 900}))
    cancelled = features(raw_flights({"at": 830, "delay": None}, {"at": 900}))
    assert row(short, 900) == row(long, 900) == row(cancelled, 900)


def test_delays_are_those_of_the_own_airport_and_of_the_hours_asked_for() -> None:
    flights = raw_flights(
        {"at": 600, "delay": 50}, {"at": 800, "delay": 10}, {"at": 800, "delay": 90, "origin": "JFK"}, {"at": 1000}
    )
    assert row(features(flights, delay_hours=3), 1000)["recent_delay_mean"] == 10.0
    assert row(features(flights, delay_hours=4), 1000)["recent_delay_mean"] == 30.0


def test_a_weather_report_counts_once_its_hour_is_over() -> None:
    flights = raw_flights({"at": 959}, {"at": 1000})
    seen = features(flights, raw_weather((8, 30.0), (9, 40.0), (10, 50.0)))
    assert (row(seen, 959)["temp"], row(seen, 1000)["temp"]) == (30.0, 40.0)


def test_an_old_weather_report_tells_nothing() -> None:
    flights = raw_flights({"at": 1200}, {"at": 1300})
    seen = features(flights, raw_weather((8, 30.0)))
    assert (row(seen, 1200)["temp"], row(seen, 1200)["weather_age_hours"]) == (30.0, 3)
    assert row(seen, 1300)["temp"] is None


def test_planes_and_times_over_midnight() -> None:
    seen = features(raw_flights({"at": 2330}, {"at": 700, "tailnum": "N2"}))
    assert (row(seen, 2330)["plane_age"], row(seen, 2330)["planned_minutes"]) == (10, 120)
    assert row(seen, 700)["seats"] is None


def run_script(
    name: str, folder: Path, *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    single = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "MLORCH_VALUES": str(folder / "values.jsonl")}
    return subprocess.run(
        [sys.executable, str(SCRIPTS / name), *arguments],
        cwd=folder, env={**os.environ, **single, **(environment or {})}, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip


def must_run(name: str, folder: Path, *arguments: str, **environment: str) -> None:
    ended = run_script(
        name, folder, *arguments, environment={f"MLORCH_{key}": value for key, value in environment.items()}
    )
    assert ended.returncode == 0, ended.stderr


def test_delivery_is_whole_and_leaves_alone_what_is_there(tmp_path: Path) -> None:
    must_run("deliver.py", tmp_path, "--from", "2013-03-09", "--to", "2013-03-10")
    raw = tmp_path / "data" / "raw"
    assert sorted(path.name for path in (raw / "flights").iterdir()) == ["2013-03-09.csv", "2013-03-10.csv"]
    changed = raw / "flights" / "2013-03-10.csv"
    assert len(changed.read_text().splitlines()) > 600
    changed.write_text("by hand\n")
    must_run("deliver.py", tmp_path, "--from", "2013-03-09", "--to", "2013-03-11")
    assert changed.read_text() == "by hand\n"
    assert (raw / "weather" / "2013-03-11.csv").exists()
    must_run("deliver.py", tmp_path, "--from", "2013-03-10", "--to", "2013-03-10", "--again")
    assert changed.read_text() != "by hand\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("no,flights\n1,2\n", "not a day of flights"),
        ("", "not a day of flights"),
    ],
)
def test_a_raw_file_that_is_wrong_ends_with_65_and_its_name(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "raw.csv").write_text(text)
    places = {"MLORCH_INPUT_FLIGHTS": "raw.csv", "MLORCH_OUTPUT_DEPARTURES": "out.parquet"}
    ended = run_script("clean.py", tmp_path, environment=places)
    assert ended.returncode == os.EX_DATAERR
    assert "raw.csv" in ended.stderr
    assert says in ended.stderr
    assert not (tmp_path / "out.parquet").exists()


def whole_way(folder: Path, days: Sequence[str]) -> dict[str, str]:
    """From raw files to predictions for the last day; the digest of every file written."""
    out = folder / "out"
    out.mkdir()
    for day in days:
        raw = {kind: f"data/raw/{kind}/{day}.csv" for kind in ("flights", "weather")}
        departures = f"out/departures-{day}.parquet"
        must_run("clean.py", folder, INPUT_FLIGHTS=raw["flights"], OUTPUT_DEPARTURES=departures)
        must_run(
            "features.py", folder,
            INPUT_DEPARTURES=departures, INPUT_WEATHER=raw["weather"], INPUT_PLANES="data/raw/planes.csv",
            PARAM_DELAY_HOURS="3", OUTPUT_FEATURES=f"out/features-{day}.parquet",
        )  # fmt: skip
        must_run("labels.py", folder, INPUT_DEPARTURES=departures, OUTPUT_LABELS=f"out/labels-{day}.parquet")
    past = days[:-1]
    must_run(
        "assemble.py", folder,
        "--features", *(f"out/features-{day}.parquet" for day in past),
        "--labels", *(f"out/labels-{day}.parquet" for day in past),
        PARAM_LATE_MINUTES="15", PARAM_HOLDOUT_DAYS="1",
        OUTPUT_TRAINING="out/training.parquet", OUTPUT_HOLDOUT="out/holdout.parquet",
    )  # fmt: skip
    must_run(
        "train.py", folder,
        INPUT_TRAINING="out/training.parquet", OUTPUT_CANDIDATE="out/model.joblib",
        PARAM_TREES="20", PARAM_LEARNING_RATE="0.1", PARAM_SEED="7",
    )  # fmt: skip
    must_run(
        "evaluate.py", folder,
        INPUT_CANDIDATE="out/model.joblib", INPUT_HOLDOUT="out/holdout.parquet",
        OUTPUT_HOLDOUT_SCORES="out/holdout_scores.parquet", METRICS="out/metrics.json",
    )  # fmt: skip
    must_run("plot.py", folder, INPUT_HOLDOUT_SCORES="out/holdout_scores.parquet", OUTPUT_PLOT="out/quality.png")
    must_run(
        "score.py", folder,
        INPUT_FEATURES=f"out/features-{days[-1]}.parquet", INPUT_MODEL="out/model.joblib", OUTPUT_SCORES="out/scores.parquet",
    )  # fmt: skip
    must_run(
        "summarize.py", folder,
        INPUT_SCORES="out/scores.parquet", OUTPUT_SUMMARY="out/summary.json", PARTITION=days[-1], PARAM_ALARM="0.5",
    )  # fmt: skip
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.iterdir())}


def test_the_whole_way_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    days = ["2013-03-07", "2013-03-08", "2013-03-09", "2013-03-10"]  # the last one has 23 hours
    must_run("deliver.py", tmp_path, "--from", days[0], "--to", days[-1])
    first = whole_way(tmp_path, days)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    values = [json.loads(line) for line in (tmp_path / "values.jsonl").read_text().splitlines()]
    assert 0.5 < metrics["auc"] < 1.0
    assert summary["day"] == days[-1]
    assert summary["flights"] == sum(airport["flights"] for airport in summary["airports"]) > 600
    assert len(summary["look_at"]) == 10
    assert {"trained_to": "2013-03-08"}.items() <= values[-2].items()
    (tmp_path / "out").rename(tmp_path / "first")
    assert whole_way(tmp_path, days) == first
