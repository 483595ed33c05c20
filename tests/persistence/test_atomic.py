"""A file is there in full, or what was there before still is."""

import os
import stat
import subprocess
import sys

import pytest

from skrgvae.persistence.atomic import remove_leftovers, write_atomically


def test_a_new_file_and_a_replaced_one(tmp_path):
    path = tmp_path / "a"
    write_atomically(path, b"one")
    assert path.read_bytes() == b"one"
    write_atomically(str(path), bytearray(b"two"))
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_are_those_of_any_file_or_of_the_old_one(tmp_path):
    path, other = tmp_path / "a", tmp_path / "b"
    other.touch()
    write_atomically(path, b"one")
    assert path.stat().st_mode == other.stat().st_mode
    path.chmod(0o640)
    write_atomically(path, b"two")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "a")
    write_atomically(tmp_path / "link", b"one")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "a").read_bytes() == b"one"


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="files without a name are Linux's")
def test_a_file_has_no_name_until_it_is_complete(tmp_path, monkeypatch):
    seen, fsync = [], os.fsync

    def look(descriptor):
        seen.append(list(tmp_path.iterdir()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    write_atomically(tmp_path / "a", b"one")
    assert seen == [[], [tmp_path / "a"]]  # the file's, the folder's


def test_where_every_file_has_a_name(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    write_atomically(tmp_path / "a", b"one")
    assert (tmp_path / "a").read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_where_no_file_can_be(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"folder does not exist.*nowhere"):
        write_atomically(tmp_path / "nowhere" / "a", b"one")
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path, b"one")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        write_atomically(tmp_path / "pipe", b"one")


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_the_old_file_outlives_a_failure(tmp_path, monkeypatch, function):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, function, full)
    with pytest.raises(OSError, match=r"No space left on device: .*a'") as caught:
        write_atomically(path, b"new")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_disk_is_full_in_the_middle_of_a_file(tmp_path):
    """As far as it can be had without a disk of one's own: a limit on the size of files."""
    path = tmp_path / "a"
    path.write_bytes(b"old")
    code = (
        "import resource, sys\n"
        "from skrgvae.persistence.atomic import write_atomically\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "try:\n"
        "    write_atomically(sys.argv[1], bytes(1_000_000))\n"
        "except OSError as error:\n"
        "    print(error.filename == sys.argv[1], error.strerror)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "True File too large\n"
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(
    hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere"
)
def test_a_folder_that_must_not_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="a'"):
        write_atomically(tmp_path / "a", b"one")


class Killed(BaseException):
    """Nothing catches it, and nothing is cleaned up after it."""


def test_leftovers_of_a_killed_process_are_removed(tmp_path, monkeypatch):
    path, other = tmp_path / "a", tmp_path / "b"

    def die(*paths):
        raise Killed

    with monkeypatch.context() as killed:
        killed.setattr(os, "replace", die)
        killed.setattr(type(path), "unlink", lambda self, missing_ok: None)
        for target in (path, other):
            with pytest.raises(Killed):
                write_atomically(target, b"one")
    write_atomically(path, b"two")
    assert len(list(tmp_path.iterdir())) == 3
    remove_leftovers(path)
    assert len(list(tmp_path.iterdir())) == 2  # another file's stays, which may be being written
    assert path.read_bytes() == b"two"


def test_a_new_file_that_was_taken_for_a_leftover_is_written_again(tmp_path, monkeypatch):
    path, replace, seen = tmp_path / "a", os.replace, []

    def remove_first(new, target):
        if not seen:
            seen.append(new)
            remove_leftovers(path)
        replace(new, target)

    monkeypatch.setattr(os, "replace", remove_first)
    write_atomically(path, b"one")
    assert seen and path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]
