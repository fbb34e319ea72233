"""Files that hold all of their old content until they hold all of the new."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import IO

    from typing_extensions import Buffer

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# File systems allow 255 bytes in a name, and some that encrypt names 143.
LONGEST_NAME = 143
KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFSOCK: "a socket",
}


def kind_of_special(mode: int) -> str | None:
    """What a file is that is neither a regular one nor a directory; None for these.

    Parameters
    ----------
    mode : int
        ``st_mode`` of it.

    Returns
    -------
    str or None
    """
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return None
    return KINDS.get(stat.S_IFMT(mode), "something else")


def write_atomically(path: str | bytes | os.PathLike[str], content: Buffer) -> None:
    """Put `content` into the file `path`, which holds its old content until all of it is on disk.

    The new content goes into a file beside it, reaches the disk, and is then renamed. At no time
    may more people read it than the old file, or than a new one of any program. A process that is
    killed in between leaves the old file, and perhaps one named ``.<name>.<16 digits>.tmp``
    beside it, which the next call for the same file removes (not on Windows). Files that other
    processes are writing meanwhile are left alone: they are locked.

    Parameters
    ----------
    path : str, bytes or path-like
        File to write; where it is a symbolic link, the file that this points to.
    content : bytes-like
        What it shall hold.

    Raises
    ------
    IsADirectoryError
        If `path` is a directory.
    OSError
        If `path` is a pipe, a device or a socket: neither could they be replaced without breaking
        what they are for, nor hold all of the old content or all of the new. Or if it cannot be
        written; the error names `path`.
    """
    given = os.fspath(path)
    path, old = _target(given)
    folder, name = os.path.split(path)
    folder = folder or os.curdir
    try:
        _remove_stale(folder, name)
        _replace(folder, name, path, content, old)
    except OSError as error:
        if error.errno is None:
            raise
        # Those who asked for a file need not know of others beside it.
        raise OSError(error.errno, error.strerror, given) from error
    _sync_folder(folder)


def _target(path: str | bytes) -> tuple[str, os.stat_result | None]:
    """Where the content goes, as a str, and what os.stat tells of the file there, or None."""
    try:
        old = os.stat(path)
    except FileNotFoundError:
        old = None
    name = os.path.basename(path)
    if old is not None and stat.S_ISDIR(old.st_mode) or path and not name:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not path:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    if old is not None and (kind := kind_of_special(old.st_mode)):
        raise OSError(errno.EINVAL, f"Is no regular file but {kind}", path)
    # Only where there is a link: an absolute path may be too long where a relative one is not.
    return os.fsdecode(os.path.realpath(path) if os.path.islink(path) else path), old


def _replace(
    folder: str, name: str, path: str, content: Buffer, old: os.stat_result | None
) -> None:
    # What replaces a file is first for its owner alone: who opens it may read on later.
    with _new_file(folder, name, 0o666 if old is None else old.st_mode & 0o700) as file:
        try:
            if old is not None:
                _take_over_permissions(file, old)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            if fcntl is None:
                # Windows renames no open files.
                file.close()
            os.replace(file.name, path)
        except BaseException:
            file.close()
            with contextlib.suppress(FileNotFoundError):
                os.remove(file.name)
            raise


def _new_file(folder: str, name: str, mode: int) -> IO[bytes]:
    """Open a temporary file that is locked, as far as the file system can."""
    while True:
        path = os.path.join(folder, f"{_prefix(name)}{secrets.token_hex(8)}.tmp")
        file = open(path, "xb", opener=lambda path, flags: os.open(path, flags, mode))
        # Before it was locked, another process may have taken it for a stale one.
        if _lock(file.fileno()) and os.path.exists(path):
            return file
        file.close()


def _take_over_permissions(file: IO[bytes], old: os.stat_result) -> None:
    """Give an empty file the permissions of the one that it will replace, as far as allowed."""
    mode = old.st_mode & 0o777
    if hasattr(os, "fchown"):
        new = os.fstat(file.fileno())
        with contextlib.suppress(OSError):
            if new.st_uid != old.st_uid:
                os.fchown(file.fileno(), old.st_uid, -1)
        try:
            if new.st_gid != old.st_gid:
                os.fchown(file.fileno(), -1, old.st_gid)
        except OSError:
            # What one group was allowed is not for another, which gets what all are allowed.
            mode = mode & 0o707 | (mode & 0o007) << 3
    os.chmod(file.name, mode)


def _prefix(name: str) -> str:
    """What the names of temporary files for `name` begin with."""
    prefix = f".{name}."
    encoded = os.fsencode(name)
    if len(encoded) + len(f"..{'0' * 16}.tmp") > LONGEST_NAME:
        prefix = f".{hashlib.sha256(encoded).hexdigest()[:32]}."
    return prefix


def _remove_stale(folder: str, name: str) -> None:
    """Remove temporary files that killed processes left."""
    if fcntl is None:
        return
    pattern = re.compile(re.escape(_prefix(name)) + "[0-9a-f]{16}[.]tmp")
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if pattern.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    _remove_unless_locked(entry.path)


def _remove_unless_locked(path: str) -> None:
    # Not blocked should it have become a pipe meanwhile.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.remove(path)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Whether the file is ours: False if another process holds its lock."""
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            # A file system without locks, where none is taken for stale either.
            pass
    return True


def _sync_folder(folder: str) -> None:
    """Have the new name reach the disk, where that can be asked for; the file is there already."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
