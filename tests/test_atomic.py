"""What is written beside other files: who may read it, what is left, what is not replaced."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading

import pytest
from compact_nets import random_model

from skactprune import load, save, to_onnx
from skactprune.deploy.atomic import write_atomically

pytestmark = pytest.mark.skipif(os.name != "posix", reason="of the file systems of POSIX")
WRITERS = [save, to_onnx]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


# -- what is no file ------------------------------------------------------------------------


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(
    ("make", "kind", "is_kind"),
    [(os.mkfifo, "a named pipe", stat.S_ISFIFO), (make_socket, "a socket", stat.S_ISSOCK)],
)
def test_pipes_and_sockets_are_left_alone(write, make, kind, is_kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make("special")
    os.symlink("special", "link")
    for name in ("special", "link"):
        with pytest.raises(OSError, match=f"Is no regular file but {kind}: '{name}'"):
            write(random_model(), name)
        assert is_kind(os.stat(name).st_mode)
    assert sorted(os.listdir()) == ["link", "special"]


@pytest.mark.parametrize("write", WRITERS)
def test_devices_are_left_alone(write, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(os.devnull)
    for path in (os.devnull, link):
        with pytest.raises(OSError, match="Is no regular file but a character device: .*'"):
            write(random_model(), path)
        assert stat.S_ISCHR(os.stat(path).st_mode)


def test_pipes_are_not_waited_for_when_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe' holds no valid compact model: .* a named pipe"):
        load(tmp_path / "pipe")


# -- who may read it ------------------------------------------------------------------------


@pytest.fixture
def modes(monkeypatch):
    """Permissions of files at every moment at which one could be opened with content in it."""
    seen = []

    def watched(call):
        def watch(descriptor, *args):
            seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
            return call(descriptor, *args)

        return watch

    def opened(*args, call=os.open, **kwargs):
        descriptor = call(*args, **kwargs)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "fsync", watched(os.fsync))
    return seen


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o666])
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
def test_nobody_may_read_more_than_the_old_file(path, modes, mode, umask):
    path.write_bytes(b"old")
    path.chmod(mode)
    before = os.umask(umask)
    try:
        write_atomically(path, b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert len(modes) >= 2
    assert [oct(seen) for seen in modes[:2] if seen & ~mode] == []


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_has_what_the_umask_leaves(path, modes, umask):
    before = os.umask(umask)
    try:
        write_atomically(path, b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    assert set(modes[:2]) == {0o666 & ~umask}


def test_what_a_group_may_read_is_for_no_other_group(path, monkeypatch):
    path.write_bytes(b"old")
    path.chmod(0o640)
    old = os.stat(path)
    monkeypatch.setattr(os, "fstat", lambda fd, call=os.fstat: Other(call(fd)))

    def refuse(*args):
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refuse)
    write_atomically(path, b"new")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert old.st_gid == os.stat(path).st_gid


class Other:
    """What os.fstat tells, but of a file of another group."""

    def __init__(self, status):
        self.status, self.st_gid = status, status.st_gid + 1

    def __getattr__(self, name):
        return getattr(self.status, name)


# -- what is left ---------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from skactprune.deploy.atomic import write_atomically
def die(*args):
    print(flush=True)
    if sys.argv[2] == "wait":
        sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)
os.fsync = die
write_atomically(sys.argv[1], b"another")
"""


def writing(path, then):
    command = [sys.executable, "-c", KILLED, str(path), then]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def finish(process):
    process.communicate()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("name", ["model.npz", "m" * 250, "*[a].^$"], ids=["short", "long", "odd"])
def test_what_killed_processes_left_is_removed_by_the_next(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"old")
    others = ["other", f".{name[:99]}.tmp", f".{name[:99]}.0123456789abcdef.tmp.npz", ".tmp"]
    for other in others:
        (tmp_path / other).write_bytes(b"of somebody")
    for _ in range(2):
        finish(writing(path, "die"))
    assert len(os.listdir(tmp_path)) > len(others) + 1
    assert path.read_bytes() == b"old"
    save(random_model(), path)
    assert sorted(os.listdir(tmp_path)) == sorted([name, *others])


def test_what_other_processes_are_writing_is_not_removed(tmp_path, path):
    process = writing(path, "wait")
    (temporary,) = os.listdir(tmp_path)
    write_atomically(path, b"new")
    assert sorted(os.listdir(tmp_path)) == sorted([temporary, path.name])
    finish(process)
    write_atomically(path, b"newer")
    assert os.listdir(tmp_path) == [path.name]


