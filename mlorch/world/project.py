"""Finding a project and its pipeline files."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from mlorch.model.errors import FileError, UsageError
from mlorch.world.expand import expand

if TYPE_CHECKING:
    from collections.abc import Iterable

PROJECT_FILE = "mlorch.yaml"
PIPELINES_FOLDER = "pipelines"

LARGEST = 32 * 1024 * 1024
"""Bytes of a pipeline file; a larger one is refused before it is read whole."""


def find_project(start: str, explicit: str | None = None) -> str:
    """The project's folder, absolute: `explicit` if given (any folder may be one), else the nearest with a project file.

    That is the nearest folder upwards from `start` with `mlorch.yaml` or `pipelines/`. Raises `UsageError`.
    """
    if explicit is not None:
        folder = os.path.abspath(os.path.join(start, explicit))
        if not os.path.isdir(folder):
            what = "is not a folder" if os.path.exists(folder) else "does not exist"
            raise UsageError(f"--project {explicit}: {folder} {what}")
        return folder
    folder = os.path.abspath(start)
    while True:
        if os.path.isfile(os.path.join(folder, PROJECT_FILE)) or os.path.isdir(os.path.join(folder, PIPELINES_FOLDER)):
            return folder
        parent = os.path.dirname(folder)
        if parent == folder:
            raise UsageError(
                f"no project found: neither {start} nor a folder above it holds {PROJECT_FILE} or {PIPELINES_FOLDER}/",
                "go to the project, name it with `--project DIR`, or make one with `mlorch init`",
            )
        folder = parent


def pipeline_files(project: str, patterns: Iterable[str]) -> tuple[str, ...]:
    """Files that match the project's `pipelines:` globs, relative to it, sorted, each once. Folders are left out.

    A link that leads nowhere is one of them: a pipeline that is missing must not go unnoticed.
    """
    prefix = project.rstrip("/") + "/"
    found = {
        path
        for pattern in patterns
        for path in expand("" if pattern.startswith("/") else prefix, pattern, dangling=True)
    }
    return tuple(path for path in sorted(found) if not os.path.isdir(os.path.join(prefix, path)))


def read_file(path: str, limit: int = LARGEST) -> bytes:
    """The bytes of a text file for people's eyes (a spec). `path` is absolute or as typed; `limit` in bytes.

    Raises `FileError` when it is missing, a folder, unreadable, larger than `limit`, or no file at all.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(fd, "rb", buffering=0) as file:
            parts = []
            left = limit + 1
            while left and (block := file.read(left)):
                parts.append(block)
                left -= len(block)
    except OSError as error:
        raise _unreadable(error, path) from error
    if not left:
        raise FileError(f"{path} is larger than {limit // (1024 * 1024)} MiB", "split it into several pipelines", path)
    data = b"".join(parts)
    if b"\0" in data[:8192] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FileError(
            f"{path} is a binary file, not YAML text", "name a pipeline file, for instance pipelines/NAME.yaml", path
        )
    return data


def _unreadable(error: OSError, path: str) -> FileError:
    if error.errno == errno.EISDIR:
        return FileError(f"{path} is a folder, not a pipeline file", "name one of the files in it", path)
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return FileError(f"{path} does not exist", "`mlorch graph` shows the pipelines of this project", path)
    if error.errno in (errno.EACCES, errno.EPERM):
        return FileError(
            f"{path} cannot be read: {error.strerror}", f"see `ls -l {path}`: you need permission to read it", path
        )
    return FileError(f"{path} cannot be read: {error.strerror}", "", path)
