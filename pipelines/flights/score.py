"""The risk of each departure of one day to arrive late.

Reads $MLORCH_INPUT_FEATURES and $MLORCH_INPUT_MODEL; writes $MLORCH_OUTPUT_SCORES.
"""

from __future__ import annotations

import os

import joblib
import polars as pl

from model_input import risk
from step import tell

SHOWN = ("flight_id", "scheduled", "carrier", "flight", "origin", "dest")


def main() -> None:
    """Read, score, write."""
    features = pl.read_parquet(os.environ["MLORCH_INPUT_FEATURES"])
    bundle = joblib.load(os.environ["MLORCH_INPUT_MODEL"])
    scores = features.select(SHOWN).with_columns(risk(bundle, features))
    scores.write_parquet(os.environ["MLORCH_OUTPUT_SCORES"])
    tell(rows=scores.height, mean_risk=scores.select(pl.col("risk").mean()).item(), trained_to=bundle["trained_to"])


if __name__ == "__main__":
    main()
