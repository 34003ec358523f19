"""The JSON Schemas: found beside the code in a wheel, in the top-level `schemas/` of a clone."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import Any, cast

Schema = dict[str, Any]
KINDS = ("pipeline", "project")


@lru_cache(maxsize=4)
def text(kind: str) -> str:
    """The schema of `kind` (`pipeline` or `project`) as JSON text. Raises FileNotFoundError for a damaged installation."""
    package = resources.files("mlorch")
    name = f"{kind}.schema.json"
    # An editable install has no mlorch/schemas: the build puts it into the wheel only.
    for folder in (package / "schemas", package / ".." / "schemas"):
        file = folder / name
        if file.is_file():
            return file.read_text(encoding="utf-8")
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
