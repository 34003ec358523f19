"""What was known about each departure of a day before its scheduled hour began.

Reads $MLORCH_INPUT_DEPARTURES (one day, cleaned), $MLORCH_INPUT_WEATHER and $MLORCH_INPUT_PLANES, and
$MLORCH_PARAM_DELAY_HOURS; writes $MLORCH_OUTPUT_FEATURES.

The moment of knowing is the full hour at or before the scheduled departure: for 17:40 it is 17:00. So
- a weather report counts from the end of its hour on (most reports of hour 16 are made at 16:51);
- a delay counts only of a flight scheduled in an earlier hour, and only if it had left by then. Whether others were
  still waiting is known too; how long they would wait is not.
No column that is filled in later (departure, arrival, air time) gets out of here.
"""

from __future__ import annotations

import os

import polars as pl

from step import tell, wrong_data

SCHEDULE = (
    "flight_id",
    "date",
    "time_hour",
    "scheduled",
    "carrier",
    "flight",
    "origin",
    "dest",
    "distance",
    "hour",
    "sched_dep_time",
    "sched_arr_time",
)
WEATHER_COLUMNS = {
    "origin": pl.String,
    "year": pl.Int32,
    "month": pl.Int32,
    "day": pl.Int32,
    "hour": pl.Int32,
    "temp": pl.Float64,
    "dewp": pl.Float64,
    "humid": pl.Float64,
    "wind_dir": pl.Float64,
    "wind_speed": pl.Float64,
    "wind_gust": pl.Float64,
    "precip": pl.Float64,
    "pressure": pl.Float64,
    "visib": pl.Float64,
    "time_hour": pl.String,
}
WEATHER = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")
PLANES_COLUMNS = {
    "tailnum": pl.String,
    "year": pl.Int32,
    "type": pl.String,
    "manufacturer": pl.String,
    "model": pl.String,
    "engines": pl.Int32,
    "seats": pl.Int32,
    "speed": pl.Int32,
    "engine": pl.String,
}
OLDEST_REPORT = "3h"
LATE_MINUTES = 15


def main() -> None:
    """Read, join, write; exit 65 for raw files that are not what they should be."""
    departures = pl.read_parquet(os.environ["MLORCH_INPUT_DEPARTURES"])
    weather = read_csv(os.environ["MLORCH_INPUT_WEATHER"], WEATHER_COLUMNS)
    planes = read_csv(os.environ["MLORCH_INPUT_PLANES"], PLANES_COLUMNS)
    features = build(departures, weather, planes, delay_hours=int(os.environ["MLORCH_PARAM_DELAY_HOURS"]))
    features.write_parquet(os.environ["MLORCH_OUTPUT_FEATURES"])
    rows = max(features.height, 1)
    tell(
        rows=features.height,
        weather_missing=features["temp"].null_count() / rows,
        planes_missing=features["seats"].null_count() / rows,
    )


def read_csv(path: str, columns: dict[str, type[pl.DataType]]) -> pl.DataFrame:
    """A raw file with exactly these columns."""
    try:
        return pl.read_csv(path, schema=columns, null_values="NA")
    except pl.exceptions.PolarsError as error:
        wrong_data(f"{path}: not as agreed: {error}")


def build(departures: pl.DataFrame, weather: pl.DataFrame, planes: pl.DataFrame, *, delay_hours: int) -> pl.DataFrame:
    """One row a departure, in the order of `departures`; delays of the `delay_hours` full hours before."""
    reports = reports_by_time_known(weather)
    delays = delays_known(departures, delay_hours)
    return (
        departures.select(*SCHEDULE, "tailnum")
        .with_columns(
            weekday=pl.col("date").dt.weekday(),
            month=pl.col("date").dt.month(),
            planned_minutes=planned_minutes(),
        )
        .join(known_of_planes(planes), on="tailnum", how="left", maintain_order="left")
        .with_columns(plane_age=pl.col("date").dt.year() - pl.col("plane_year"))
        .drop("tailnum", "plane_year")
        .join_asof(
            reports,
            left_on="time_hour",
            right_on="known_at",
            by="origin",
            tolerance=OLDEST_REPORT,
            strategy="backward",
            check_sortedness=False,  # both are sorted by time; sortedness per group cannot be checked
        )
        .with_columns(weather_age_hours=(pl.col("time_hour") - pl.col("known_at")).dt.total_hours())
        .drop("known_at")
        .join(delays, on=["origin", "time_hour"], how="left", maintain_order="left")
        .with_columns(pl.col("recent_left", "recent_waiting").fill_null(0))
    )


def planned_minutes() -> pl.Expr:
    """Scheduled time of arrival less that of departure, both as local clocks show them (HHMM), over midnight too."""
    minutes = [pl.col(name) // 100 * 60 + pl.col(name) % 100 for name in ("sched_arr_time", "sched_dep_time")]
    return (minutes[0] - minutes[1]) % (24 * 60)


def known_of_planes(planes: pl.DataFrame) -> pl.DataFrame:
    """What a tail number says about the plane."""
    return planes.select("tailnum", "manufacturer", "engine", "engines", "seats", plane_year="year")


def reports_by_time_known(weather: pl.DataFrame) -> pl.DataFrame:
    """Weather reports by the hour from which on they are known; the first of two for one hour (a clock set back)."""
    hour = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="ms", time_zone="UTC")
    known = weather.select("origin", *WEATHER, known_at=hour + pl.duration(hours=1))
    return known.unique(["origin", "known_at"], keep="first", maintain_order=True).sort("known_at", "origin")


def delays_known(departures: pl.DataFrame, delay_hours: int) -> pl.DataFrame:
    """For each airport and hour: how the flights scheduled in the hours before were doing when this hour began."""
    before = departures.select(
        "origin",
        "dep_delay",
        of_hour="time_hour",
        left_at=pl.col("scheduled") + pl.duration(minutes="dep_delay"),
    )
    now = pl.col("time_hour")
    left = (pl.col("left_at") < now).fill_null(value=False)  # a cancelled flight is waiting, as far as anybody knows
    delay = pl.col("dep_delay").filter(left)
    return (
        departures.select("origin", "time_hour")
        .unique()
        .join(before, on="origin")
        .filter(pl.col("of_hour") < now, pl.col("of_hour") >= now - pl.duration(hours=delay_hours))
        .group_by("origin", "time_hour")
        .agg(
            recent_left=left.sum(),
            recent_waiting=(~left).sum(),
            recent_delay_mean=delay.mean(),
            recent_delay_max=delay.max(),
            recent_late_share=(delay > LATE_MINUTES).mean(),
        )
    )


if __name__ == "__main__":
    main()
