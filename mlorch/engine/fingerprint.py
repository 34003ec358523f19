"""One walk over a manifest gives its hash, one over two of them the first thing that differs."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from mlorch.model.plan import Difference
from mlorch.model.states import Reason

if TYPE_CHECKING:
    from mlorch.model.manifest import Manifest

# The order of guarantees.md ("Re-run decision"): what is looked at first is the reason shown.
_REASONS = {
    "command": Reason.COMMAND_CHANGED,
    "output": Reason.COMMAND_CHANGED,
    "environment": Reason.ENVIRONMENT_CHANGED,
    "code": Reason.CODE_CHANGED,
    "parameter": Reason.PARAMETER_CHANGED,
    "input": Reason.INPUT_CHANGED,
    "upstream": Reason.UPSTREAM_RAN,
    "model": Reason.MODEL_CHANGED,
}
_RANK = {kind: rank for rank, kind in enumerate(_REASONS)}
_DIGEST_LENGTH = 64
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_SHOWN = 12


def fingerprint(manifest: Manifest) -> str:
    """SHA-256 (hex) of the manifest's canonical JSON."""
    return hashlib.sha256(_encode(manifest).encode("utf-8", "surrogateescape")).hexdigest()


def difference(old: Manifest, new: Manifest) -> tuple[tuple[Reason, Difference], ...]:
    """Every fact in which two manifests differ, with the reason it gives, the most telling first; () when they agree."""
    if old == new:
        return ()
    before = {(fact.kind, fact.name): fact.value for fact in old}
    after = {(fact.kind, fact.name): fact.value for fact in new}
    if before == after:  # the same facts in another order
        return ()
    keys = sorted(before.keys() | after.keys(), key=lambda key: (_RANK[key[0]], key[1]))
    return tuple(
        (_REASONS[kind], Difference(_what(kind, name), _shown(before.get(key)), _shown(after.get(key))))
        for key in keys
        if before.get(key) != after.get(key)
        for kind, name in (key,)
    )


def explain(change: Difference) -> str:
    """A difference in one line, for people."""
    if not change.old:
        return f"{change.what} is new"
    if not change.new:
        return f"{change.what} is gone"
    if "\n" in change.old + change.new or len(change.old) + len(change.new) > 2 * _DIGEST_LENGTH:
        return f"{change.what} changed"
    return f"{change.what}: {change.old} → {change.new}"


def _what(kind: str, name: str) -> str:
    """What a fact is about, in words."""
    if kind == "command":
        return "the command" if name == "" else name
    return {
        "output": f"output {name}",
        "environment": f"variable {name}",
        "parameter": f"parameter {name}",
        "upstream": f"the last run of {name}",
        "model": f"model {name}",
    }.get(kind, name)


def _shown(value: str | None) -> str:
    """A fact's value for people: long digests shortened, the canonical JSON of texts without its quotes."""
    if value is None:
        return ""
    if len(value) == _DIGEST_LENGTH and all(c in "0123456789abcdef" for c in value):
        return value[:_SHOWN]
    if value.startswith('"') and value.endswith('"'):
        text = json.loads(value)
        return text if isinstance(text, str) and text else value
    return value
