"""Choosing a device: names, the environment, and the one reason why there is no GPU."""

import builtins
import importlib.util
import os
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog import device as devices
from gpuhomog.device import choose_device, compiled_kernels, describe_gpus, why_no_gpu
from gpuhomog.device.gpu import GPU, runtime
from gpuhomog.device.node import RANKS
from gpuhomog.errors import DeviceError


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_a_transport_that_does_not_exist_is_refused_where_none_is_needed(monkeypatch, device):
    monkeypatch.setenv("GPUHOMOG_TRANSPORT", "smoke")
    with pytest.raises(DeviceError, match='"smoke", which is no transport: choose ipc, nccl, mpi or staged, or unset'):
        choose_device(device)
    for known in ("", " ", "ipc", "nccl", "mpi", "staged"):
        monkeypatch.setenv("GPUHOMOG_TRANSPORT", known)
        assert choose_device(device).name == "cpu"


class CUDARuntimeError(RuntimeError):
    def __init__(self, status):
        super().__init__(f"cudaError{status}: some words of CUDA")
        self.status = status


class Machine:
    """What a stand-in for CuPy says of a machine; no GPU of it computes."""

    def __init__(self, count=2, error=None, driver=13000):
        self.count, self.error, self.driver, self.current = count, error, driver, None

    def module(self):
        machine = self

        def device_count():
            if machine.error is not None:
                raise CUDARuntimeError(machine.error)
            return machine.count

        class Device:
            compute_capability = "90"
            mem_info = (60 << 30, 80 << 30)

            def __init__(self, number):
                self.number = number
                self.attributes = {
                    "MultiProcessorCount": 132,
                    "MaxSharedMemoryPerBlockOptin": 232448,
                    "L2CacheSize": 50 << 20,
                }

            def use(self):
                machine.current = self.number

        found = ModuleType("cupy")
        found.__spec__ = ModuleSpec("cupy", None)
        found.__version__ = "14.2.0"
        found.ndarray = np.ndarray
        found.cuda = SimpleNamespace(
            Device=Device,
            runtime=SimpleNamespace(
                CUDARuntimeError=CUDARuntimeError,
                getDeviceCount=device_count,
                driverGetVersion=lambda: machine.driver,
                runtimeGetVersion=lambda: 13020,
                getDeviceProperties=lambda number: {
                    "name": f"NVIDIA H{number + 1}00".encode(),
                    **{"pciDomainID": 1, "pciBusID": 0x41 + number, "pciDeviceID": 0},
                },
            ),
        )
        return found


@pytest.fixture
def machine(monkeypatch):
    """machine(...) → this process is on such a machine."""

    def on(**choices):
        there = Machine(**choices)
        monkeypatch.setitem(sys.modules, "cupy", there.module())
        monkeypatch.setattr(runtime, "_has_driver_library", lambda: True)
        return there

    for variable in ("GPUHOMOG_DEVICE", *RANKS):
        monkeypatch.delenv(variable, raising=False)
    devices._gpu.cache_clear()
    yield on
    devices._gpu.cache_clear()
    runtime._thread.runtime = None


def test_auto_is_the_first_gpu(machine):
    there = machine()
    chosen = choose_device("auto")
    assert isinstance(chosen, GPU) and chosen.name == "gpu:0" and there.current == 0
    assert choose_device("gpu") is chosen and choose_device("gpu:0") is chosen and choose_device(chosen) is chosen


def test_the_gpu_chosen_last_is_the_current_one(machine):
    there = machine()
    second = choose_device("gpu:1")
    assert there.current == 1
    choose_device("gpu:0")
    assert there.current == 0
    assert choose_device("gpu:1") is second and there.current == 1


