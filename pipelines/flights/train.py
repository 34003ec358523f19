"""Fits the model that says how likely a flight arrives late.

Reads $MLORCH_INPUT_TRAINING, $MLORCH_PARAM_LEARNING_RATE, $MLORCH_PARAM_TREES and $MLORCH_PARAM_SEED; writes
$MLORCH_OUTPUT_CANDIDATE: the model with all that is needed to use it.
"""

from __future__ import annotations

import os

import joblib
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier

from model_input import CATEGORICAL, COLUMNS, categories_of, encode


def main() -> None:
    """Read, fit, write."""
    training = pl.read_parquet(os.environ["MLORCH_INPUT_TRAINING"])
    categories = categories_of(training)
    print(f"fitting {training.height} flights of {training['date'].n_unique()} days")
    model = HistGradientBoostingClassifier(
        learning_rate=float(os.environ["MLORCH_PARAM_LEARNING_RATE"]),
        max_iter=int(os.environ["MLORCH_PARAM_TREES"]),
        random_state=int(os.environ["MLORCH_PARAM_SEED"]),
        categorical_features=[COLUMNS.index(name) for name in CATEGORICAL],
        max_leaf_nodes=15,
        min_samples_leaf=40,
        l2_regularization=1.0,
        early_stopping=False,
    )
    model.fit(encode(training, categories), training["late"].to_numpy())
    bundle = {
        "model": model,
        "categories": categories,
        "trained_from": str(training["date"][0]),
        "trained_to": str(training["date"][-1]),
    }
    joblib.dump(bundle, os.environ["MLORCH_OUTPUT_CANDIDATE"])


if __name__ == "__main__":
    main()
