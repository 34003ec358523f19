"""All that can change a step's result, and what is known of the files that it wrote."""

from __future__ import annotations

from typing import NamedTuple


class Fact(NamedTuple):
    """One thing that a step's result depends on.

    `kind` is one of `command environment code parameter input upstream model output`;
    `name` says which (a path, a parameter, a variable), `value` what it was (a digest, canonical JSON or text).
    """

    kind: str
    name: str
    value: str


Manifest = tuple[Fact, ...]
"""Facts in a fixed order; `engine.fingerprint` walks it once for the hash and once for the explanation."""


class Artifact(NamedTuple):
    """A file or folder as it was seen: `path` is relative to the project, `digest` the SHA-256 of its content.

    A folder's digest is taken over its sorted relative paths and their digests. `signature` holds what `stat` says
    (size, mtime, ctime, inode; of a folder, a hash over its files'): the same signature means the same content, unless
    `racy`: the file had changed within the clock's grain of being read, so the signature proves nothing. `size` in bytes.
    """

    path: str
    digest: str
    signature: str
    size: int = 0
    name: str = ""
    racy: bool = False


class Checkpoint(NamedTuple):
    """Standing proof that a step succeeded: its manifest then, what it wrote, and where it came from.

    `values` and `metrics` are JSON texts. `at` is ISO 8601 UTC.
    """

    step: str
    run_id: str
    attempt: int
    at: str
    fingerprint: str
    manifest: Manifest
    outputs: tuple[Artifact, ...] = ()
    values: str = "{}"
    metrics: str = "{}"
    duration_s: float = 0.0
    peak_rss_bytes: int = 0
    how: str = ""
