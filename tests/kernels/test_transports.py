"""Arrays on GPUs from rank to rank: ranks are threads here, their GPUs stand-ins that are as late as CUDA may be.

Marked gpu: the same by processes under mpiexec that share a real GPU.
"""

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import numpy as np
import pytest
from cuda_like import CUDAError, CudaLikeRuntime, Machine, NCCLLike
from ranks import Rank, Team, together
from requirements import needed

import gpuhomog as gh
from gpuhomog.device.gpu import GPU, n_gpus, transports
from gpuhomog.device.gpu.runtime import CuPyRuntime
from gpuhomog.device.gpu.transports import ORDER, Staged, Unavailable, pieces
from gpuhomog.errors import DeviceError
from gpuhomog.parallel import Slab

HERE = Path(__file__).parent
NAMES = [kind.name for kind in ORDER]
PRECISIONS = [np.float32, np.float64, np.complex64, np.complex128]


class MPIRank(Rank):
    """A rank of an MPI that takes addresses of GPU memory."""

    support = (True, "MPI 1.0 takes addresses of GPU memory")

    def cuda_support(self):
        return self.support

    def exchange_on_device(self, sent, received):
        for part in (*sent.values(), *received.values()):
            assert part.flags.c_contiguous
        assert not self.stream.pending  # MPI knows no streams
        offered = self.team.exchange(self.rank, {rank: part.get() for rank, part in sent.items()})
        for rank, part in received.items():
            part.set(offered[rank][self.rank])


class Place(threading.local):
    node = "here"


@pytest.fixture
def place(monkeypatch):
    """The node of the rank that asks; a small buffer, so that everything takes several rounds."""
    found = Place()
    monkeypatch.setattr(transports, "node", lambda: found.node)
    monkeypatch.delenv(transports.ENVIRONMENT, raising=False)
    monkeypatch.setattr(transports.Transport, "most_bytes", 2000)
    monkeypatch.setattr(Staged, "most_bytes", 1000)
    return found


def on_gpus(size, work, *, gpus=None, nccl=None, kind=MPIRank, before=None):
    """What each rank gets from work(device, comm), and the machine they were on; gpus: of each rank its number."""
    machine = Machine()

    def run(plain):
        comm = kind(plain.team, plain.rank)
        runtime = CudaLikeRuntime(machine, (gpus or range(size))[plain.rank], (nccl or {}).get(plain.rank))
        comm.stream = runtime.xp.stream
        if before:
            before(runtime, comm)
        return work(GPU(runtime), comm)

    return together(size, run), machine


def choice(device, comm):
    found = device.transport(comm)
    assert device.transport(comm) is found
    return found.name, found.why_not


# ---- what is carried ----


def numbered(source, target, shape, dtype):
    """Values that tell where they come from, where they go, and where they are."""
    values = np.arange(np.prod(shape), dtype=np.float64).reshape(shape) + 10000 * source + 100000 * target
    return (values + (0.5j * values if np.dtype(dtype).kind == "c" else 0)).astype(dtype)


def laid(device, values, layout):
    """The values on a device, as slices of larger arrays have them."""
    if layout == "gaps":
        wide = np.full([n + 2 for n in values.shape], -1, values.dtype)
        inside = tuple(slice(1, 1 + n) for n in values.shape)
        wide[inside] = values
        return device.asarray(wide)[inside]
    if layout == "fortran":
        return device.asarray(np.ascontiguousarray(values.T)).T
    return device.asarray(values)


def waiting(device):
    """Copies that have not been waited for, where the stand-in knows."""
    return getattr(getattr(device.runtime.xp, "stream", None), "pending", [])


def exchanged(device, comm, shape_of, layout, dtype):
    """Everything that arrived was sent here."""
    here, ranks = comm.rank, range(comm.size)
    for again in range(2):  # what is kept between exchanges is used a second time
        sent = [laid(device, numbered(here, r, shape_of(here, r), dtype) + again, layout) for r in ranks]
        received = [laid(device, np.full(shape_of(r, here), -1, dtype), layout) for r in ranks]
        device.transport(comm).exchange(sent, received)
        assert device.transport(comm).name != "staged" or not waiting(device)  # host memory may be given back
        for r in ranks:
            expected = numbered(r, here, shape_of(r, here), dtype) + again
            np.testing.assert_array_equal(device.to_host(received[r]), expected)
    return device.transport(comm).name


