"""The `crontab` program: the only door to a user's crontab that every cron leaves open."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlorch.model.errors import BusyError, MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 10.0
"""Seconds that we wait for another mlorch that changes a crontab."""

_NOTHING = ("no crontab for", "no such file or directory")
_SECONDS = 30


class Crontab:
    """The crontab of the user who calls, or of `user` (only root may name another)."""

    def __init__(self, user: str = "") -> None:
        import shutil

        found = shutil.which("crontab")
        if found is None:
            raise MachineError(
                "there is no `crontab` program on this machine",
                "install cron (Debian: apt-get install cron), or call `mlorch tick` every minute by other means",
            )
        self._program = found
        self._user = ("-u", user) if user else ()
        self.whose = f"the crontab of {user}" if user else "your crontab"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other mlorchs from changing a crontab meanwhile. Raises `BusyError` after ten seconds."""
        import fcntl
        import time

        # The program itself is what all of them have in common, whoever they are; a lock needs no right to write it. Where it
        # cannot even be read, its folder can.
        readable = os.access(self._program, os.R_OK)
        descriptor = os.open(self._program if readable else os.path.dirname(self._program), os.O_RDONLY | os.O_CLOEXEC)
        try:
            until = time.monotonic() + PATIENCE
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise BusyError("another mlorch is changing a crontab", "try again in a moment") from None
                    time.sleep(0.05)  # flock has no time limit of its own
            yield
        finally:
            os.close(descriptor)

    def read(self) -> str:
        """Its text; "" when there is none. Bytes that are no UTF-8 are kept. Raises `MachineError`."""
        code, out, error = self._call("-l")
        if code == 0:
            return os.fsdecode(self._as_it_is(out))
        if code == 1 and any(words in error.lower() for words in _NOTHING):
            return ""
        raise self._refused("read", code, error)

    def write(self, text: str) -> None:
        """Replace it, and see that it is there; an empty one is removed. Raises `MachineError`."""
        code, _, error = self._call("-", data=os.fsencode(text)) if text else self._call("-r")
        if code != 0:
            raise self._refused("changed", code, error)
        if self.read() != text:
            raise MachineError(
                f"{self.whose} is not what was written: something else changed it at the same time",
                "look at it (`crontab -l`), then try again",
            )

    def _as_it_is(self, listed: bytes) -> bytes:
        """Debian's `crontab -l` shows a carriage return as a backslash and an r; an editor is given the text itself."""
        if b"\\r" not in listed:
            return listed
        code, out, _ = self._call("-e")
        return out if code == 0 and out.replace(b"\r", b"\\r") == listed else listed

    def _call(self, *words: str, data: bytes = b"") -> tuple[int, bytes, str]:
        import subprocess

        try:
            done = subprocess.run(
                (self._program, *self._user, *words),
                input=data,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
                env={**os.environ, "LC_ALL": "C", "EDITOR": "/bin/cat", "VISUAL": "/bin/cat"},
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise MachineError(
                f"{self._program} cannot be called: {error}", "see that cron is installed whole"
            ) from error
        return done.returncode, done.stdout, done.stderr.decode("utf-8", "replace").strip()

    def _refused(self, what: str, code: int, error: str) -> MachineError:
        return MachineError(
            f"{self.whose} could not be {what}: {error or f'crontab ended with {code}'}",
            "nothing was changed; only root may name another user, and /etc/cron.allow and cron.deny say who may at all",
        )
