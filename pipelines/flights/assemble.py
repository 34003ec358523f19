"""Features and outcomes of many days in two tables, split by time: the last days are held out.

Arguments: `--features` and `--labels`, one file a day each. Reads $MLORCH_PARAM_LATE_MINUTES and
$MLORCH_PARAM_HOLDOUT_DAYS; writes $MLORCH_OUTPUT_TRAINING and $MLORCH_OUTPUT_HOLDOUT.
"""

from __future__ import annotations

import argparse
import os

import polars as pl

from step import tell, wrong_data


def main() -> None:
    """Read, join, split, write; exit 65 for too few days."""
    parser = argparse.ArgumentParser(description="Assemble a training table and a hold-out table.")
    parser.add_argument("--features", nargs="+", required=True, metavar="FILE")
    parser.add_argument("--labels", nargs="+", required=True, metavar="FILE")
    arguments = parser.parse_args()
    features = pl.concat([pl.read_parquet(path) for path in arguments.features])
    labels = pl.concat([pl.read_parquet(path) for path in arguments.labels])
    table = examples(features, labels, late_minutes=int(os.environ["MLORCH_PARAM_LATE_MINUTES"]))
    training, holdout = split_by_time(table, holdout_days=int(os.environ["MLORCH_PARAM_HOLDOUT_DAYS"]))
    training.write_parquet(os.environ["MLORCH_OUTPUT_TRAINING"])
    holdout.write_parquet(os.environ["MLORCH_OUTPUT_HOLDOUT"])
    tell(
        flights=features.height,
        training_rows=training.height,
        holdout_rows=holdout.height,
        late_share=training.select(pl.col("late").mean()).item(),
        trained_to=str(training.select(pl.col("date").max()).item()),
    )


def examples(features: pl.DataFrame, labels: pl.DataFrame, *, late_minutes: int) -> pl.DataFrame:
    """Flights that arrived, each with `late`: more than `late_minutes` behind schedule; oldest first."""
    arrived = labels.filter(pl.col("arr_delay").is_not_null())
    late = arrived.select("flight_id", late=pl.col("arr_delay") > late_minutes)
    return features.join(late, on="flight_id", how="inner").sort("scheduled", "flight_id")


def split_by_time(table: pl.DataFrame, *, holdout_days: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The table without its last `holdout_days` days, and these days."""
    days = table["date"].unique().sort()
    if not 0 < holdout_days < len(days):
        wrong_data(f"{len(days)} days with arrivals cannot be split into training and {holdout_days} days held out")
    held_out = pl.col("date") >= days[-holdout_days]
    return table.filter(~held_out), table.filter(held_out)


if __name__ == "__main__":
    main()