SHAPES = {
    "transpose": lambda source, target: (Slab.of(7, source, 3).n_local, Slab.of(10, target, 3).n_local, 6),
    "empty slabs": lambda source, target: (Slab.of(1, source, 3).n_local, Slab.of(2, target, 3).n_local, 40),
    "to the next": lambda source, target: (9 * ((source + 1) % 3 == target), 11, 3),
    "nothing": lambda source, target: (0, 4, 5),
    "large planes": lambda source, target: (2, 5 + source, 60 + target),
}


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("layout", ["whole", "gaps", "fortran"])
@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_what_arrives_is_what_was_sent(place, monkeypatch, name, shapes, layout, dtype):
    monkeypatch.setenv(transports.ENVIRONMENT, name)
    found, _ = on_gpus(3, lambda device, comm: exchanged(device, comm, SHAPES[shapes], layout, dtype))
    assert found == [name] * 3


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("name", NAMES)
def test_any_number_of_ranks(place, monkeypatch, name, size):
    monkeypatch.setenv(transports.ENVIRONMENT, name)

    def shape_of(source, target):
        return 3 + source, 4, 1 + target

    on_gpus(size, lambda device, comm: exchanged(device, comm, shape_of, "gaps", np.float32))


def test_ranks_that_are_slow_here_and_there(place, monkeypatch):
    """Mapped memory is written again only when all have read it, and read only when it has been written."""
    monkeypatch.setenv(transports.ENVIRONMENT, "ipc")
    random = np.random.default_rng(1)
    plain = CudaLikeRuntime.synchronize

    def slow(runtime):
        time.sleep(random.choice([0.0, 0.002]))
        plain(runtime)
        time.sleep(random.choice([0.0, 0.002]))

    monkeypatch.setattr(CudaLikeRuntime, "synchronize", slow)
    on_gpus(4, lambda device, comm: exchanged(device, comm, lambda s, t: (6, 10, 9), "gaps", np.float64))


def test_mapped_memory_is_waited_for(place):
    """Write, wait for the own GPU, wait for all; read, wait for the own GPU, wait for all."""

    class Logged(MPIRank):
        def gather(self, value):
            self.log.append("all")
            return super().gather(value)

    def work(device, comm):
        transport = device.transport(comm)
        log = comm.log = device.runtime.xp.log
        log.clear()
        ones = [device.asarray(np.ones(3)) for _ in range(2)]
        transport.exchange(ones, [device.asarray(np.zeros(3)) for _ in range(2)])
        return log

    def before(runtime, comm):
        comm.log = []

    found, _ = on_gpus(2, work, kind=Logged, before=before)
    assert found == [["all", "map", "wait", "all", "map", "wait", "all"]] * 2


def test_memory_is_allocated_once(place, monkeypatch):
    for name in ("ipc", "staged"):
        monkeypatch.setenv(transports.ENVIRONMENT, name)
        made = []

        def work(device, comm):
            cuda = device.runtime.xp.cuda
            malloc, pinned = cuda.runtime.malloc, cuda.alloc_pinned_memory
            cuda.runtime.malloc = lambda n: (made.append(n), malloc(n))[1]  # noqa: B023
            cuda.alloc_pinned_memory = lambda n: (made.append(n), pinned(n))[1]  # noqa: B023
            exchanged(device, comm, lambda s, t: (5, 10, 9), "whole", np.float64)
            before = len(made)  # noqa: B023
            comm.gather(None)
            exchanged(device, comm, lambda s, t: (4, 10, 9), "gaps", np.float64)
            comm.gather(None)
            assert len(made) == before  # noqa: B023

        on_gpus(2, work)
        assert len(made) == (2 if name == "ipc" else 8)
        assert all(n_bytes <= 4096 for n_bytes in made)


