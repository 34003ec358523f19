"""Starts one command, or says in plain words why it cannot be started."""

from __future__ import annotations

import errno
import os

from mlorch.executors.supervisor.light import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
# Python ignores SIGPIPE and SIGXFSZ, the supervisor the others; what is ignored would stay so in the step.
_DEFAULTS = (
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGTERM,
    signal.SIGCHLD,
    signal.SIGQUIT,
)
_HEADER = 256
_CHAINED = 4


class SpawnError(Exception):
    """The command was not started. `code` is the errno, the text says what is wrong and how to mend it."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def open_log(path: str) -> int:
    """Create the log of an attempt (0600) and return a descriptor that appends. Raises `SpawnError`."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY, 0o600)
    except (OSError, ValueError) as error:
        raise SpawnError(getattr(error, "errno", 0) or errno.EINVAL, f"log {path}: {_reason(error)}") from None


def enter(folder: str) -> None:
    """Make `folder` the working folder of what is started next. Raises `SpawnError`."""
    try:
        os.chdir(folder)
    except (OSError, ValueError) as error:
        code = getattr(error, "errno", 0) or errno.EINVAL
        raise SpawnError(code, f"working folder {folder}: {_reason(error)}") from None


def spawn(argv: list[str], env: Mapping[str, str], out: int, lends: Sequence[int]) -> int:
    """Start `argv` in the current folder, in a session of its own, and return its process id. Raises `SpawnError`.

    stdin is ours (`/dev/null`), stdout and stderr are `out`; beside these the process has the descriptors `lends`, and no other.
    """
    if not argv or not argv[0]:
        raise SpawnError(errno.ENOENT, "the command is empty")
    path = _find(argv[0], env.get("PATH", _DEFAULT_PATH))
    actions = [
        (os.POSIX_SPAWN_DUP2, out, 1),
        (os.POSIX_SPAWN_DUP2, out, 2),
    ]
    # Onto itself: clears close-on-exec.
    actions += [(os.POSIX_SPAWN_DUP2, fd, fd) for fd in lends]
    try:
        return os.posix_spawn(path, argv, env, file_actions=actions, setsid=True, setsigmask=(), setsigdef=_DEFAULTS)
    except OSError as error:
        raise SpawnError(error.errno or 0, _explain(error, argv, path, env)) from None
    except ValueError as error:
        raise SpawnError(errno.EINVAL, f"{argv[0]}: {error} in the arguments or the environment") from None


def _reason(error: Exception) -> str:
    if not isinstance(error, OSError) or not error.errno:
        return str(error)
    words = {
        errno.ENOENT: "there is no such file or folder",
        errno.ENOTDIR: "it is not a folder, or something above it is not",
        errno.EACCES: "permission denied",
    }
    return words.get(error.errno) or os.strerror(error.errno)


def _find(word: str, search: str) -> str:
    """The file that `word` names, by the step's own PATH. Raises `SpawnError`."""
    if "\0" in word:
        raise SpawnError(errno.EINVAL, f"{word!r}: a NUL byte in the command")
    if "/" in word:
        return word
    paths = [f"{folder or '.'}/{word}" for folder in search.split(":")]
    for path in paths:
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    refused = next(filter(os.path.isfile, paths), "")
    if refused:
        raise SpawnError(
            errno.EACCES, f"{word}: found as {refused}, which may not be executed; try: chmod +x {refused}"
        )
    raise SpawnError(errno.ENOENT, f"{word}: command not found in PATH={search}")


def _explain(error: OSError, argv: list[str], path: str, env: Mapping[str, str]) -> str:
    """Why the system refused to execute `path`."""
    word = argv[0]
    if error.errno == errno.ENOENT:
        return _explain_missing(word, path)
    if error.errno == errno.EACCES:
        if os.path.isdir(path):
            return f"{word}: is a folder, not a program"
        if os.path.exists(path) and os.access(path, os.X_OK):
            return (
                f"{word}: permission denied (its interpreter may not be executed, or the file system is mounted noexec)"
            )
        return f"{word}: may not be executed; try: chmod +x {path}"
    if error.errno == errno.ENOEXEC:
        return f"{word}: not a program for this machine, and no script: a script's first line names what runs it, like #!/bin/sh"
    if error.errno == errno.E2BIG:
        size = sum(len(os.fsencode(item)) + 1 for item in argv) + sum(
            len(os.fsencode(name + value)) + 2 for name, value in env.items()
        )
        longest = max(argv, key=len)
        return (
            f"{word}: {size} bytes of arguments and environment are more than the system takes (the longest argument has "
            f"{len(os.fsencode(longest))}); hand long lists over in a file"
        )
    return f"{word}: {_reason(error)}"


def _explain_missing(word: str, path: str) -> str:
    """`path` was not found, or is there and what should run it was not found."""
    file = path
    for _ in range(_CHAINED):
        if not os.path.exists(file):
            break
        interpreter = _interpreter(file)
        if interpreter is None:
            return f"{word}: the file is there, but not the loader that it was built for (another libc or another machine?)"
        if interpreter.endswith("\r"):
            return f"{word}: the first line of {file} ends in CR LF, as on Windows; save the file with LF line ends"
        if not os.path.exists(interpreter):
            return f"{word}: the file is there, but its interpreter {interpreter} (first line of {file}) is missing"
        file = interpreter
    return f"{word}: there is no such file"


def _interpreter(file: str) -> str | None:
    """What the `#!` line of `file` names; None if it has none."""
    try:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        line = os.read(fd, _HEADER).split(b"\n", 1)[0]
    finally:
        os.close(fd)
    if not line.startswith(b"#!"):
        return None
    # Only blanks and tabs part the words here: a carriage return is part of the name, and that is the mistake to show.
    words = line[2:].replace(b"\t", b" ").split(b" ")
    return next((os.fsdecode(one) for one in words if one), "")
