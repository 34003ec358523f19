"""Commands whose output is an answer: the labels of a dimension, the number of a trigger. What they said last is kept."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST = 16 * 1024 * 1024
TIMEOUT_S = 300.0


class Answer(NamedTuple):
    """What a command printed, and when (ISO 8601 UTC)."""

    text: str
    at: str


class CommandError(Exception):
    """The command gave no answer; the message says why, without the name of the command."""


def call(run: str | tuple[str, ...], env: Mapping[str, str], folder: str, timeout: float = TIMEOUT_S) -> str:
    """What the command prints; its stderr goes to ours. Raises `CommandError` for a bad end, too much output, or none in time (s)."""
    import subprocess
    import threading

    words = ("/bin/sh", "-euc", run) if isinstance(run, str) else run
    try:
        process = subprocess.Popen(
            words, cwd=folder, env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
        )
    except OSError as error:
        raise CommandError(f"does not start: {error.strerror}") from None

    def end() -> None:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)

    watch = threading.Timer(timeout, end)
    watch.start()
    try:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        data = process.stdout.read(LONGEST + 1)
        if len(data) > LONGEST:
            raise CommandError(f"printed more than {LONGEST // (1024 * 1024)} MiB")
        process.wait()
        if not watch.is_alive():
            raise CommandError(f"took longer than {timeout:g} s")
    finally:
        watch.cancel()
        if process.poll() is None:
            end()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
    if process.returncode:
        status = process.returncode
        raise CommandError(f"ended by signal {-status}" if status < 0 else f"exited with {status}")
    return data.decode("utf-8", "replace")


def digest_of(run: str | tuple[str, ...]) -> str:
    """The name under which an answer is kept."""
    from hashlib import sha256

    return sha256(json.dumps(run).encode()).hexdigest()[:32]


def recall(folder: str, name: str) -> Answer | None:
    """What was kept; None if there is nothing to be read."""
    try:
        with open(f"{folder}/{name}.json", encoding="utf-8") as file:
            found = json.load(file)
        return Answer(str(found["text"]), str(found["at"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep(folder: str, name: str, answer: Answer) -> None:
    """Keep an answer, whole or not at all. That it cannot be kept is no error here: the next call asks again."""
    temporary = f"{folder}/{name}.{os.getpid()}"
    with contextlib.suppress(OSError):
        os.makedirs(folder, 0o700, exist_ok=True)
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump({"at": answer.at, "text": answer.text}, file)
        os.rename(temporary, f"{folder}/{name}.json")
