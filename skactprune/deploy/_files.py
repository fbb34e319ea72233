"""Files that are either the old or the new one, never half of one."""

import contextlib
import errno
import os
import secrets


def write_atomically(path, content):
    """Put `content` into the file `path`, which holds its old content until all of it is on disk.

    The new content goes into a file beside it, reaches the disk, and is then renamed. A process
    killed in between leaves the old file, and perhaps a ``.tmp`` beside it.

    Parameters
    ----------
    path : str or path-like
        File to write; where it is a symbolic link, the file that this points to.
    content : bytes
        What it shall hold.

    Raises
    ------
    IsADirectoryError
        If `path` is a directory.
    """
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    path = os.path.realpath(os.fspath(path))
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{secrets.token_hex(8)}.tmp")
    try:
        # Unlike tempfile's, this file has the permissions that a plain open() would give it.
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            os.chmod(temporary, os.stat(path).st_mode & 0o7777)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)
        raise
    if os.name == "posix":
        directory = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
