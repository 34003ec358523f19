"""What was found sound before and need not be checked again: a cache that may be lost at any time."""

from __future__ import annotations

import contextlib
import os

from mlorch.world.regular import open_regular

_MOST = 512
"""Files: past that the older half is forgotten."""


class FileMemory:
    """Texts by key (hex digests), a file each. What cannot be read or written is forgotten, which is no error."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._early: dict[str, str] = {}

    def recall(self, key: str) -> str | None:
        """The text kept for `key`, None if there is none."""
        try:
            with open_regular(f"{self._folder}/{key}") as file:
                return file.read().decode("utf-8", "surrogatepass")
        except (OSError, ValueError):
            return None

    def remember(self, key: str, text: str) -> None:
        """Keep `text`: whole or not at all, also when two do it at once."""
        path = f"{self._folder}/{key}"
        temporary = f"{path}.{os.getpid()}"
        with contextlib.suppress(OSError):
            if not os.path.isdir(os.path.dirname(os.path.dirname(self._folder))):
                self._early[key] = text  # looking at a project leaves no state folder behind, but a run may make one
                return
            os.makedirs(self._folder, 0o700, exist_ok=True)
            self._forget_some()
            try:
                with open(temporary, "w", encoding="utf-8", errors="surrogatepass") as file:
                    file.write(text)
                os.rename(temporary, path)
            except OSError:
                os.unlink(temporary)
                raise

    def save(self) -> None:
        """Keep what was to be remembered before there was a state folder, if there is one by now."""
        early, self._early = self._early, {}
        for key, text in early.items():
            self.remember(key, text)

    def _forget_some(self) -> None:
        names = os.listdir(self._folder)
        if len(names) < _MOST:
            return
        paths = sorted((f"{self._folder}/{name}" for name in names), key=os.path.getmtime)
        for path in paths[: _MOST // 2]:
            os.unlink(path)
