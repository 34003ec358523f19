"""Secrets: fetched when a run starts, kept in memory only."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlorch.model.spec import Secret

SHORTEST = 6
"""Characters. A shorter one cannot be masked: every second word of a log would be stars."""

LONGEST = 64 * 1024
"""Bytes read of a secret's file or command."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What was found. `values` by name (never shown by `repr`); `problems` are (name, what is wrong), without values.

    `hidden` are the variables that secrets are read from: steps do not inherit them.
    """

    values: Mapping[str, str] = field(repr=False)
    problems: tuple[tuple[str, str], ...]
    hidden: frozenset[str]


class _MissingError(Exception):
    """Why a secret could not be had, in words without its value."""


def resolve(
    secrets: Iterable[Secret],
    env: Mapping[str, str],
    project: str,
    *,
    wanted: Iterable[str] | None = None,
    timeout: float = 30.0,
) -> Secrets:
    """Fetch the secrets named in `wanted` (None: all). What is wrong is data, so that all of it can be shown at once.

    `env` is the environment to read from, `project` the folder that files are relative to and commands run in;
    `timeout` is in seconds, for each command.
    """
    names = None if wanted is None else frozenset(wanted)
    values: dict[str, str] = {}
    problems: list[tuple[str, str]] = []
    hidden = set()
    for secret in secrets:
        if secret.source == "env":
            hidden.add(secret.value)
        if names is not None and secret.name not in names:
            continue
        try:
            value = _fetch(secret, env, project, timeout)
        except _MissingError as error:
            problems.append((secret.name, str(error)))
            continue
        if len(value) < SHORTEST:
            problems.append((secret.name, f"is shorter than {SHORTEST} characters, so it could not be masked in logs"))
        elif "\0" in value:
            problems.append((secret.name, "holds a NUL byte, which no environment variable can"))
        else:
            values[secret.name] = value
    return Secrets(values, tuple(problems), frozenset(hidden))


def _fetch(secret: Secret, env: Mapping[str, str], project: str, timeout: float) -> str:
    if secret.source == "env":
        value = env.get(secret.value)
        if not value:
            raise _MissingError(
                f"is read from the variable {secret.value}, which is {'empty' if value == '' else 'not set'}"
            )
        return value
    if secret.source == "file":
        return _from_file(os.path.join(project, os.path.expanduser(secret.value)))
    return _from_command(secret.value, env, project, timeout)


def _text(data: bytes, whence: str) -> str:
    if len(data) > LONGEST:
        raise _MissingError(f"is longer than {LONGEST} bytes ({whence})")
    try:
        return data.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise _MissingError(f"is not UTF-8 text ({whence})") from None


def _from_file(path: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(LONGEST + 1)
    except OSError as error:
        raise _MissingError(f"cannot be read from the file {path}: {error.strerror}") from None
    return _text(data, f"file {path}")


def _from_command(command: str, env: Mapping[str, str], project: str, timeout: float) -> str:
    import signal
    import subprocess

    try:
        process = subprocess.Popen(
            ("/bin/sh", "-c", command),
            cwd=project,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # it might repeat the secret
            start_new_session=True,
        )
    except OSError as error:
        raise _MissingError(f"cannot be had: its command does not start: {error.strerror}") from None
    try:
        data, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # with all that it started, or the pipe would stay open
        process.communicate()
        raise _MissingError(f"cannot be had: its command took longer than {timeout:g} s") from None
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if process.returncode != 0:
        status = process.returncode
        how = f"ended by signal {-status}" if status < 0 else f"exited with {status}"
        raise _MissingError(f"cannot be had: its command {how}")
    return _text(data, "its command's output")
