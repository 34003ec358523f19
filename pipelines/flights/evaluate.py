"""How good the model is on days that it has not seen.

Reads $MLORCH_INPUT_CANDIDATE and $MLORCH_INPUT_HOLDOUT; writes $MLORCH_OUTPUT_HOLDOUT_SCORES and $MLORCH_METRICS.
"""

from __future__ import annotations

import json
import os

import joblib
import polars as pl
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from model_input import risk


def main() -> None:
    """Read, score, write."""
    holdout = pl.read_parquet(os.environ["MLORCH_INPUT_HOLDOUT"])
    bundle = joblib.load(os.environ["MLORCH_INPUT_CANDIDATE"])
    scores = holdout.select("flight_id", "date", "late").with_columns(risk(bundle, holdout))
    scores.write_parquet(os.environ["MLORCH_OUTPUT_HOLDOUT_SCORES"])
    metrics = measure(scores)
    with open(os.environ["MLORCH_METRICS"], "w", encoding="utf-8") as file:
        json.dump(metrics, file, indent=2, sort_keys=True)
        file.write("\n")
    for name, value in sorted(metrics.items()):
        print(f"{name} = {value}")


def measure(scores: pl.DataFrame) -> dict[str, float]:
    """The area under the ROC curve and its kin; `base_rate` is the share of late flights, the Brier score to beat."""
    late, chance = scores["late"].to_numpy(), scores["risk"].to_numpy()
    base_rate = float(late.mean())
    return {
        "auc": round(float(roc_auc_score(late, chance)), 6),
        "average_precision": round(float(average_precision_score(late, chance)), 6),
        "base_rate": round(base_rate, 6),
        "brier": round(float(brier_score_loss(late, chance)), 6),
        "brier_of_base_rate": round(base_rate * (1 - base_rate), 6),
        "log_loss": round(float(log_loss(late, chance)), 6),
        "rows": scores.height,
    }


if __name__ == "__main__":
    main()
