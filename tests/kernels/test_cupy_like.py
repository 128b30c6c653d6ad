"""The stand-in for CuPy refuses what CuPy refuses."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cupy_like import CuPyLike, DeviceArray

xp = CuPyLike()
there, here = xp.asarray(np.ones((2, 3))), np.ones((2, 3))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: there + here,
        lambda: here + there,
        lambda: np.add(there, here),
        lambda: np.asarray(there),
        lambda: np.concatenate([there, here]),
        lambda: xp.concatenate([there, here]),
        lambda: xp.sum(here),
        lambda: there[np.array([0, 1])],
        lambda: there.__setitem__(slice(None), here),
        lambda: there.tolist(),
        lambda: xp.errstate(over="ignore"),
        lambda: xp.bincount(there, minlength=3),
    ],
)
def test_refusals(wrong):
    with pytest.raises((TypeError, AttributeError)):
        wrong()


def test_allowed():
    assert isinstance(there.sum(), DeviceArray) and float(there.sum()) == 6
    assert isinstance(np.float64(2) * there, DeviceArray) and isinstance(np.sqrt(there), DeviceArray)
    assert isinstance(there[0, 0], DeviceArray) and isinstance(xp.fft.rfftn(there), DeviceArray)
    there[1] = there[0] * 2.0
    assert there.get().tolist() == [[1, 1, 1], [2, 2, 2]] and there.flags.c_contiguous
    there[...] = 1.0
    assert isinstance(abs(-there) > 0, DeviceArray) and bool(xp.isnan(there).any()) is False


ASKED_OF_CUPY = """
    ndarray get_default_memory_pool cuda.alloc_pinned_memory cuda.Event cuda.get_current_stream cuda.UnownedMemory
    cuda.MemoryPointer cuda.MemoryPointer.copy_from_host_async cuda.runtime.malloc cuda.runtime.free
    cuda.runtime.ipcGetMemHandle cuda.runtime.ipcOpenMemHandle cuda.runtime.ipcCloseMemHandle
    cuda.runtime.getDeviceProperties cuda.Event.record cuda.Event.synchronize
    cuda.Stream cuda.Stream.wait_event cuda.Stream.synchronize fft.config.get_plan_cache ndarray.set cuda.Device.use
    cuda.Stream.use
"""


@pytest.mark.parametrize("name", ASKED_OF_CUPY.split())
def test_what_transports_ask_of_cupy_is_there(name):
    """CuPy can be imported without a GPU: at least its words are right."""
    found = pytest.importorskip("cupy", reason="CuPy is not installed")
    for part in name.split("."):
        found = getattr(found, part)


def test_options_of_cupy_are_those_documented():
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    assert "get(self, stream=None, order='C', out=None, blocking=True)" in cupy.ndarray.get.__doc__
    assert "disable_timing" in cupy.cuda.Event.__doc__ and "non_blocking" in cupy.cuda.Stream.__doc__
    assert "record(self, stream=None)" in cupy.cuda.Event.record.__doc__
    assert "(self, mem, size_t size, stream=None)" in cupy.cuda.MemoryPointer.copy_from_host_async.__doc__
    assert "UnownedMemory(intptr_t ptr, size_t size, owner, int device_id=-1)" in cupy.cuda.UnownedMemory.__doc__


def test_numbers_and_structs_are_passed_as_they_are(rng):
    """Kernels take them by value; of structs the documentation says nothing."""
    scalars = pytest.importorskip("cupy._core._scalar", reason="CuPy is not installed")
    line = np.zeros(3, np.dtype([("head", np.float64, (9,)), ("rest", np.int32)], align=True))
    line["head"], line["rest"] = rng.normal(size=(3, 9)), 5
    constants = np.zeros((), [("at", np.float64, 512)])
    constants["at"] = rng.normal(size=512)
    numbers = [np.int32(5), np.int64(-6), np.float32(0.1), np.float64(0.1), np.uint64(7), np.uintp(0)]
    for value in (*numbers, *line, constants[()]):
        passed = scalars.CScalar(value)
        assert np.frombuffer(ctypes.string_at(passed.ptr, value.nbytes), value.dtype)[0] == value


def test_tests_of_a_gpu_are_rehearsed(sanitizers):
    here = Path(__file__).parent
    command = [sys.executable, "-m", "pytest", "-q", "-p", "pretended", "-p", "no:cacheprovider", "-m", "gpu"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parents[1])])}
    done = subprocess.run(
        [*command, str(here / "test_line_power.py")],
        capture_output=True,
        text=True,
        env=environment,
        cwd=here.parents[1],
    )
    assert "24 passed" in done.stdout and "skipped" not in done.stdout, done.stdout
