"""Checkpoint: what a long run has found so far, in a folder beside its first output, so that nothing is lost.

    OUT.part/manifest.json       schema, version, the inputs (path, size, time, digest), the options of every task,
                                 the number of ranks; and a digest of all that
    OUT.part/pass-N-rank-R       of pass N: whose it is (digest of the manifest, N, R), the planes done so far, the
                                 names of all reductions, their partial results

Every file is written beside, synced, renamed; a digest of its content stands at its end. A pass file holds the sums
of all chunks so far, so it is replaced, not collected, and as seldom as keeps its cost below 2 %. Rank 0 holds a lock
on the folder (flock), which a killed process gives up. The folder is removed when the run is done.

In   facts about a run; partial results.
Out  the same partial results, for the same facts. InputError where anything differs or was altered, or is in use.

>>> import tempfile
>>> folder = Path(tempfile.mkdtemp()) / "out.h5.part"
>>> with Checkpoint(folder, {"options": "the same"}) as kept:
...     kept.save(1, ["sums"], 7, [[(0, 0, [np.arange(3.0)])]])
>>> with Checkpoint(folder, {"options": "the same"}) as kept:
...     kept.load(1, ["sums"])
(7, [[(0, 0, [array([0., 1., 2.])])]])
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from .._version import __version__
from ..errors import InputError
from ..parallel import Comm, Serial, agreed

try:
    import fcntl
except ImportError:  # a system without flock: two runs at once are then not noticed
    fcntl = None  # type: ignore[assignment]

SCHEMA = 1
SECONDS = "GPUHOMOG_CHECKPOINT_SECONDS"
"""Environment variable: seconds between two checkpoints at least; 0 keeps every chunk."""
USUAL_SECONDS = 5.0
DEAREST = 50
"""A checkpoint that took t seconds is followed by as many times t without one."""
SAMPLES, SAMPLE_BYTES = 64, 4096

Nodes = list[tuple[int, int, list[NDArray[Any]]]]
"""Partial results: (level, number, arrays) of the nodes of a tree, or one for all planes so far."""


def identity_of(path: Path) -> dict[str, Any]:
    """What a file is recognised by: name, size, time, digest of its beginning, its end and some blocks between."""
    where = Path(os.path.realpath(path))
    files = sorted(p for p in where.rglob("*") if p.is_file()) if where.is_dir() else [where]
    digest, size, latest = blake2b(digest_size=16), 0, 0
    for file in files:
        state = file.stat()
        size, latest = size + state.st_size, max(latest, state.st_mtime_ns)
        digest.update(f"{file.relative_to(where)} {state.st_size}\n".encode())
    for file in files if len(files) == 1 else files[:: max(1, len(files) // SAMPLES)]:
        n = file.stat().st_size
        with file.open("rb") as stream:
            for sample in range(SAMPLES if len(files) == 1 else 1):
                stream.seek(max(0, n - SAMPLE_BYTES) * sample // (SAMPLES - 1))
                digest.update(stream.read(SAMPLE_BYTES))
    return {"path": str(where), "size": size, "mtime_ns": latest, "digest": digest.hexdigest()}


class Checkpoint:
    """The folder of one run; see the module. A context: leaving it gives up the lock.

    folder  OUT.part
    facts   what must be the same for a run to go on: plain values, told apart by their path ("inputs, 1, size")
    comm    all ranks come here together; each keeps its own planes' results
    fresh   True: what was kept before is discarded
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any], comm: Comm | None = None, fresh: bool = False) -> None:
        self.folder, self.comm = folder, comm or Serial()
        self._facts = json.loads(
            json.dumps({"schema": SCHEMA, "gpuhomog": __version__, "ranks": self.comm.size, **facts})
        )
        self._lock: int | None = None
        given = os.environ.get(SECONDS, "")
        self._seconds = float(given) if given.replace(".", "", 1).isdigit() else USUAL_SECONDS
        self._next = time.monotonic() + self._seconds
        try:
            with agreed(self.comm):
                if self.comm.rank == 0:
                    self._open(fresh)
        except Exception:
            self.close()
            raise

    def _open(self, fresh: bool) -> None:
        """The folder of this run, with what an interrupted one has left; InputError where it cannot be."""
        manifest = self.folder / "manifest.json"
        try:
            self._take_folder()
            others = [file for file in self.folder.iterdir() if file != manifest and not file.name.startswith("pass-")]
            if others and not all(file.name.endswith(".new") for file in others):
                raise InputError(
                    f"{self.folder}: holds {others[0].name}, which no run of this program has put there. Move it away, "
                    "or choose another output."
                )
            if fresh or not manifest.exists():
                for file in self.folder.iterdir():
                    file.unlink()
                stated = {"facts": self._facts, "digest": _digest_of(self._facts)}
                _replace(manifest, [json.dumps(stated, ensure_ascii=False, indent=1).encode()])
            else:
                self._check_manifest(manifest)
        except OSError as error:
            raise self._refused(error) from None

    def _take_folder(self) -> None:
        """The folder, locked for this run."""
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(
                f"{self.folder}: is a file, but what is found on the way would be kept in a folder of this name. Move "
                "it away, or choose another output."
            )
        self.folder.mkdir(exist_ok=True)
        lock = os.open(self.folder, os.O_RDONLY)
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)  # what is there is the other run's, and stays
                raise InputError(
                    f"{self.folder}: another run is at work on this output. Wait for it, or choose another output."
                ) from None
            except OSError:  # a file system without locks
                pass
        self._lock = lock

    def _check_manifest(self, manifest: Path) -> None:
        """InputError where what was kept is of another run."""
        try:
            known = json.loads(manifest.read_text(encoding="utf-8"))
            facts, is_whole = known["facts"], known["digest"] == _digest_of(known["facts"])
        except (ValueError, KeyError, TypeError):
            is_whole = False
        if not is_whole:
            raise InputError(f"{manifest}: was altered or damaged. Discard what was kept with fresh=True.")
        different = list(_differences(facts, self._facts))
        changed = _changed_inputs(facts, self._facts)
        if different and changed:
            raise InputError(
                f"{self.folder}: keeps what was found of {changed} before that file was changed "
                f"({'; '.join(different[:4])}), which may be other planes than are there now. Discard it with "
                "fresh=True, or choose another output."
            )
        if different:
            raise InputError(
                f"{self.folder}: keeps the state of another run: {'; '.join(different[:4])}. Run it as it was to go "
                "on, choose another output, or discard what was kept with fresh=True."
            )

    def is_due(self) -> bool:
        """True if it is time for another checkpoint."""
        return time.monotonic() >= self._next

    def save(self, number: int, names: Sequence[str], done: int, results: Sequence[Nodes]) -> None:
        """Keep the partial results of pass `number`, all planes before `done` included; InputError if it cannot be."""
        begun = time.monotonic()
        parts, arrays = [], []
        for name, nodes in zip(names, results, strict=True):
            described = [[level, k, [[a.dtype.str, list(a.shape)] for a in part]] for level, k, part in nodes]
            parts.append({"name": name, "nodes": described})
            arrays += [np.ascontiguousarray(a) for _, _, part in nodes for a in part]
        head = json.dumps({**self._place(number), "planes": done, "parts": parts}, ensure_ascii=False).encode() + b"\n"
        try:
            _replace(self._file(number), [head, *(array.data.cast("B") for array in arrays if array.size)])
        except OSError as error:
            raise self._refused(error) from None
        took = time.monotonic() - begun
        self._next = time.monotonic() + max(self._seconds, DEAREST * took if self._seconds else 0.0)

    def load(self, number: int, names: Sequence[str]) -> tuple[int, list[Nodes]] | None:
        """Planes done and partial results of pass `number`, as saved; None if nothing was."""
        file = self._file(number)
        if not file.exists():
            return None
        altered = InputError(f"{file}: was altered or damaged. Discard what was kept with fresh=True.")
        with file.open("rb") as stream:
            if not _is_whole(stream):
                raise altered
            stream.seek(0)
            head = json.loads(stream.readline())
            if any(head.get(key) != value for key, value in self._place(number).items()):
                raise InputError(
                    f"{file}: is the file of another run, pass or rank, put here under this name. Discard what was "
                    "kept with fresh=True."
                )
            if [part["name"] for part in head["parts"]] != list(names):
                raise InputError(
                    f"{file}: keeps the results of other reductions than this run makes. Discard them with fresh=True."
                )
            results: list[Nodes] = [
                [(level, k, [_read_array(stream, *one) for one in described]) for level, k, described in part["nodes"]]
                for part in head["parts"]
            ]
        return head["planes"], results

    @property
    def holds_results(self) -> bool:
        """True if there is something to go on from."""
        return any(self.folder.glob("pass-*-rank-*"))

    def remove(self) -> None:
        """The run is done: nothing of it is left, and the lock is given up."""
        if self._lock is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            os.close(self._lock)
            self._lock = None  # a folder of this name is another run's from now on

    def close(self) -> None:
        """Give up the lock; a folder that keeps nothing goes."""
        if self._lock is None:
            return
        with suppress(OSError):
            if not self.holds_results and not any(self.folder.glob("*.new")):
                (self.folder / "manifest.json").unlink(missing_ok=True)
                self.folder.rmdir()
        os.close(self._lock)
        self._lock = None

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _file(self, number: int) -> Path:
        return self.folder / f"pass-{number}-rank-{self.comm.rank}"

    def _place(self, number: int) -> dict[str, Any]:
        """Which run, pass and rank a file belongs to."""
        return {"run": _digest_of(self._facts), "pass": number, "rank": self.comm.rank}

    def _refused(self, error: OSError) -> InputError:
        return InputError(
            f"{self.folder}: what was found so far could not be kept ({error.strerror or error}); what was kept before "
            "is unchanged, and so is the output. Make room, then run the same command again to go on."
        )


