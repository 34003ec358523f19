"""The JSON Schemas: found beside the code in a wheel, in the top-level `schemas/` of a clone."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import lru_cache
from pkgutil import get_data
from typing import Any, cast

Schema = dict[str, Any]
KINDS = ("pipeline", "project")


@lru_cache(maxsize=4)
def text(kind: str) -> str:
    """The schema of `kind` (`pipeline` or `project`) as JSON text. Raises FileNotFoundError for a damaged installation."""
    name = f"{kind}.schema.json"
    # An editable install has no mlorch/schemas: the build puts it into the wheel only.
    for folder in ("schemas", "../schemas"):
        # Not by `importlib.resources`: that takes 5 ms to import, and each run of a new spec is here.
        with suppress(FileNotFoundError):
            return (get_data("mlorch", f"{folder}/{name}") or b"").decode("utf-8")
    raise FileNotFoundError(f"{name} is missing from this installation of mlorch: install it again")


@lru_cache(maxsize=4)
def load(kind: str) -> Schema:
    """The schema of `kind`, parsed."""
    return cast("Schema", json.loads(text(kind)))


def resolve(root: Schema, schema: Schema) -> Schema:
    """The schema with `$ref` and `allOf` followed: one mapping with all keywords. Own keywords win."""
    merged: Schema = {}
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        merged.update(resolve(root, root["definitions"][name]))
    for part in schema.get("allOf", ()):
        merged.update(resolve(root, part))
    merged.update({key: value for key, value in schema.items() if key not in ("$ref", "allOf")})
    return merged
