"""The flights pipelines over a span of 2013: features and predictions by day, a model for each month."""

from __future__ import annotations

import json
import os
import shutil
import sys
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import yaml

from mlorch.spec.source import read
from tests.faults.place import ROOT, Place

if TYPE_CHECKING:
    from pathlib import Path

ZONE = "America/New_York"
NOW = "2014-01-02T12:00"
"""All of 2013 is over."""
BACKFILL = ("backfill", "delay_predictions", "--only", "missing,failed,stale", "--with-upstream", "--yes")
MIN_AUC = "0.55"
"""A month teaches less than it takes to be released in earnest; what is tried here is not the model."""


class Flights(Place):
    """A project with the pipelines of the demo, its model by month instead of for three weeks."""

    def __init__(self, folder: Path, first: date, last: date) -> None:
        super().__init__(folder, MLORCH_NOW=NOW)
        self.first, self.last = first, last
        shutil.copytree(ROOT / "pipelines" / "flights", self.folder / "pipelines" / "flights")
        project = _spec("mlorch.yaml")
        project["env"]["PATH"] = f"{os.path.dirname(sys.executable)}:/usr/local/bin:/usr/bin:/bin"
        project["params"] = {"min_auc": float(MIN_AUC)}
        self._write("mlorch.yaml", project)
        for name, change in (
            ("flights_features", self._features),
            ("delay_model", self._model),
            ("delay_predictions", self._predictions),
        ):
            spec = _spec(f"pipelines/{name}.yaml")
            change(spec)
            self._write(f"pipelines/{name}.yaml", spec)

    @property
    def predicted_from(self) -> date:
        """The first day that has a model of a month before."""
        return (self.first.replace(day=1) + timedelta(days=31)).replace(day=1)

    def steps(self) -> dict[str, int]:
        """How many steps each pipeline is to do, over all partitions."""
        days = (self.last - self.first).days + 1
        predicted = (self.last - self.predicted_from).days + 1
        over = self.last + timedelta(days=1)  # the month of the last day has a model if it is whole
        months = (over.year - self.first.year) * 12 + over.month - self.first.month
        return {"flights_features": 3 * days, "delay_model": 5 * months, "delay_predictions": 2 * predicted}

    def published(self) -> dict[str, bytes]:
        """All that stands below `data` but for what was delivered; hidden files too."""
        data = self.folder / "data"
        return {
            str(path.relative_to(data)): path.read_bytes()
            for path in sorted(data.rglob("*"))
            if path.is_file() and path.relative_to(data).parts[0] != "raw"
        }

    def published_count(self) -> int:
        """How many files there are below `data` but for what was delivered: about one for each step that is done."""
        data = self.folder / "data"
        return sum(len(files) for where, _, files in os.walk(data) if not where.startswith(str(data / "raw")))

    def _features(self, spec: dict[str, Any]) -> None:
        spec["partitions"]["day"] |= {"start": str(self.first), "end": str(self.last)}

    def _model(self, spec: dict[str, Any]) -> None:
        """Trained when a month is over, on its days."""
        last = self.predicted_from - timedelta(days=1)
        spec["partitions"] = {"month": {"every": "month", "start": f"{last:%Y-%m}", "timezone": ZONE}}
        for name in ("train_from", "train_to"):
            del spec["params"][name]
        days = {"from": "${{ date(partition.start) }}", "to": "${{ date(partition.end - 1*h) }}"}
        for item in spec["steps"]["assemble"]["inputs"].values():
            item["partitions"] = days
        for step in spec["steps"].values():
            for output, path in step.get("outputs", {}).items():
                step["outputs"][output] = _by_month(path)
            if "metrics" in step:
                step["metrics"] = _by_month(step["metrics"])

    def _predictions(self, spec: dict[str, Any]) -> None:
        """Each day by the model of the last month that is over."""
        spec["partitions"]["day"] |= {"start": str(self.predicted_from), "end": str(self.last)}
        score = spec["steps"]["score"]
        score["inputs"]["model"]["partitions"] = "last(1)"
        score["run"] = f"MLORCH_INPUT_MODEL=${{{{ inputs.model[0] }}}} {score['run']}"  # a list of one

    def _write(self, path: str, spec: dict[str, Any]) -> None:
        (self.folder / path).write_text(yaml.safe_dump(spec, sort_keys=False, width=200), "utf-8")


def _by_month(path: str | dict[str, str]) -> Any:
    if isinstance(path, dict):
        return path | {"path": _by_month(path["path"])}
    return path.replace("data/model/", "data/model/${{ partition.month }}/")


def _spec(path: str) -> dict[str, Any]:
    """A file of the demo as what it says, with the types that mlorch gives it."""
    found = read((ROOT / path).read_bytes(), path)
    assert isinstance(found.data, dict), found.diagnostics
    plain: dict[str, Any] = json.loads(json.dumps(found.data))
    return plain
