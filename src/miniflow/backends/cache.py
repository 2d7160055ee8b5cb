"""Machine code on disk, so that a kernel, or a program for JAX's devices, is compiled once and not
once a process.

Entries lie in the user's own cache folder, named after a hash of all that they depend on; so an
upgrade finds none of the old ones, and two processes that write the same entry write the same
bytes. A file holds a checksum and then the code; one that was cut short, or written to, is compiled
anew. Where nothing can be written (a read-only home, a full disk), each process compiles for
itself.

What lies there is run, and a checksum finds accidents, not forgers. So the folder is used only if
it is the user's alone: it and the folders above it belong to the user or to the system, and nobody
else may write there. Else no entries are kept, and a warning says why.

The folder can be deleted at any time. It is ``miniflow`` in XDG_CACHE_HOME (by default
``~/.cache``), in ``~/Library/Caches`` on macOS, in LOCALAPPDATA on Windows; the environment
variable MINIFLOW_CACHE names another one, or says ``off``.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from miniflow.errors import shown
from miniflow.files.atomic import write_bytes


class CacheWarning(UserWarning):
    """Compiled code is not kept, since others could write to the folder where it would lie."""


def folder(kind: str = "native") -> Path | None:
    """Return the folder of a backend's entries, which need not exist; None: none are kept.

    Warns with a `CacheWarning` if others than the user could write there.
    """
    chosen = _chosen_folder(kind)
    if chosen is None:
        return None
    chosen = Path(os.path.realpath(chosen))
    danger = _others_who_may_write(chosen)
    if danger is None:
        return chosen
    warnings.warn(
        f"Compiled code is not kept in {shown(chosen)}: {danger}. Name a folder of your own in "
        "MINIFLOW_CACHE, or say MINIFLOW_CACHE=off.",
        CacheWarning,
        stacklevel=2,
    )
    return None


def is_off() -> bool:
    """Whether the user has said that nothing is kept."""
    return os.environ.get("MINIFLOW_CACHE", "") == "off"


def _chosen_folder(kind: str) -> Path | None:
    setting = os.environ.get("MINIFLOW_CACHE", "")
    if is_off():
        return None
    if setting:
        return Path(setting) / kind
    user = _user_cache()
    return user / "miniflow" / kind if user else None


def _others_who_may_write(path: Path) -> str | None:
    """Say who else could put code into a folder, or a folder in its place; None: nobody."""
    if os.name != "posix":  # folders of a Windows user are the user's, by inheritance
        return None
    me = os.getuid()
    for place in (path, *path.parents):
        try:
            found = place.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue  # it is made with mode 0700
        except OSError as error:
            return f"{shown(place)} cannot be looked at ({error.strerror})"
        if not stat.S_ISDIR(found.st_mode):
            return f"{shown(place)} is no folder"
        if found.st_uid not in (me, 0):
            return f"{shown(place)} belongs to another user"
        # In a sticky folder, such as /tmp, nobody can replace what is another's.
        is_safe_above = place != path and found.st_mode & stat.S_ISVTX
        if _is_writable_by_others(found) and not is_safe_above:
            return f"others may write to {shown(place)}"
    return None


def _is_writable_by_others(found: os.stat_result) -> bool:
    is_group_of_one = found.st_gid == found.st_uid == os.getuid()  # as many systems have it
    others = stat.S_IWOTH | (0 if is_group_of_one else stat.S_IWGRP)
    return bool(found.st_mode & others)


def _user_cache() -> Path | None:
    try:
        home = Path.home()
    except RuntimeError:  # a user without a home
        return None
    if sys.platform == "win32":
        default, variable = home / "AppData" / "Local", "LOCALAPPDATA"
    elif sys.platform == "darwin":
        default, variable = home / "Library" / "Caches", ""
    else:
        default, variable = home / ".cache", "XDG_CACHE_HOME"
    chosen = Path(os.environ.get(variable, "")) if variable else default
    return chosen if chosen.is_absolute() else default


def read(key: str, kind: str = "native") -> bytes | None:
    """Return what is stored under a key, None if nothing is, or nothing whole."""
    return next(iter(read_all([key], kind)))


def read_all(keys: Iterable[str], kind: str = "native") -> Iterator[bytes | None]:
    """Yield the same of several keys."""
    where = folder(kind)
    for key in keys:
        yield None if where is None else _read(where, key)


def _read(where: Path, key: str) -> bytes | None:
    try:
        with open(where / key, "rb") as file:
            found = os.fstat(file.fileno())
            if os.name == "posix" and (
                found.st_uid not in (os.getuid(), 0) or _is_writable_by_others(found)
            ):
                return None
            content = file.read()
    except OSError:
        return None
    checksum, data = content[:32], content[32:]
    return data if hashlib.sha256(data).digest() == checksum else None


def write(key: str, data: bytes, kind: str = "native") -> None:
    """Store `data` under a key, or do nothing where that is not possible."""
    where = folder(kind)
    if where is None:
        return
    with contextlib.suppress(OSError):
        for place in (*reversed(where.parents), where):  # `parents=True` would forget the mode
            if not place.exists():
                place.mkdir(mode=0o700, exist_ok=True)
        write_bytes(where / key, hashlib.sha256(data).digest() + data, flushed=False)
