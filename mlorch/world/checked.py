"""Which texts were found sound before, so that they need not be checked again: a cache that may be lost at any time."""

from __future__ import annotations

import contextlib
import os

_HEX = 64
_LONGEST = 256 * 1024
"""Bytes: some four thousand specs; then it starts anew."""


class CheckedSpecs:
    """Digests (SHA-256 in hex) of specs that passed the check by `key`: a word that changes with schema and rules.

    A line is whole or it does not count, so neither a crash nor two writers at once do harm.
    """

    def __init__(self, cache_dir: str, key: str) -> None:
        self._path = f"{cache_dir}/checked"
        self._key = key
        self._known: set[str] | None = None

    def known(self, digest: str) -> bool:
        """Whether this text was found sound by these very rules."""
        return digest in self._loaded()

    def remember(self, digest: str) -> None:
        """It was found sound. That it cannot be written down is no error: it will be checked again."""
        known = self._loaded()
        if digest in known:
            return
        known.add(digest)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        with contextlib.suppress(OSError):
            if os.path.exists(self._path) and os.path.getsize(self._path) > _LONGEST:
                flags |= os.O_TRUNC
            os.makedirs(os.path.dirname(self._path), 0o700, exist_ok=True)
            fd = os.open(self._path, flags, 0o600)
            try:
                os.write(fd, f"\n{self._key} {digest}\n".encode())  # a new line first: the last one may be torn
            finally:
                os.close(fd)

    def _loaded(self) -> set[str]:
        if self._known is None:
            self._known = set()
            with contextlib.suppress(OSError, ValueError), open(self._path, encoding="ascii") as file:
                for line in file.read().split("\n"):
                    key, _, digest = line.rpartition(" ")
                    if key == self._key and len(digest) == _HEX:
                        self._known.add(digest)
        return self._known
