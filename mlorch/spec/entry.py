"""What `mlorch schema` shows: a key explained, from the JSON Schema's own descriptions."""

from __future__ import annotations

from typing import Any

from mlorch.spec import not_yet, schemas
from mlorch.spec.shape import suggest

_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "mapping",
    "null": "null",
}


def schema_entry(key: str = "") -> str:
    """The text for a dotted key such as `steps.inputs.track`, or for all top-level keys.

    Names in between may be given or left out: `steps.train.retry` is `steps.retry`. Keys of the project file are looked up
    after those of a pipeline, or at once as `project.KEY`. Raises KeyError, with what was perhaps meant as its argument.
    """
    if not key:
        return _overview()
    parts = [part for part in key.strip().strip(".").split(".") if part]
    kinds: tuple[str, ...] = schemas.KINDS
    if parts and parts[0] in kinds:
        kinds, parts = (parts[0],), parts[1:]
        if not parts:
            return _top(kinds[0])
    for kind in kinds:
        found = _find(schemas.load(kind), parts)
        if found is not None:
            return _text(kind, ".".join(parts), parts, schemas.load(kind), found)
    raise KeyError(_near(parts))


def _find(root: schemas.Schema, parts: list[str]) -> schemas.Schema | None:
    node = schemas.resolve(root, root)
    for part in parts:
        step = _child(root, node, part)
        if step is None:
            return None
        node = step
    return node


def _child(root: schemas.Schema, node: schemas.Schema, part: str) -> schemas.Schema | None:
    """The schema of a key: named here, or of what a name, a list item or both lead to."""
    for _ in range(4):
        properties = node.get("properties", {})
        if part in properties:
            return schemas.resolve(root, properties[part])
        inner = node.get("additionalProperties")
        if not isinstance(inner, dict):
            inner = node.get("items")
        if not isinstance(inner, dict):
            return None
        resolved = schemas.resolve(root, inner)
        if not _leads(root, resolved, part):
            # Not a key, so a name given by the user; but rather a key mistyped if it is close to one.
            return resolved if "properties" in resolved and not suggest(part, resolved["properties"]) else None
        node = resolved
    return None


def _leads(root: schemas.Schema, node: schemas.Schema, part: str) -> bool:
    if part in node.get("properties", {}):
        return True
    inner = node.get("items")
    return isinstance(inner, dict) and part in schemas.resolve(root, inner).get("properties", {})


def _near(parts: list[str]) -> str:
    """The key that was most likely meant, "" if none comes to mind."""
    roots = [schemas.load(kind) for kind in schemas.KINDS]
    top = {name for root in roots for name in root["properties"]}
    steps = roots[0]["definitions"]["step_keys"]["properties"]
    last = parts[-1] if parts else ""
    inner = suggest(last, steps)
    if len(parts) > 1 and inner:
        return f"steps.{inner}"
    return suggest(parts[0], top) if parts and suggest(parts[0], top) else f"steps.{inner}" if inner else ""


def _text(kind: str, title: str, parts: list[str], root: schemas.Schema, node: schemas.Schema) -> str:
    from json import dumps
    from textwrap import wrap

    lines = [title + (" (mlorch.yaml)" if kind == "project" else ""), ""]
    lines += wrap(str(node.get("description", "")), 88, initial_indent="  ", subsequent_indent="  ")
    lines += ["", f"  type      {_type(root, node)}"]
    if "default" in node:
        lines.append(f"  default   {dumps(node['default'])}")
    if "x-hint" in node:
        lines.append(f"  form      {node['x-hint']}")
    lines += [f"  example   {dumps(example, ensure_ascii=False)}" for example in node.get("examples", ())]
    later = _later(kind, parts)
    if later:
        lines.append(f"  note      does not work yet in this version; {later}")
    inner = _keys(root, node)
    if inner:
        width = max(len(name) for name in inner)
        lines += ["", "  keys"]
        for name, child in inner.items():
            lines.append(f"    {name:<{width}}  {_first(str(schemas.resolve(root, child).get('description', '')))}")
    return "\n".join(lines) + "\n"


def _type(root: schemas.Schema, node: schemas.Schema) -> str:
    if "enum" in node:
        return f"one of {', '.join(node['enum'])}"
    types = node.get("type", [])
    words = " or ".join(_WORDS[name] for name in ([types] if isinstance(types, str) else types))
    extra = node.get("additionalProperties")
    if isinstance(extra, dict) and words == "mapping":
        inner = schemas.resolve(root, extra)
        words = (
            f"mapping of names to {_type(root, inner)}"
            if "type" in inner and "properties" not in inner
            else "mapping of names"
        )
    return words or "anything"


def _keys(root: schemas.Schema, node: schemas.Schema) -> dict[str, Any]:
    properties: dict[str, Any] = dict(node.get("properties", {}))
    for key in ("additionalProperties", "items"):
        inner = node.get(key)
        if not properties and isinstance(inner, dict):
            properties = dict(schemas.resolve(root, inner).get("properties", {}))
    return properties


def _later(kind: str, parts: list[str]) -> str:
    if kind == "project":
        if parts[0] == "profiles":
            return not_yet.PROFILE.get(parts[-1], "") if len(parts) > 1 else ""
        return not_yet.PROJECT.get(parts[0], "") if len(parts) == 1 else ""
    if len(parts) == 1:
        return not_yet.TOP.get(parts[0], "")
    table = {"steps": not_yet.STEP, "defaults": not_yet.STEP, "partitions": not_yet.DIMENSION}.get(parts[0], {})
    return table.get(parts[-1], "") if len(parts) <= 3 else ""


def _overview() -> str:
    return f"{_top('pipeline')}\n{_top('project')}\n`mlorch schema KEY` explains one, also below: `mlorch schema steps.retry`\n"


def _top(kind: str) -> str:
    root = schemas.load(kind)
    width = max(len(name) for name in root["properties"])
    title = "A pipeline file" if kind == "pipeline" else "The project file (mlorch.yaml)"
    lines = [title, ""]
    for name, child in root["properties"].items():
        mark = "*" if name in root["required"] else " "
        lines.append(f" {mark} {name:<{width}}  {_first(str(schemas.resolve(root, child).get('description', '')))}")
    return "\n".join([*lines, "", " * required"]) + "\n"


def _first(description: str) -> str:
    """The first sentence."""
    head, dot, _ = description.partition(". ")
    return head + "." if dot else description