@pytest.mark.parametrize(("variable", "rank", "number"), [
    ("MPI_LOCALRANKID", 1, 1), ("OMPI_COMM_WORLD_LOCAL_RANK", 3, 1), ("SLURM_LOCALID", 2, 0), ("PMI_RANK", 1, 0),
])  # fmt: skip
def test_processes_of_a_node_are_spread_over_its_gpus(machine, monkeypatch, variable, rank, number):
    there = machine(count=2)
    monkeypatch.setenv(variable, str(rank))
    assert choose_device("auto").name == choose_device("gpu").name == f"gpu:{number}" and there.current == number
    assert choose_device("gpu:0").name == "gpu:0"


def test_on_a_node_of_one_gpu_all_share_it(machine, monkeypatch):
    machine(count=1)
    monkeypatch.setenv("MPI_LOCALRANKID", "5")
    assert choose_device("auto").name == "gpu:0"


@pytest.mark.parametrize(("said", "name"), [("cpu", "cpu"), ("gpu:1", "gpu:1"), (" gpu ", "gpu:0"), ("auto", "gpu:0")])
def test_the_environment_says_what_auto_is(machine, monkeypatch, said, name):
    machine()
    monkeypatch.setenv("GPUHOMOG_DEVICE", said)
    assert choose_device().name == name
    assert choose_device("cpu").name == "cpu"


def test_a_wrong_environment_is_named(machine, monkeypatch):
    machine()
    for said, words in (("tpu", '"tpu"'), ("gpu:7", "gpu:7 requested, but 2 GPUs are visible")):
        monkeypatch.setenv("GPUHOMOG_DEVICE", said)
        with pytest.raises(DeviceError, match="GPUHOMOG_DEVICE") as refused:
            choose_device()
        assert words in str(refused.value)


@pytest.mark.parametrize("name", ["tpu", "gpu:", "gpu:x", "gpu:-1", "gpu:²", "GPU", "", "gpu:0 "])
def test_unknown_names(name):
    with pytest.raises(DeviceError, match=f'Unknown device "{name}"'):
        choose_device(name)


def test_a_number_too_large(machine, monkeypatch):
    machine(count=1)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(DeviceError, match=r"gpu:3 requested, but 1 GPU is visible \(gpu:0\)\. Choose"):
        choose_device("gpu:3")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    with pytest.raises(DeviceError, match=r'\(gpu:0\), as CUDA_VISIBLE_DEVICES is "2"\. Choose'):
        choose_device("gpu:3")


REASONS = {
    "no GPU": ({"count": 0}, "no GPU is visible to CuPy"),
    "no GPU, as an error": ({"error": 100}, "no GPU is visible to CuPy"),
    "driver too old": (
        {"error": 35, "driver": 12040},
        "driver is too old: it supports CUDA 12.4, CuPy needs CUDA 13.2",
    ),
    "another error": ({"error": 999}, "CUDA does not start (cudaError999: some words of CUDA)"),
}


@pytest.mark.parametrize("case", REASONS)
def test_reasons(machine, monkeypatch, case):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    state, words = REASONS[case]
    machine(**state)
    assert words in why_no_gpu()
    with pytest.raises(DeviceError) as refused:
        choose_device("gpu:0")
    assert "gpu:0 requested, but" in str(refused.value) and words in str(refused.value)
    assert choose_device("auto").name == "cpu" and describe_gpus() == []


