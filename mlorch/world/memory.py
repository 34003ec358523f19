"""What was found sound before and need not be checked again: a cache that may be lost at any time."""

from __future__ import annotations

import contextlib
import os

_MOST = 512
"""Files: past that the older half is forgotten."""


class FileMemory:
    """Texts by key (hex digests), a file each. What cannot be read or written is forgotten, which is no error."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def recall(self, key: str) -> str | None:
        """The text kept for `key`, None if there is none."""
        try:
            with open(f"{self._folder}/{key}", encoding="utf-8", errors="surrogatepass") as file:
                return file.read()
        except (OSError, ValueError):
            return None

    def remember(self, key: str, text: str) -> None:
        """Keep `text`: whole or not at all, also when two do it at once."""
        path = f"{self._folder}/{key}"
        temporary = f"{path}.{os.getpid()}"
        with contextlib.suppress(OSError):
            if not os.path.isdir(os.path.dirname(os.path.dirname(self._folder))):
                return  # no state folder yet: looking at a project leaves nothing behind
            os.makedirs(self._folder, 0o700, exist_ok=True)
            self._forget_some()
            try:
                with open(temporary, "w", encoding="utf-8", errors="surrogatepass") as file:
                    file.write(text)
                os.rename(temporary, path)
            except OSError:
                os.unlink(temporary)
                raise

    def _forget_some(self) -> None:
        names = os.listdir(self._folder)
        if len(names) < _MOST:
            return
        paths = sorted((f"{self._folder}/{name}" for name in names), key=os.path.getmtime)
        for path in paths[: _MOST // 2]:
            os.unlink(path)
