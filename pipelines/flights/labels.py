"""What became of each departure: known only after the day, kept apart from what was known before.

Reads $MLORCH_INPUT_DEPARTURES, writes $MLORCH_OUTPUT_LABELS.
"""

from __future__ import annotations

import os

import polars as pl

from step import tell


def main() -> None:
    """Read, select, write."""
    labels = outcomes(pl.read_parquet(os.environ["MLORCH_INPUT_DEPARTURES"]))
    labels.write_parquet(os.environ["MLORCH_OUTPUT_LABELS"])
    tell(rows=labels.height, arrived=labels["arr_delay"].count())


def outcomes(departures: pl.DataFrame) -> pl.DataFrame:
    """Delays in minutes, null for what never left or never arrived where it should."""
    left = pl.col("dep_time").is_not_null()
    return departures.select(
        "flight_id",
        "dep_delay",
        "arr_delay",
        cancelled=~left,
        diverted=left & pl.col("arr_delay").is_null(),
    )


if __name__ == "__main__":
    main()
