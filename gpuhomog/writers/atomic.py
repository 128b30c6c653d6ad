"""Atomic output: a file or folder appears whole under its name, or the name keeps what it had.

    .NAME.XXXXXXXX.part beside it → written → fsync → rename onto NAME → fsync of the folder

A reader of NAME therefore sees the previous output or the new one, whatever happens in between. The temporary
is removed on any exception; one that a killed process left is removed by the next write to the same name: its
owner held a lock (flock) that died with it. Folders (Zarr) are exchanged with their predecessor in one step.

In   the name, and what writes into a temporary path.
Out  nothing but the file. InputError where the output cannot be: no folder, not writable, the input itself.

>>> import tempfile
>>> folder = Path(tempfile.mkdtemp())
>>> with replacing(folder / "answer.txt") as temporary:
...     _ = temporary.write_text("42")
>>> [p.name for p in folder.iterdir()]
['answer.txt']
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..errors import InputError

try:
    import fcntl
except ImportError:  # a system without flock: what a killed process left stays there
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".part"


def inputs_of(provenance: Iterable[Mapping[str, Any]]) -> list[Path]:
    """The files that the steps of a provenance name as `path`."""
    return [Path(step["path"]) for step in provenance if isinstance(step.get("path"), str)]


def check_target(path: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]] = ()) -> Path:
    """The path with symbolic links followed, if an output can be written there; writes nothing.

    Raises InputError if its folder does not exist or cannot be written, if the name belongs to something that is
    not a file or folder or is protected against writing, or if it is one of the inputs (under any name).
    """
    target = Path(os.path.realpath(path))
    folder = target.parent
    if not target.name:
        raise InputError(f"{path}: names no file. Give the name of the output.")
    if not folder.is_dir():
        raise InputError(f"{path}: the folder {folder} does not exist. Create it, or choose another.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{path}: the folder {folder} cannot be written. Choose another, or change its permissions.")
    if target.exists() and not (target.is_file() or target.is_dir()):
        raise InputError(f"{path}: is a device or pipe, which cannot be replaced whole. Give the name of a file.")
    if target.exists() and not os.access(target, os.W_OK):
        raise InputError(f"{path}: is there, and is not to be written to. Choose another, or change its permissions.")
    for source in inputs:
        known = Path(source)
        if target == Path(os.path.realpath(known)) or (
            target.exists() and known.exists() and os.path.samefile(target, known)
        ):
            raise InputError(f"{path}: is the input {source}; it would be overwritten. Choose another name.")
    return target


@contextmanager
def replacing(path: str | os.PathLike[str], *, folder: bool = False) -> Iterator[Path]:
    """A temporary path to fill (an empty file, or an empty folder), which becomes `path` when the block succeeds.

    Raises InputError as check_target does, and where the system refuses a write (disk full, quota), in which
    case `path` keeps what it had.
    """
    target = check_target(path)
    if target.is_dir() != folder and target.exists():
        kind, other = ("folder", "file") if target.is_dir() else ("file", "folder")
        raise InputError(f"{path}: is a {kind}, and the output is a {other}. Remove it, or choose another name.")
    try:
        _remove_abandoned(target)
        temporary, lock = _create(target, folder)
    except OSError as error:
        raise refused(path, error) from error
    try:
        yield temporary
        if not folder and target.exists():
            os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
        _sync(temporary)
        if folder and target.exists():
            _exchange(temporary, target)
        else:
            os.replace(temporary, target)
        _sync_one(target.parent)
    except OSError as error:
        raise refused(path, error) from error
    finally:
        _remove(temporary)
        os.close(lock)


def refused(path: str | os.PathLike[str], error: OSError) -> InputError:
    """What is raised where the system refused to write."""
    reason = error.strerror or str(error)
    return InputError(
        f"{path}: could not be written ({reason}); what stood under this name before is unchanged. "
        "Make room or choose another folder."
    )


def reserve(path: Path, n_bytes: int) -> None:
    """Give a file its size, and room on the disk where the system can; OSError if there is not so much."""
    os.truncate(path, n_bytes)
    fallocate = getattr(ctypes.CDLL(None, use_errno=True), "fallocate64", None) if os.name == "posix" else None
    if fallocate is None:
        return
    descriptor = os.open(path, os.O_WRONLY)
    try:
        refusal = fallocate(descriptor, 0, ctypes.c_int64(0), ctypes.c_int64(n_bytes)) and ctypes.get_errno()
    finally:
        os.close(descriptor)
    if refusal in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):  # any other: a file system that does not reserve
        raise OSError(refusal, os.strerror(refusal))


def _create(target: Path, folder: bool) -> tuple[Path, int]:
    """A new temporary and the descriptor that locks it; tried again if a cleaner was faster than the lock."""
    while True:
        temporary = target.with_name(f".{target.name}.{uuid4().hex[:8]}{SUFFIX}")
        if folder:
            temporary.mkdir()
            try:
                descriptor = os.open(temporary, os.O_RDONLY)
            except FileNotFoundError:
                continue
        else:
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        if _lock(descriptor) is not False and temporary.exists():
            return temporary, descriptor
        os.close(descriptor)


def _lock(descriptor: int) -> bool | None:
    """True if locked now, False if another process holds it, None where the file system has no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _remove_abandoned(target: Path) -> None:
    """Remove temporaries of this name whose owner is gone."""
    for found in target.parent.glob(f".{escape(target.name)}.????????{SUFFIX}"):
        with suppress(OSError):
            descriptor = os.open(found, os.O_RDONLY)
            try:
                if _lock(descriptor):
                    _remove(found)
            finally:
                os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    if path.is_dir():
        for folder, _, names in os.walk(path):
            for name in names:
                _sync_one(Path(folder, name))
            _sync_one(Path(folder))
    else:
        _sync_one(path)


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exchange(new: Path, old: Path) -> None:
    """Swap two folders: at once where the kernel can (renameat2), else by two renames."""
    current_folder, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of <linux/fs.h>
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if os.name == "posix" else None
    if rename is not None:
        names = os.fsencode(new), os.fsencode(old)
        if rename(current_folder, names[0], current_folder, names[1], exchange) == 0:
            return
    aside = new.with_name(f"{new.name}.old")
    os.rename(old, aside)
    try:
        os.rename(new, old)
    except OSError:
        os.rename(aside, old)
        raise
    os.rename(aside, new)
