"""One day's risks in a page of JSON: how many, where, and the flights to look at first.

Reads $MLORCH_INPUT_SCORES and $MLORCH_PARAM_ALARM, takes the day from $MLORCH_PARTITION; writes
$MLORCH_OUTPUT_SUMMARY.
"""

from __future__ import annotations

import json
import os

import polars as pl

from step import tell


def main() -> None:
    """Read, count, write."""
    scores = pl.read_parquet(os.environ["MLORCH_INPUT_SCORES"])
    summary = summarize(scores, day=os.environ["MLORCH_PARTITION"], alarm=float(os.environ["MLORCH_PARAM_ALARM"]))
    with open(os.environ["MLORCH_OUTPUT_SUMMARY"], "w", encoding="utf-8") as file:
        json.dump(summary, file, indent=2)
        file.write("\n")
    tell(alarms=scores.filter(pl.col("risk") >= float(os.environ["MLORCH_PARAM_ALARM"])).height)


def summarize(scores: pl.DataFrame, *, day: str, alarm: float) -> dict[str, object]:
    """Counts and mean risks, all and by airport, and the ten flights most at risk; `alarm` is a probability."""
    figures = (
        pl.len().alias("flights"),
        pl.col("risk").mean().round(4).alias("mean_risk"),
        (pl.col("risk") >= alarm).sum().alias("alarms"),
    )
    riskiest = scores.sort("risk", "flight_id", descending=[True, False]).head(10)
    return {
        "day": day,
        **scores.select(figures).row(0, named=True),
        "airports": scores.group_by("origin").agg(figures).sort("origin").to_dicts(),
        "look_at": [
            {
                "flight": f"{row['carrier']}{row['flight']}",
                "origin": row["origin"],
                "dest": row["dest"],
                "scheduled": row["scheduled"].strftime("%Y-%m-%dT%H:%MZ"),
                "risk": round(row["risk"], 4),
            }
            for row in riskiest.iter_rows(named=True)
        ],
    }


if __name__ == "__main__":
    main()
