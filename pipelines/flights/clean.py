"""One raw day of flights, typed and checked: CSV in, Parquet out.

Reads $MLORCH_INPUT_FLIGHTS, writes $MLORCH_OUTPUT_DEPARTURES. Times get one meaning: UTC.
"""

from __future__ import annotations

import os

import polars as pl

from step import tell, wrong_data

COLUMNS = {
    "year": pl.Int32,
    "month": pl.Int32,
    "day": pl.Int32,
    "dep_time": pl.Int32,
    "sched_dep_time": pl.Int32,
    "dep_delay": pl.Int32,
    "arr_time": pl.Int32,
    "sched_arr_time": pl.Int32,
    "arr_delay": pl.Int32,
    "carrier": pl.String,
    "flight": pl.Int32,
    "tailnum": pl.String,
    "origin": pl.String,
    "dest": pl.String,
    "air_time": pl.Int32,
    "distance": pl.Int32,
    "hour": pl.Int32,
    "minute": pl.Int32,
    "time_hour": pl.String,
}
NEVER_EMPTY = ("sched_dep_time", "sched_arr_time", "carrier", "flight", "origin", "dest", "distance", "time_hour")


def main() -> None:
    """Read, check, write; exit 65 for a file that is not a day of flights."""
    path = os.environ["MLORCH_INPUT_FLIGHTS"]
    try:
        raw = pl.read_csv(path, schema=COLUMNS, null_values="NA")
        departures = clean(raw)
    except pl.exceptions.PolarsError as error:
        wrong_data(f"{path}: not a day of flights: {error}")
    for column in NEVER_EMPTY:
        if departures[column].null_count():
            wrong_data(f"{path}: {departures[column].null_count()} flights without {column}")
    if departures["flight_id"].is_duplicated().any():
        twice = departures.filter(pl.col("flight_id").is_duplicated())["flight_id"][0]
        wrong_data(f"{path}: flight {twice} is there twice")
    departures.write_parquet(os.environ["MLORCH_OUTPUT_DEPARTURES"])
    tell(flights=departures.height, cancelled=departures["dep_time"].null_count())


def clean(raw: pl.DataFrame) -> pl.DataFrame:
    """Add `flight_id`, the local `date`, and `scheduled` and `time_hour` (its full hour) in UTC; sorted by both."""
    time_hour = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="ms", time_zone="UTC")
    dated = raw.with_columns(
        date=pl.date("year", "month", "day"),
        time_hour=time_hour,
        scheduled=time_hour + pl.duration(minutes="minute"),
    )
    flight_id = pl.format("{}/{}{}/{}/{}", "date", "carrier", "flight", "origin", "sched_dep_time")
    return dated.with_columns(flight_id=flight_id).drop("year", "month", "day").sort("scheduled", "flight_id")


if __name__ == "__main__":
    main()