def _digest_of(facts: Any) -> str:
    return blake2b(json.dumps(facts, sort_keys=True, ensure_ascii=False).encode(), digest_size=16).hexdigest()


def _differences(kept: Any, now: Any, where: str = "") -> Any:
    """One clause for each fact that differs."""
    if isinstance(kept, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*kept, *now]):
            yield from _differences(kept.get(key), now.get(key), f"{where} {key}".strip())
    elif isinstance(kept, list) and isinstance(now, list) and len(kept) == len(now):
        for number, pair in enumerate(zip(kept, now, strict=True), 1):
            yield from _differences(*pair, f"{where} {number}".strip())
    elif kept != now:
        shown = ["not given" if value is None else str(value) for value in (kept, now)]
        yield f"{where} was {shown[0]} and is {shown[1]}"


def _changed_inputs(kept: Any, now: Any) -> str:
    """The inputs of another content, where nothing else differs."""
    before, after = kept.get("inputs", []), now.get("inputs", [])
    if {**kept, "inputs": []} != {**now, "inputs": []} or [one["path"] for one in before] != [
        one["path"] for one in after
    ]:
        return ""
    return ", ".join(one["path"] for one, other in zip(before, after, strict=True) if one != other)


def _replace(target: Path, content: Sequence[Any]) -> None:
    """Write a file whole or not at all, with the digest of its content behind it where it is no JSON."""
    beside = target.with_name(f"{target.name}.new")
    digest = blake2b(digest_size=32)
    try:
        with open(beside, "wb") as stream:
            for piece in content:
                stream.write(piece)
                digest.update(piece)
            if target.suffix != ".json":
                stream.write(digest.digest())
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(beside, target)
    except OSError:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
    descriptor = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_whole(stream: IO[bytes]) -> bool:
    """True if the digest at the end is that of what stands before it."""
    digest = blake2b(digest_size=32)
    left = stream.seek(0, os.SEEK_END) - digest.digest_size
    stream.seek(0)
    while left > 0:
        piece = stream.read(min(left, 2**20))
        digest.update(piece)
        left -= len(piece)
    return left == 0 and stream.read() == digest.digest()


def _read_array(stream: IO[bytes], dtype: str, shape: Sequence[int]) -> NDArray[Any]:
    """The next array of a state."""
    array = np.empty(shape, dtype)
    if array.size:
        stream.readinto(array.data.cast("B"))  # type: ignore[attr-defined]
    return array
