"""The key of a verdict on a spec: all that the verdict depends on. Apart from `load`, for who only asks whether there is one."""

from __future__ import annotations

from hashlib import sha256

from mlorch import __version__

_FORMAT = 4
"""Raised when what `Memory` keeps changes, or when rules become stricter within a version."""


def digest_of(data: bytes) -> str:
    """What stands for the bytes of a file."""
    return sha256(data).hexdigest()


def key_of(kind: str, digest: str, file: str, project: str) -> str:
    """The key for the `kind` of spec that `file` holds; `digest` and `project` (its project's file) are those of `digest_of`, "" for no file."""
    return digest_of("\0".join((kind, __version__, str(_FORMAT), digest, file, project)).encode())