def test_an_exchange_that_fails_fails_on_all_ranks(place):
    def work(device, comm):
        transport = device.transport(comm)
        if comm.rank == 1:
            device.runtime.synchronize = lambda: (_ for _ in ()).throw(CUDAError("an illegal address\nand more"))
        with pytest.raises(DeviceError) as failed:
            exchanged(device, comm, lambda s, t: (2, 2, 2), "whole", np.float64)
        assert transport.name == "ipc"
        return str(failed.value)

    found, _ = on_gpus(3, work)
    assert set(found) == {
        "An exchange between GPUs through CUDA IPC failed (on rank 1 an illegal address): set "
        "GPUHOMOG_TRANSPORT=staged to do without."
    }


@pytest.mark.parametrize("most", [1, 3, 12, 25, 1000])
@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 5, 7), (1, 1, 30), (4, 1, 3), (0, 3), (3, 0)])
def test_pieces(shape, most):
    """Every value once, in order, and no piece too large."""
    values = np.arange(np.prod(shape)).reshape(shape)
    cut = [values[index] for index in pieces(shape, most)]
    assert all(0 < piece.size <= most for piece in cut)
    joined = np.concatenate([piece.ravel() for piece in cut]) if cut else np.empty(0)
    np.testing.assert_array_equal(joined, values.ravel())


# ---- which one is chosen, and why ----


def two_nodes(place):
    def before(runtime, comm):
        place.node = f"node {comm.rank // 2}"

    return before


def test_mapped_memory_within_a_node(place):
    found, machine = on_gpus(2, choice)
    assert found == [("ipc", {})] * 2
    found, machine = on_gpus(3, choice, gpus=[0, 0, 0])  # ranks may share a GPU
    assert found == [("ipc", {})] * 3 and len(machine.allocated) == 3


def test_nccl_between_nodes(place):
    found, machine = on_gpus(4, choice, gpus=[0, 1, 0, 1], before=two_nodes(place))
    assert found == [("nccl", {"ipc": "the ranks are on 2 nodes"})] * 4
    assert not machine.allocated


def test_mpi_where_ranks_share_a_gpu(place):
    found, _ = on_gpus(4, choice, gpus=[0, 1, 1, 1], before=two_nodes(place))
    against = {"ipc": "the ranks are on 2 nodes", "nccl": "ranks 2 and 3 share one GPU, which NCCL refuses"}
    assert found == [("mpi", against)] * 4


MISSING = ImportError("its library is missing: pip install nvidia-nccl-cu13, or for CUDA 12 nvidia-nccl-cu12")


class BrokenNCCL(NCCLLike):
    def NcclCommunicator(self, size, identity, rank):
        raise RuntimeError("NCCL_ERROR_SYSTEM_ERROR: unhandled system error")


class NamelessNCCL(NCCLLike):
    def get_unique_id(self):
        raise RuntimeError("NCCL_ERROR_INTERNAL_ERROR: no network")


@pytest.mark.parametrize(
    ("nccl", "words"),
    [
        ({1: MISSING}, f"on rank 1 NCCL cannot be used ({MISSING})"),
        ({0: MISSING, 1: MISSING}, f"NCCL cannot be used ({MISSING})"),
        ({1: NCCLLike(Machine(), 22800)}, "the ranks have different versions of NCCL (22800 and 22907)"),
        ({1: BrokenNCCL(Machine())}, "on rank 1 NCCL does not connect the ranks (NCCL_ERROR_SYSTEM_ERROR: unhandled "
                                     "system error)"),
        ({0: NamelessNCCL(Machine())}, "on rank 0 NCCL does not start (NCCL_ERROR_INTERNAL_ERROR: no network)"),
    ],
)  # fmt: skip
def test_reasons_against_nccl(place, nccl, words):
    def before(runtime, comm):
        place.node = str(comm.rank)

    found, _ = on_gpus(2, choice, nccl=nccl, before=before)
    assert found == [("mpi", {"ipc": "the ranks are on 2 nodes", "nccl": words})] * 2


