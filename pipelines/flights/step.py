"""What the flights scripts share about being a step: telling small results, and giving up on wrong data."""

from __future__ import annotations

import json
import os
import sys
from typing import NoReturn


def tell(**values: str | int | float | bool) -> None:  # noqa: PYI041  a reader should see all four types of values
    """Append small results to the file that $MLORCH_VALUES names, and print them; by hand, without it, only print."""
    for name, value in values.items():
        print(f"{name} = {value}")
    path = os.environ.get("MLORCH_VALUES")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")


def wrong_data(message: str) -> NoReturn:
    """End with status 65, which is never retried: the same data would be wrong again."""
    print(message, file=sys.stderr)
    raise SystemExit(os.EX_DATAERR)
