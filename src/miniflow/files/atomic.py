"""Files that are either the old one or the new one, never half of each.

A training run can be stopped at any moment, by Ctrl-C, a full disk or a power cut, and what it
wrote before must still be there. So nothing is ever written into a file that exists. The new
contents go to a temporary file in the same folder (the same folder, because a file can only be
renamed in one step within one file system), are flushed to the disk, and only then take the old
file's name; `os.replace` promises that a reader meets one or the other. If anything goes wrong on
the way the temporary file is removed, and the error names the file that was meant, not the
temporary one.
"""

import contextlib
import errno
import glob
import os
import secrets
import stat
import zlib

Path = str | os.PathLike[str]


def write_bytes(
    path: Path, data: bytes, *, old_to: Path | None = None, flushed: bool = True
) -> None:
    r"""Replace the file at `path` by one that holds `data`, in one step.

    The folder must exist. A file that is replaced keeps its permissions; a new one gets those that
    the user's umask gives. A symbolic link stays, and the file that it points to is replaced.

    With `old_to` the old file is kept under that name, in the same folder. It is moved when the new
    one is already on the disk, so that these are two steps: a process that is killed between them
    leaves the old file there.

    What can be made again need not be `flushed` to the disk, which takes milliseconds: a power cut
    may then leave less of it, and whoever reads it must notice.

    Raises `OSError` (or the subclass that fits: `FileNotFoundError` for a missing folder,
    `PermissionError`, ...), whose `filename` is `path`, if the file cannot be written; then the old
    file is as it was. Devices and pipes are refused, for putting a file in their place is not what
    was meant.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "history.csv")
    ...     write_bytes(path, b"epoch,loss\n")
    ...     path.read_bytes()
    b'epoch,loss\n'
    """
    try:
        _replace(os.path.realpath(path), data, old_to, flushed)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def write_text(path: Path, text: str) -> None:
    """Replace the file at `path` by one that holds `text` in UTF-8, as `write_bytes` does.

    Line ends are written as they are.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "note.txt")
    ...     write_text(path, "σ(0) = ½")
    ...     path.read_text(encoding="utf-8")
    'σ(0) = ½'
    """
    write_bytes(path, text.encode("utf-8"))


def remove_leftovers(path: Path) -> None:
    """Remove what killed processes were writing when they meant to replace the file at `path`.

    Nobody else may be writing that file now.
    """
    target = os.path.realpath(path)
    for leftover in glob.glob(f"{glob.escape(_temporary(target))}*.part", include_hidden=True):
        with contextlib.suppress(OSError):
            os.unlink(leftover)


def _temporary(target: str) -> str:
    """How temporary files for `target` begin: names of one length, however long the target's is."""
    folder, name = os.path.split(target)
    return os.path.join(folder, f".miniflow-{zlib.crc32(os.fsencode(name)):08x}-")


def _replace(target: str, data: bytes, old_to: Path | None, flushed: bool) -> None:
    permissions = _permissions_of_regular_file(target)
    temporary = f"{_temporary(target)}{secrets.token_hex(8)}.part"
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            if flushed:
                os.fsync(file.fileno())
        if permissions is not None:
            os.chmod(temporary, permissions)
        if old_to is None or permissions is None:
            os.replace(temporary, target)
        else:
            _replace_both(temporary, target, os.fspath(old_to))
    finally:  # after a success there is nothing left to remove
        with contextlib.suppress(OSError):
            os.unlink(temporary)
    if flushed:
        _flush_folder(os.path.dirname(target))


def _replace_both(temporary: str, target: str, old_to: str) -> None:
    os.replace(target, old_to)
    try:
        os.replace(temporary, target)
    except BaseException:
        os.replace(old_to, target)
        raise


def _permissions_of_regular_file(path: str) -> int | None:
    """Return the permission bits of the file at `path`, None if there is no such file."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "Not a regular file")
    return stat.S_IMODE(mode)


def _flush_folder(folder: str) -> None:
    """Have the new name, too, survive a power cut; where a system cannot, the file is whole."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