def broken(name, rank):
    """before= for a machine on which a call of CUDA fails on one rank."""

    def before(runtime, comm):
        def fails(*arguments):
            raise CUDAError(f"cudaError: {name}")

        if comm.rank == rank:
            setattr(runtime.xp.cuda.runtime, name, fails)

    return before


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("malloc", "on rank 1 CUDA IPC gives no handle of memory (cudaError: malloc)"),
        ("ipcGetMemHandle", "on rank 1 CUDA IPC gives no handle of memory (cudaError: ipcGetMemHandle)"),
        ("ipcOpenMemHandle", "on rank 1 memory of rank 0 cannot be mapped (cudaError: ipcOpenMemHandle)"),
    ],
)
def test_reasons_against_mapped_memory(place, call, words):
    found, machine = on_gpus(3, choice, before=broken(call, 1))
    assert found == [("nccl", {"ipc": words})] * 3
    assert not machine.allocated and not +machine.mapped


def test_memory_of_the_pool_is_given_back_for_a_mapped_buffer(place):
    """The first try fails as long as the pool holds the memory."""
    freed = []

    def before(runtime, comm):
        malloc = runtime.xp.cuda.runtime.malloc
        pool = type("Pool", (), {"free_all_blocks": lambda self: freed.append(comm.rank)})()
        runtime.xp.get_default_memory_pool = lambda: pool
        runtime.xp.cuda.runtime.malloc = lambda n: malloc(n) if comm.rank in freed else malloc("too much")

    found, _ = on_gpus(2, choice, before=before)
    assert found == [("ipc", {})] * 2 and sorted(freed) == [0, 1]


def test_mapped_memory_that_is_another(place):
    """What arrives is checked before it is used: numbers of one rank in the place of others."""

    def before(runtime, comm):
        opened = runtime.xp.cuda.runtime.ipcOpenMemHandle
        if comm.rank == 2:
            addresses = []

            def always_the_first(handle):
                addresses.append(opened(handle))
                return addresses[0]

            closed = runtime.xp.cuda.runtime.ipcCloseMemHandle
            runtime.xp.cuda.runtime.ipcOpenMemHandle = always_the_first
            runtime.xp.cuda.runtime.ipcCloseMemHandle = lambda address: closed(addresses.pop())

    found, machine = on_gpus(3, choice, before=before)
    assert found == [("nccl", {"ipc": "on rank 2 what rank 1 sent did not arrive"})] * 3
    assert not machine.allocated


class Unaware(MPIRank):
    support = (False, "MPICH 5.0.2 does not take addresses of GPU memory")


class Silent(MPIRank):
    support = (None, "MPI 1.0 does not tell whether it takes addresses of GPU memory")


@pytest.mark.parametrize(
    ("kind", "words"),
    [(Rank, "the ranks do not talk through MPI"), (Unaware, Unaware.support[1]), (Silent, Silent.support[1])],
)
def test_pinned_memory_at_last(place, monkeypatch, kind, words):
    sharing = {"gpus": [0, 0, 1, 1], "before": two_nodes(place), "kind": kind}
    found, _ = on_gpus(4, choice, **sharing)
    against = {
        "ipc": "the ranks are on 2 nodes",
        "nccl": "ranks 0 and 1 share one GPU, which NCCL refuses",
        "mpi": words,
    }
    assert found == [("staged", against)] * 4
    monkeypatch.setenv(transports.ENVIRONMENT, "mpi")
    if kind is Silent:  # who asks for it by name answers for it
        assert on_gpus(4, choice, **sharing)[0] == [("mpi", {})] * 4
    else:
        with pytest.raises(DeviceError, match="asks for mpi, but " + words):
            on_gpus(4, choice, **sharing)


@pytest.mark.parametrize("name", NAMES)
def test_the_environment_chooses(place, monkeypatch, name):
    monkeypatch.setenv(transports.ENVIRONMENT, f" {name} ")
    assert on_gpus(2, choice)[0] == [(name, {})] * 2


def refused(device, comm):
    with pytest.raises(DeviceError) as error:
        device.transport(comm)
    return str(error.value)