def test_what_only_looks_like_a_left_file_is_not_removed(tmp_path, path):
    names = [f".model.npz.{i:016x}.tmp" for i in range(3)]
    os.mkdir(tmp_path / names[0])
    os.mkfifo(tmp_path / names[1])
    (tmp_path / names[2]).symlink_to("other")
    write_atomically(path, b"new")
    assert sorted(os.listdir(tmp_path)) == sorted([path.name, *names])


def test_many_may_write_one_file_at_a_time(tmp_path, path):
    errors = []

    def write(byte):
        try:
            for _ in range(30):
                write_atomically(path, byte * 5000)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(bytes([i]),)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert os.listdir(tmp_path) == [path.name]
    content = path.read_bytes()
    assert content == content[:1] * 5000


def test_file_that_was_taken_for_a_stale_one_is_made_anew(path, monkeypatch):
    import fcntl

    calls = []

    def flock(descriptor, flags, call=fcntl.flock):
        calls.append(descriptor)
        if len(calls) == 1:
            raise BlockingIOError
        if len(calls) == 2:
            os.remove(next(path.parent.glob(".model*.tmp")))
            for left in path.parent.glob(".model*.tmp"):
                left.unlink()
        return call(descriptor, flags)

    monkeypatch.setattr(fcntl, "flock", flock)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert len(calls) >= 3


# -- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("kind", [str, os.fsencode], ids=["str", "bytes"])
def test_a_missing_folder_is_named_and_no_other_file(write, kind, tmp_path):
    path = kind(str(tmp_path / "no such folder" / "model"))
    with pytest.raises(FileNotFoundError) as error:
        write(random_model(), path)
    assert error.value.filename == path
    assert error.value.filename2 is None
    assert ".tmp" not in str(error.value)


@pytest.mark.parametrize("write", WRITERS)
def test_other_failures_name_the_file_that_was_asked_for(write, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError) as error:
        write(random_model(), tmp_path / "file" / "model")
    assert error.value.filename == str(tmp_path / "file" / "model")
    with pytest.raises(IsADirectoryError):
        write(random_model(), f"{tmp_path / 'new'}/")
    with pytest.raises(FileNotFoundError):
        write(random_model(), "")
    with pytest.raises(OSError, match=re.escape(f"too long: '{tmp_path}/{'m' * 256}'")):
        write(random_model(), tmp_path / ("m" * 256))

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied", *args[:1])

    monkeypatch.setattr("skactprune.deploy.atomic.os.replace", refuse)
    with pytest.raises(PermissionError) as error:
        write(random_model(), tmp_path / "model")
    assert error.value.filename == str(tmp_path / "model")
    assert os.listdir(tmp_path) == ["file"]


def test_folder_that_cannot_be_opened_is_no_failure(path, monkeypatch):
    """As in one that may be written to and searched, but not listed."""
    folder = str(path.parent)

    def opened(name, *args, call=os.open, **kwargs):
        if name == folder:
            raise PermissionError(13, "Permission denied", name)
        return call(name, *args, **kwargs)

    def listed(name):
        raise PermissionError(13, "Permission denied", name)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", opened)
        patch.setattr(os, "scandir", listed)
        write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


def test_folder_that_cannot_be_synced_is_no_failure(path, monkeypatch):
    def fsync(descriptor, call=os.fsync):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(22, "Invalid argument")
        return call(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


# -- names ----------------------------------------------------------------------------------


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(
    "name",
    [b"model", b"m" * 255, "\u00fc".encode() * 127, b"\xff\xfe model", b"a\n*", b"-"],
    ids=["bytes", "long", "long-utf-8", "no-utf-8", "odd", "dash"],
)
def test_names_of_any_kind(write, name, tmp_path):
    folder = os.fsencode(tmp_path)
    for path in (os.path.join(folder, name), os.fsdecode(os.path.join(folder, name))):
        for _ in range(2):
            write(random_model(), path)
            assert os.listdir(folder) == [name]
        if write is save:
            assert load(path).n_features_in_ == 8
        os.remove(path)


def test_relative_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_atomically("new", b"1")
    write_atomically(b"new", b"2")
    os.symlink("missing", "link")
    write_atomically("link", b"3")
    assert (tmp_path / "new").read_bytes() == b"2"
    assert (tmp_path / "missing").read_bytes() == b"3"
    assert os.path.islink("link")


def test_links_that_lead_nowhere_are_refused(tmp_path):
    link = tmp_path / "link"
    link.symlink_to("link")
    with pytest.raises(OSError, match="link'"):
        write_atomically(link, b"new")
    assert link.is_symlink()
