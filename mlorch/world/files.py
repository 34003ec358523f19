"""The `Files` port on the disk. Nothing here follows the process's working folder."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from mlorch.model.errors import FileError
from mlorch.model.manifest import Artifact
from mlorch.world.clock import SystemClock
from mlorch.world.digests import DigestCache, Digester, Seen, signature, signed_folder, walk
from mlorch.world.trouble import file_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlorch.model.ports import Clock

_BLOCK = 1 << 16


class ProjectFiles:
    """Files of the project at `root` (absolute). `roots` are (name, absolute folder) where paths may lead besides.

    `cache_dir` keeps digests between runs ("" for none): call `save` at the end. `durable` False makes the flushes do
    nothing, which is for measuring what they cost.
    """

    def __init__(
        self,
        root: str,
        roots: Sequence[tuple[str, str]] = (),
        *,
        cache_dir: str = "",
        clock: Clock | None = None,
        durable: bool = True,
    ) -> None:
        self._root = os.path.normpath(root)
        self._prefix = self._root.rstrip("/") + "/"
        self._allowed = (self._root, *(folder for _, folder in roots))
        self._real_allowed: tuple[str, ...] = ()
        self._real_folders: dict[str, str] = {}
        self._clock = clock or SystemClock()
        self._durable = durable
        self._user = os.geteuid()
        self._digester = Digester(DigestCache(f"{cache_dir}/digests") if cache_dir else None, probe=cache_dir)
        # What was read in a staging folder, until it is moved; what was moved, until it is looked at.
        self._staged: dict[str, Seen | None] = {}
        self._published: dict[str, Seen | None] = {}
        # Staging folders that we made, with the places in them that were given away.
        self._staging: dict[str, set[str]] = {}
        # Folders that got new folders in them: flushed with the next that is published.
        self._unflushed: list[str] = []

    # Names.

    def absolute(self, path: str) -> str:
        """The absolute path as text; links are not followed."""
        if path == ".":  # asked for each attempt
            return self._root
        full = path if path.startswith("/") else self._prefix + path
        # Hidden names are common (what is staged has one in its path); only `.` and `..` are to be worked out.
        if full.endswith(("/", "/.", "/..")) or "//" in full or ("/." in full and ("/./" in full or "/../" in full)):
            full = os.path.normpath(full)
        return full

    def outside(self, path: str) -> str:
        """Why `path` may not be used: it leads out of the project and its roots, links followed. "" when it may."""
        if "\0" in path:
            return f"{path!r} holds a NUL byte"
        full = self._in_real_folder(self.absolute(path))
        try:
            os.readlink(full)
        except OSError:
            pass  # no link, or nothing there yet
        else:
            full = os.path.realpath(full)
        return self._leads_out(path, full)

    def _in_real_folder(self, full: str) -> str:
        """The path with its folder's links followed."""
        folder, _, name = full.rpartition("/")
        return f"{self._real_folder(folder)}/{name}"

    def _real_folder(self, folder: str) -> str:
        """A folder with links followed, each of those above it looked at once a command; "" for the root."""
        unknown = []
        while folder and folder not in self._real_folders:
            unknown.append(folder)
            folder = folder.rpartition("/")[0]
        real = self._real_folders.get(folder, "")
        there = True
        for one in reversed(unknown):
            real = f"{real}/{one.rpartition('/')[2]}"
            try:
                os.readlink(real)
            except OSError as error:
                there = there and error.errno == errno.EINVAL
            else:
                real = os.path.realpath(real)
            if there:  # else it may still become a link
                self._real_folders[one] = real
        return real

    def _leads_out(self, path: str, full: str) -> str:
        """Why `path`, which links lead to `full`, may not be used; "" when it may."""
        if not self._real_allowed:
            self._real_allowed = tuple(os.path.realpath(allowed) for allowed in self._allowed)
        if any(full == allowed or full.startswith(allowed.rstrip("/") + "/") for allowed in self._real_allowed):
            return ""
        where = f"{path} leads out of the project" + (f", to {full}" if full != self.absolute(path) else "")
        return f"{where}; name the place it may lead to under `roots:` in mlorch.yaml"

    def expand(self, pattern: str) -> tuple[str, ...]:
        """Paths that match a glob (`*`, `?`, `[…]`, `**`), sorted; hidden names only where the pattern says so."""
        from mlorch.world.expand import expand

        return expand("" if pattern.startswith("/") else self._prefix, pattern)

    def exists(self, path: str) -> bool:
        """Whether there is something at `path` (a dangling link is nothing)."""
        return os.path.exists(self.absolute(path))

    # Content.

    def look(self, path: str, known: Artifact | None = None) -> Artifact | None:
        """The artifact at `path`, None if missing. Its content is read only if `known` (or the digest cache) does not vouch.

        Raises `FileError` when it may not be read or is neither a file nor a folder.
        """
        full = self.absolute(path)
        if known is not None:
            before: Seen | None = Seen(known.signature, known.digest, known.size, known.racy)
        else:
            before = None
        staged = full in self._staged
        # What we put there ourselves is known by its record in the journal: the cache is for what comes from outside.
        cached = not staged and full not in self._published
        published = self._published.pop(full, None)
        if published is not None and (before is None or before.signature != published.signature):
            before = published
        seen = self._digester.look(full, before, cached=cached)
        if seen is None:
            return None
        if staged:
            self._staged[full] = seen
        return Artifact(
            path, seen.digest, seen.signature, seen.size, known.name if known is not None else "", seen.racy
        )

    def same(self, known: Artifact) -> bool:
        """Whether what stands at `known.path` still has its content; cheap when its signature is unchanged."""
        found = self.look(known.path, known)
        return found is not None and found.digest == known.digest

    def signature(self, path: str) -> str:
        """What `look` gives as the signature of what stands at `path`, without a look at its content; "" if missing. Raises `OSError`."""
        full = self.absolute(path)
        try:
            status = os.stat(full)
            return signed_folder(full)[0] if stat.S_ISDIR(status.st_mode) else signature(status)
        except (FileNotFoundError, NotADirectoryError):
            return ""

    def modified(self, path: str) -> float | None:
        """When the content of `path` last changed (mtime), in seconds since the epoch; None if missing."""
        try:
            return os.stat(self.absolute(path)).st_mtime
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise file_error(error, path, "look at") from error

    def touched(self, path: str) -> float | None:
        """When anything about `path` itself last changed, its name included (ctime), as `modified`."""
        try:
            return os.lstat(self.absolute(path)).st_ctime
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise file_error(error, path, "look at") from error

    def identity(self, path: str) -> str:
        """What stays the same when `path` is renamed: the inode's number. "" if missing."""
        try:
            return str(os.lstat(self.absolute(path)).st_ino)
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except OSError as error:
            raise file_error(error, path, "look at") from error

    def written(self, path: str) -> tuple[int | None, str]:
        """What a step wrote to `path`: the bytes of a file, or of all files of a folder (None if missing); and why it may not be published.

        What cannot be read later must be known before it replaces a former output.
        """
        full = self.absolute(path)
        try:
            status = os.lstat(full)
            if stat.S_ISREG(status.st_mode):  # by far the most: one look tells all
                outside = self._leads_out(path, self._in_real_folder(full))
                return status.st_size, self._unpublishable(full, status, outside)
            status = os.stat(full)
            size = status.st_size
            if stat.S_ISDIR(status.st_mode):
                size = sum(
                    entry.stat(follow_symlinks=False).st_size
                    for _, entry in walk(full)
                    if not entry.is_dir(follow_symlinks=False)
                )
            return size, self._unpublishable(full, status, self.outside(path))
        except (FileNotFoundError, NotADirectoryError):
            return None, ""
        except OSError as error:
            raise file_error(error, path, "look at") from error

    def _unpublishable(self, full: str, status: os.stat_result, outside: str) -> str:
        if outside:
            return f"is a link, and may not be published: {outside}"
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            return "is neither a file nor a folder"
        ours = status.st_uid == self._user and status.st_mode & stat.S_IRUSR
        return "" if ours or os.access(full, os.R_OK) else "cannot be read: Permission denied"

    def read_text(self, path: str, limit: int) -> str | None:
        """Up to `limit` bytes as UTF-8 (damage replaced); None if missing. `limit` + 1 bytes or more raise `ValueError`."""
        try:
            fd = os.open(self.absolute(path), os.O_RDONLY | os.O_CLOEXEC)
            try:
                parts = []
                left = limit + 1
                while left and (block := os.read(fd, min(left, _BLOCK))):
                    parts.append(block)
                    left -= len(block)
            finally:
                os.close(fd)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise file_error(error, path, "read") from error
        if not left:
            raise ValueError(f"{path} holds more than {limit} bytes")
        return b"".join(parts).decode("utf-8", "replace")

    def write_text(self, path: str, text: str) -> None:
        """Create or replace a small file; its folder is made if need be."""
        full = self.absolute(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        try:
            try:
                fd = os.open(full, flags, 0o666)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(full), exist_ok=True)
                fd = os.open(full, flags, 0o666)
            try:
                view = memoryview(text.encode("utf-8", "surrogateescape"))
                while view:
                    view = view[os.write(fd, view) :]
            finally:
                os.close(fd)
        except OSError as error:
            raise file_error(error, path, "write") from error

    # Publishing.

    def stage(self, folder: str, path: str, *, is_folder: bool) -> str:
        """Make `folder` (a staging folder beside `path`) and return the staged path in it, with the last name of `path`.

        For a folder output the staged folder is made, empty; for a file only what holds it.
        """
        from mlorch.world import publish

        staged = f"{folder.rstrip('/')}/{os.path.basename(path.rstrip('/'))}"
        full_folder, full = self.absolute(folder), self.absolute(staged)
        try:
            used: set[str] | None = set()
            try:
                os.mkdir(full_folder)
            except FileExistsError:
                used = self._staging.get(full_folder)
                if used is None or full in used:
                    publish.remove(full)  # left by an interrupted or an earlier attempt of this name
            except FileNotFoundError:
                self._new_folders(full_folder)
                os.makedirs(full_folder, exist_ok=True)
            if used is not None:
                used.add(full)
                self._staging[full_folder] = used
            if is_folder:
                os.mkdir(full)
        except OSError as error:
            raise file_error(error, folder, "make the staging folder") from error
        self._staged[full] = None
        return staged

    def _new_folders(self, folder: str) -> None:
        """Folders that are about to be made have names, too, that a power cut must not take from under an output."""
        above = os.path.dirname(folder)
        while not os.path.isdir(above) and len(above) > 1:
            above = os.path.dirname(above)
            self._unflushed.append(above)

    def set_aside(self, path: str, aside: str) -> None:
        """Rename what is at `path` to `aside` (missing: nothing happens); the folder of `path` exists afterwards."""
        from mlorch.world import publish

        publish.set_aside(self.absolute(path), self.absolute(aside))

    def move(self, staged: str, final: str) -> None:
        """Put `staged` in place of `final` atomically; a folder replaces a folder. `staged` missing, `final` there: done before.

        May be called again after an interruption anywhere in it. Raises `FileError` and `StateError`.
        """
        from mlorch.world import publish

        source, target = self.absolute(staged), self.absolute(final)
        publish.move(source, target)
        self._moved(source, target)

    def _moved(self, source: str, target: str) -> None:
        seen = self._staged.pop(source, None)
        self._published[target] = None if seen is None else _after_move(seen, target)

    def swap(self, staged: str, final: str, identity: str) -> None:
        """Put `staged` in place of `final`; what was there stands at `staged` afterwards. See `Files.swap`."""
        from mlorch.world import publish

        source, target = self.absolute(staged), self.absolute(final)
        publish.swap(source, target, int(identity))
        self._moved(source, target)

    def unswap(self, staged: str, final: str, identity: str) -> None:
        """Undo `swap`. See `Files.unswap`."""
        from mlorch.world import publish

        source, target = self.absolute(staged), self.absolute(final)
        publish.unswap(source, target, int(identity))
        self._published.pop(target, None)

    def remove(self, path: str) -> None:
        """Remove a file or a whole folder, links not followed; missing is fine."""
        from mlorch.world import publish

        full = self.absolute(path)
        if full == self._root:
            raise FileError(f"{path} is the project itself", "", path)
        self._staging.pop(full, None)
        publish.remove(full)

    # Durability.

    def flush(self, paths: Sequence[str]) -> None:
        """Make the bytes of files and folders (with all below) durable. Safe to call from another thread. Raises `FileError`, `StateError`."""
        if self._durable:
            from mlorch.world.flushing import flush_paths

            flush_paths([self.absolute(path) for path in paths])

    def flush_folders(self, paths: Sequence[str]) -> None:
        """Make the names in the folders that hold `paths` durable. Safe to call from another thread. Raises `StateError`."""
        if self._durable:
            from mlorch.world.flushing import flush_paths

            folders = dict.fromkeys(os.path.dirname(self.absolute(path)) for path in paths)
            while self._unflushed:
                folders[self._unflushed.pop()] = None
            flush_paths(list(folders), below=False)

    def save(self) -> None:
        """Keep what was read of files for later invocations."""
        if self._digester.cache is not None:
            self._digester.cache.save()


def _after_move(seen: Seen, target: str) -> Seen | None:
    """What is known of a file after its rename to `target`, which changed its ctime and so its signature.

    That size, mtime and inode stayed proves that it is what was read; else None.
    """
    if ":" not in seen.signature:  # a folder's does not change by moving it
        return seen
    try:
        status = os.stat(target)
    except OSError:
        return None
    size, mtime, _, inode = seen.signature.split(":")
    if (int(size), int(mtime), int(inode)) != (status.st_size, status.st_mtime_ns, status.st_ino):
        return None
    return Seen(f"{size}:{mtime}:{status.st_ctime_ns}:{inode}", seen.digest, seen.size, seen.racy)
