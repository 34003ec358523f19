"""How a row of features becomes the numbers that the model reads: one place for training, evaluation and scoring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CATEGORICAL = ("carrier", "origin", "dest", "manufacturer", "engine")
NUMERIC = (
    "distance",
    "hour",
    "sched_dep_time",
    "weekday",
    "planned_minutes",
    "engines",
    "seats",
    "plane_age",
    "temp",
    "dewp",
    "humid",
    "wind_dir",
    "wind_speed",
    "wind_gust",
    "precip",
    "pressure",
    "visib",
    "recent_left",
    "recent_waiting",
    "recent_delay_mean",
    "recent_delay_max",
    "recent_late_share",
)
COLUMNS = CATEGORICAL + NUMERIC
Categories = dict[str, list[str]]


def categories_of(frame: pl.DataFrame) -> Categories:
    """The values of each categorical column, sorted: a value's place is its number."""
    return {name: frame[name].drop_nulls().unique().sort().to_list() for name in CATEGORICAL}


def encode(frame: pl.DataFrame, categories: Categories) -> NDArray[np.float64]:
    """One row a flight, one column each of `COLUMNS`; not a number for what is missing or was never seen."""
    numbers = [
        pl.col(name).replace_strict(
            categories[name], list(range(len(categories[name]))), default=None, return_dtype=pl.Float64
        )
        for name in CATEGORICAL
    ]
    return frame.select(*numbers, *(pl.col(name).cast(pl.Float64) for name in NUMERIC)).to_numpy()


def risk(bundle: dict[str, Any], frame: pl.DataFrame) -> pl.Series:
    """The probability that each flight arrives late, from a bundle that train.py has written."""
    return pl.Series("risk", bundle["model"].predict_proba(encode(frame, bundle["categories"]))[:, 1])
