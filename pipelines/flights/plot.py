"""A picture of the held-out days: how well risks are sorted, and whether they mean what they say.

Reads $MLORCH_INPUT_HOLDOUT_SCORES, writes $MLORCH_OUTPUT_PLOT (PNG).
"""

from __future__ import annotations

import os

import matplotlib as mpl
import polars as pl

mpl.use("Agg")  # no screen: chosen before pyplot is imported

import matplotlib.pyplot as plt
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score, roc_curve


def main() -> None:
    """Read, draw, write."""
    scores = pl.read_parquet(os.environ["MLORCH_INPUT_HOLDOUT_SCORES"])
    late, chance = scores["late"].to_numpy(), scores["risk"].to_numpy()
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
    false_alarms, caught, _ = roc_curve(late, chance)
    left.plot(false_alarms, caught, label=f"area {roc_auc_score(late, chance):.3f}")
    left.set(
        title="Late flights found", xlabel="share of punctual flights flagged", ylabel="share of late flights flagged"
    )
    share, meant = calibration_curve(late, chance, n_bins=10, strategy="quantile")
    right.plot(meant, share, marker="o", label="tenths of the flights")
    right.set(title="Said and seen", xlabel="risk said", ylabel="share that was late")
    for axes in (left, right):
        axes.plot([0, 1], [0, 1], color="grey", linestyle=":", linewidth=1)
        axes.legend(loc="lower right")
    days = scores["date"].unique().sort().to_list()
    figure.suptitle(f"{scores.height} flights, {days[0]} to {days[-1]}, not seen in training")
    figure.savefig(os.environ["MLORCH_OUTPUT_PLOT"], format="png", dpi=120, metadata={"Software": None})


if __name__ == "__main__":
    main()
