# ruff: noqa: INP001 - a script, no package
"""Bring the tables of docs/spec.md up to date with the JSON Schemas: `python docs/make_spec_reference.py`.

Only what stands between `<!-- made: NAME -->` and `<!-- /made -->` is written; all else on the page is written by hand. A test
compares the file with what this script makes, so that the tables cannot fall behind.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mlorch.lang.terms import CONSTANTS, FUNCTIONS
from mlorch.spec import not_yet
from mlorch.spec.rules.strings import CHECK, ENV, INPUT, OUTPUT, RUN, WHEN
from mlorch.spec.schemas import load, resolve

PAGE = Path(__file__).parent / "spec.md"
SECTION = re.compile(r"(<!-- made: ([a-z ]+) -->\n).*?(<!-- /made -->)", re.DOTALL)
WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "mapping",
    "null": "null",
}
SHAPES = {
    "duration": "duration",
    "size": "size",
    "command": "text, or list of words",
    "name": "name",
    "variable": "name of a variable",
}
NOT_IN_RUN = frozenset({"model"})
"""What expressions may name only beside keys that do not work yet."""


def type_of(root: dict[str, Any], node: dict[str, Any]) -> str:
    """What a key takes, in words."""
    for part in node.get("allOf", ()):
        name = part.get("$ref", "").rsplit("/", 1)[-1]
        if name in SHAPES:
            return SHAPES[name]
    node = resolve(root, node)
    if "enum" in node:
        return " ".join(f"`{choice}`" for choice in node["enum"])
    if "const" in node:
        return f"`{node['const']}`"
    types = node.get("type", [])
    return " or ".join(WORDS[name] for name in ([types] if isinstance(types, str) else types))


def cell(text: str) -> str:
    """Text that does not end its cell."""
    return text.replace("|", "\\|").replace("\n", " ")


def table(root: dict[str, Any], properties: dict[str, Any], required: list[str], later: dict[str, str]) -> str:
    """The keys that work, one a row."""
    lines = ["| key | takes | unless said | meaning |", "|---|---|---|---|"]
    for name, node in properties.items():
        if name in later:
            continue
        full = resolve(root, node)
        default = (
            f"`{json.dumps(full['default'])}`" if "default" in full else "**required**" if name in required else ""
        )
        meaning = str(node.get("description") or full.get("description", ""))
        lines.append(f"| `{name}` | {cell(type_of(root, node))} | {cell(default)} | {cell(meaning)} |")
    return "\n".join(lines) + "\n"


def inner(root: dict[str, Any], step: str) -> str:
    """The keys below a key of a step."""
    node = resolve(root, root["definitions"]["step_keys"]["properties"][step])
    for _ in range(2):
        if node.get("properties"):
            break
        below = (
            node.get("items")
            if isinstance(node.get("items"), dict) and "properties" in resolve(root, node["items"])
            else None
        )
        node = resolve(root, below or node["additionalProperties"])
    return table(root, node["properties"], node.get("required", []), {})


def later(*tables: tuple[str, dict[str, str]]) -> str:
    """The keys that do not work yet, with what to do meanwhile."""
    lines = ["| where | key | meanwhile |", "|---|---|---|"]
    lines += [f"| {where} | `{key}` | {cell(advice)} |" for where, keys in tables for key, advice in keys.items()]
    return "\n".join(lines) + "\n"


def visible() -> str:
    """Which names can stand where."""
    places = {
        "`run`": RUN, "`checks`": CHECK, "`env` of a step": ENV, "`when`": WHEN, "paths of `inputs`": INPUT,
        "paths of `outputs`, `metrics`, `from`, `to`": OUTPUT,
    }  # fmt: skip
    names = sorted(frozenset().union(*places.values()) - NOT_IN_RUN)
    lines = ["| in | " + " | ".join(f"`{name}`" for name in names) + " |", "|---|" + ":-:|" * len(names)]
    lines += [
        f"| {place} | " + " | ".join("✓" if name in seen else "" for name in names) + " |"
        for place, seen in places.items()
    ]
    return "\n".join(lines) + "\n"


def sections() -> dict[str, str]:
    """The text of each made section, by its name."""
    root, project = load("pipeline"), load("project")
    step = root["definitions"]["step_keys"]["properties"]
    dimension = root["properties"]["partitions"]["additionalProperties"]
    made = {
        "keys of a pipeline": table(root, root["properties"], root["required"], not_yet.TOP),
        "keys of a step": table(root, step, ["run"], not_yet.STEP),
        "keys of a dimension": table(root, dimension["properties"], [], not_yet.DIMENSION),
        "keys of the project": table(project, project["properties"], project["required"], not_yet.PROJECT),
        "names": visible(),
        "functions": ", ".join(f"`{name}`" for name in FUNCTIONS) + "; constants: "
        + ", ".join(f"`{name}`" for name in CONSTANTS) + ".\n",
        "not yet": later(
            ("pipeline", not_yet.TOP), ("step, `defaults`", not_yet.STEP), ("dimension", not_yet.DIMENSION),
            ("mlorch.yaml", not_yet.PROJECT), ("one of `profiles`", not_yet.PROFILE),
        ),
    }  # fmt: skip
    for key in ("inputs", "outputs", "retry", "cache"):
        made[f"keys of {key}"] = inner(root, key)
    limits = root["properties"]["concurrency"]["properties"]
    made["keys of concurrency"] = table(root, limits, [], {})
    return made


def render(page: str) -> str:
    """`page` with its made sections anew."""
    made = sections()
    named = {match[2] for match in SECTION.finditer(page)}
    if named != made.keys():
        raise ValueError(f"sections of the page and of this script differ: {sorted(named ^ made.keys())}")
    return SECTION.sub(lambda match: match[1] + "\n" + made[match[2]] + "\n" + match[3], page)


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text("utf-8")), "utf-8")