def test_hidden_gpus(machine, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    machine(count=0)
    assert 'CUDA_VISIBLE_DEVICES is ""' in why_no_gpu()


def test_without_a_driver_cupy_is_not_even_imported(machine, monkeypatch):
    machine()
    monkeypatch.setattr(runtime, "_has_driver_library", lambda: False)
    monkeypatch.setattr(builtins, "__import__", _without("cupy"))
    assert "no NVIDIA driver" in why_no_gpu()
    assert choose_device("auto").name == "cpu"


def test_without_cupy(machine, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "CuPy" in why_no_gpu() and "pip install 'gpuhomog[cuda13]'" in why_no_gpu()
    assert choose_device("auto").name == "cpu"


def test_a_cupy_that_cannot_be_imported(machine, monkeypatch):
    machine()
    monkeypatch.setattr(builtins, "__import__", _without("cupy"))
    assert "cannot be imported (libnvrtc.so.13 is missing)" in why_no_gpu()


def _without(module):
    real = builtins.__import__

    def importing(name, *arguments, **options):
        if name == module:
            raise ImportError("libnvrtc.so.13 is missing\nand more")
        return real(name, *arguments, **options)

    return importing


def test_what_is_said_of_each_gpu(machine):
    there = machine()
    first, second = describe_gpus()
    assert (first["name"], second["name"], second["product"]) == ("gpu:0", "gpu:1", "NVIDIA H200")
    assert (first["memory_bytes"], first["free_bytes"], first["compute_capability"]) == (80 << 30, 60 << 30, "9.0")
    assert (first["driver_cuda"], first["runtime_cuda"], first["cupy"]) == ("13.0", "13.2", "14.2.0")
    assert there.current == 0


def test_where_a_gpu_is_in_its_node(machine):
    machine()
    assert [choose_device(f"gpu:{i}").runtime.pci_address() for i in (0, 1)] == [(1, 0x41, 0), (1, 0x42, 0)]


def test_nccl_that_is_missing_and_that_is_there(machine, monkeypatch):
    """CuPy warns where its library is missing; here that is an answer."""
    there = machine()
    chosen = choose_device("gpu:0")
    found = ModuleType("cupy.cuda.nccl")
    monkeypatch.setitem(sys.modules, "cupy.cuda", ModuleType("cupy.cuda"))
    monkeypatch.setitem(sys.modules, "cupy.cuda.nccl", found)
    monkeypatch.setattr(sys.modules["cupy.cuda"], "nccl", found, raising=False)
    found.available = True
    assert chosen.runtime.nccl() is found and there.current == 0
    found.available = False
    with pytest.raises(ImportError, match="nvidia-nccl-cu13"):
        chosen.runtime.nccl()


def test_compiled_kernels_are_counted(tmp_path, monkeypatch):
    monkeypatch.setenv("CUPY_CACHE_DIR", str(tmp_path / "none"))
    assert compiled_kernels() == (tmp_path / "none", 0)
    monkeypatch.setenv("CUPY_CACHE_DIR", str(tmp_path))
    (tmp_path / "a.cubin").write_bytes(b"any")
    (tmp_path / "a.lock").write_bytes(b"any")
    assert compiled_kernels() == (tmp_path, 1)


@pytest.mark.parametrize("home", ["file/home", None])
def test_a_home_that_cannot_be_written_to(tmp_path, home):
    """CuPy ends there; kernels are then kept as long as the process."""
    pytest.importorskip("cupy")
    (tmp_path / "file").write_text("")
    code = """
import os
if not os.environ["HOME"]:  # nor does the system know one
    os.path.expanduser = lambda path: path
from gpuhomog.device import why_no_gpu, compiled_kernels
from gpuhomog.device.gpu import runtime
runtime._has_driver_library = lambda: True
reason, (folder, files) = why_no_gpu(), compiled_kernels()
import cupy.cuda.compiler as compiler
assert folder.is_dir() and files == 0 and str(folder) == compiler._kernel_cache_backend._cache_dir, folder
print(folder)
"""
    package = str(Path(gh.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": package, "TMPDIR": str(tmp_path)}
    environment["HOME"] = str(tmp_path / home) if home else ""
    environment.pop("CUPY_CACHE_DIR", None)
    ran = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    folder = Path(ran.stdout.strip())
    assert folder.parent == tmp_path and not folder.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.gpu
def test_a_real_gpu_tells_of_itself():
    if reason := why_no_gpu():
        pytest.skip(reason)
    first = describe_gpus()[0]
    assert first["name"] == "gpu:0" and first["product"] and first["memory_bytes"] >= first["free_bytes"] > 0
    field = gh.Field.from_array(np.ones((3, 4, 5)), np.eye(3), device="gpu:0")
    assert field.mean() == pytest.approx(1.0, abs=1e-15)
    assert compiled_kernels()[1] > 0