def test_a_choice_that_cannot_be_had(place, monkeypatch):
    monkeypatch.setenv(transports.ENVIRONMENT, "nccl")
    found, _ = on_gpus(2, refused, gpus=[0, 0])
    assert set(found) == {
        "The environment variable GPUHOMOG_TRANSPORT asks for nccl, but ranks 0 and 1 share one GPU, which NCCL "
        "refuses: unset it to let gpuhomog choose, or choose staged, which is always possible."
    }


def test_a_choice_that_does_not_exist(place, monkeypatch):
    monkeypatch.setenv(transports.ENVIRONMENT, "smoke")
    found, _ = on_gpus(2, refused)
    assert set(found) == {
        'The environment variable GPUHOMOG_TRANSPORT is "smoke", which is no transport: choose ipc, nccl, mpi or '
        "staged, or unset it."
    }


def test_ranks_that_choose_differently(place):
    class Other(MPIRank):
        def gather(self, value):
            return super().gather("nccl" if self.rank == 1 else value)

    found, _ = on_gpus(3, refused, kind=Other)
    assert set(found) == {
        'The environment variable GPUHOMOG_TRANSPORT is "" on rank 0 and "nccl" on rank 1, but both ends of a message '
        "must use the same transport: set it alike on all ranks, or nowhere."
    }


def test_nodes_are_told_apart(monkeypatch, tmp_path):
    monkeypatch.setattr(transports, "BOOT", tmp_path / "boot")
    assert transports.node() == transports.socket.gethostname()
    (tmp_path / "boot").write_text("3f1c\n")
    assert transports.node() == "3f1c"


def test_every_rank_hears_the_first_reason():
    def work(comm):
        with pytest.raises(Unavailable) as error:
            transports.agree(comm, {1: "no", 2: "neither"}.get(comm.rank))
        return str(error.value)

    assert together(3, work) == ["on rank 1 no"] * 3
    transports.agree(Rank(Team(1), 0), None)


# ---- processes, and a real GPU ----

EXCHANGE = """
    import json, sys
    from pathlib import Path
    import numpy as np
    from gpuhomog.device import choose_device
    from gpuhomog.device.gpu import GPU
    from gpuhomog.device.gpu.transports import Transport, Staged
    from gpuhomog.errors import DeviceError
    from gpuhomog.parallel import world

    comm = world()
    if sys.argv[1] in ("gpu", "gpu:0"):
        device = choose_device(sys.argv[1])
    else:
        from cuda_like import CudaLikeRuntime, SharedMachine
        device = GPU(CudaLikeRuntime(SharedMachine(Path(sys.argv[1])), 0))
    Transport.most_bytes, Staged.most_bytes = 1 << 20, 1 << 18
    here, ranks = comm.rank, range(comm.size)
    told = {}
    try:
        for n, dtype in ((3, "f4"), (40, "f8"), (61, "c16")):
            values = (np.arange(n * 50 * 30) + 1e6 * here).astype(dtype).reshape(n, 50, 30)
            whole = [device.asarray(values) for _ in ranks]
            for again in range(3):
                received = [device.empty((n, 60, 30), dtype)[:, 3:53] for _ in ranks]
                comm.exchange([part * (r + again) for r, part in enumerate(whole)], received, device)
                for r in ranks:
                    expected = (np.arange(n * 50 * 30) + 1e6 * r).astype(dtype).reshape(n, 50, 30) * (here + again)
                    assert (device.to_host(received[r]) == expected).all(), (n, dtype, again, r)
        told = {"name": device.transport(comm).name, "why_not": device.transport(comm).why_not}
    except DeviceError as error:
        told = {"refused": str(error)}
    alike = comm.gather(told)
    if comm.rank == 0:
        assert all(other == told for other in alike)
        print(json.dumps(told))
"""


def processes(count, wanted, where):
    """What ranks say that exchanged arrays, on a real GPU or in files of a folder."""
    needed("mpi", None if find_spec("mpi4py") and which("mpiexec") else "mpi4py or mpiexec is missing: gpuhomog[mpi]")
    command = ["mpiexec", "-n", str(count), sys.executable, "-c", textwrap.dedent(EXCHANGE), str(where)]
    paths = os.pathsep.join([str(folder) for folder in (HERE, HERE.parent, *filter(None, [os.getenv("PYTHONPATH")]))])
    environment = {**os.environ, "PYTHONPATH": paths, transports.ENVIRONMENT: wanted}
    answer = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout.splitlines()[-1])


@pytest.mark.parametrize("wanted", ["", "ipc", "staged"])
def test_processes(tmp_path, wanted):
    """Through real MPI, and memory that processes really share."""
    assert processes(3, wanted, tmp_path) == {"name": wanted or "ipc", "why_not": {}}


def test_processes_whose_mpi_takes_no_gpu_memory(tmp_path):
    told = processes(2, "mpi", tmp_path)
    assert told.get("name") == "mpi" or "of GPU memory: unset it" in told["refused"]


@pytest.mark.gpu
@pytest.mark.parametrize("wanted", ["", "ipc", "staged", "nccl"])
def test_processes_that_share_a_real_gpu(real_gpu, wanted):
    told = processes(2, wanted, "gpu:0")
    print(told)
    if wanted == "nccl":
        shared, missing = "share one GPU, which NCCL refuses", "NCCL cannot be used (its library is missing"
        assert shared in told["refused"] or missing in told["refused"]
    elif wanted == "staged":
        assert told == {"name": "staged", "why_not": {}}
    elif wanted == "ipc":
        assert told == {"name": "ipc", "why_not": {}}
    else:
        assert told["name"] == "ipc", told["why_not"]


@pytest.mark.gpu
@pytest.mark.parametrize("wanted", ["", "ipc", "nccl", "staged"])
def test_processes_on_real_gpus_of_their_own(real_gpu, wanted):
    if n_gpus() < 2:
        pytest.skip("one GPU is visible; two are needed")
    told = processes(min(4, n_gpus()), wanted, "gpu")
    print(told)
    if "its library is missing" in told.get("refused", ""):
        pytest.skip(told["refused"])
    assert told["name"] == (wanted or "ipc"), told


@pytest.mark.gpu
def test_pinned_memory_of_a_real_gpu(real_gpu, place, monkeypatch):
    """Ranks as threads, one stream: what was still on its way would be seen."""
    monkeypatch.setenv(transports.ENVIRONMENT, "staged")
    for layout in ("whole", "gaps", "fortran"):
        for dtype in PRECISIONS:
            together(3, lambda comm: exchanged(real_gpu, comm, SHAPES["transpose"], layout, dtype))  # noqa: B023


@pytest.mark.gpu
def test_a_real_gpu_knows_its_place(real_gpu):
    assert len(real_gpu.runtime.pci_address()) == 3
    assert CuPyRuntime(0).pci_address() == real_gpu.runtime.pci_address()


@pytest.mark.gpu
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("wanted", ["ipc", "staged"])
def test_averages_of_processes_that_share_a_real_gpu(real_gpu, tmp_path, wanted, count):
    """The command itself: through modes and windows, on ranks that share the field."""
    needed("mpi", None if find_spec("mpi4py") and which("mpiexec") else "mpi4py or mpiexec is missing: gpuhomog[mpi]")
    averages_on_ranks(tmp_path, wanted, count, "gpu:0")


def averages_on_ranks(folder, wanted, count, device):
    values = np.random.default_rng(1).standard_normal((17, 24, 30))
    field = gh.Field.from_array(values, np.diag([10.0, 14.0, 18.0]), device="cpu")
    gh.write(field, folder / "in.h5")
    for name, kernel in (("ball", gh.Ball(2.0)), ("gaussian", gh.Gaussian(2.0)), ("tophat", gh.TopHat(2.0))):
        given = ["average", "in.h5", "--kernel", name, "--eps", "2", "--device", device, "-o", f"{name}.h5"]
        command = ["mpiexec", "-n", str(count), sys.executable, "-m", "gpuhomog", *given]
        environment = {**os.environ, transports.ENVIRONMENT: wanted}
        answer = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, cwd=folder)
        assert answer.returncode == 0, answer.stderr
        expected = gh.average(field, kernel).values
        np.testing.assert_allclose(gh.read(folder / f"{name}.h5", device="cpu").values, expected, atol=1e-12)
