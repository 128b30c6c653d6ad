"""Costs of operators: against memory that NumPy really took, bytes worked out by hand, and laws."""

import tracemalloc
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from by_planes import ByPlanes
from ranks import on_ranks

import gpuhomog as gh
from gpuhomog.device import CPU
from gpuhomog.device.cpu.blocks import BLOCK_BYTES
from gpuhomog.device.gpu import GPU
from gpuhomog.field import Field
from gpuhomog.grid import Grid
from gpuhomog.operators import costs
from gpuhomog.operators.averages.average import average, plan_average
from gpuhomog.parallel import Slab

pytestmark = pytest.mark.filterwarnings("ignore:eps = .* exceeds a quarter")  # small fields are fast


def unread(n, size=1, dtype="float64", device=GPU):
    """A field of n³ points a fifth of an Å apart on the last of several ranks, without values."""
    slab = Slab.of(n, size - 1, size)
    nothing = np.broadcast_to(np.dtype(dtype).type(0), slab.local_shape((n, n, n)))
    comm = SimpleNamespace(rank=size - 1, size=size)
    return Field(Grid((n, n, n), np.eye(3) * n * 0.2), nothing, "scalar", None, device, slab, comm)


ONE_THREAD = CPU(threads=1)
"""Of several threads it depends on the moment how many hold something at once."""
AVERAGES = {
    "lines, coarse": (gh.Gaussian(4.0), 1.0, "lines"),
    "lines, every point": (gh.Box(4.0), None, "lines"),
    "low modes": (gh.Gaussian(4.0), None, "low modes"),
    "all modes": (gh.Ball(3.0), None, "all modes"),
    "all modes, coarse": (gh.Ball(3.0), 0.4, "all modes"),
}


@pytest.mark.parametrize("case", AVERAGES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_memory_at_once_is_what_numpy_takes(case, dtype):
    kernel, spacing, method = AVERAGES[case]
    n = 96
    values = np.random.default_rng(0).standard_normal((n, n, n)).astype(dtype)
    field = Field.from_array(values, np.eye(3) * n * 0.2, device=ONE_THREAD)
    plan, way = plan_average(unread(n, dtype=dtype, device=ONE_THREAD), kernel, spacing, None, method, False)
    average(field, kernel, spacing=spacing, method=method)  # fills caches of tables
    tracemalloc.start()
    average(field, kernel, spacing=spacing, method=method)
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert way.name == method
    assert taken == pytest.approx(costs.average_cost(plan, way).peak, rel=0.1)


def test_memory_of_gradients_variances_and_ions(rng):
    n = 72
    atoms = gh.Structure([11, 17], [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    values, cell = rng.random((n, n, n)), np.eye(3) * n * 0.2
    field = Field.from_array(values, cell, quantity="electron_density", structure=atoms, device=ONE_THREAD)
    part, kernel = unread(n, device=ONE_THREAD), gh.Gaussian(4.0)
    averaged = costs.shifted_cost(
        part, costs.average_cost(*plan_average(part, gh.Ball(3.0), None, None, "auto", False))
    )
    cases = [
        (
            lambda: gh.average_gradient(field, kernel),
            costs.gradient_cost(*plan_average(part, kernel, None, None, "auto", False)),
        ),
        (lambda: gh.average_and_variance(field, gh.Ball(3.0)), averaged.beside(averaged)),
        (lambda: gh.charge_density(field, {"Na": 1, "Cl": 7}, net_charge=None), costs.ions_cost(part)),
    ]
    for call, cost in cases:
        call()
        tracemalloc.start()
        call()
        taken = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert taken == pytest.approx(cost.peak, rel=0.1)


@pytest.mark.parametrize(("boundary", "fields"), [("periodic", 2), ("p,p,o", 2), ("p,o,p", 3), ("open", 3)])
def test_memory_of_poisson(boundary, fields):
    """The spectrum of a field, or of two where the second axis is open, the result, and a block for each thread."""
    n = 96
    line = np.exp(-(((np.arange(n) - n / 2) * 0.2) ** 2))
    values = line[:, None, None] * line[:, None] * (line - np.roll(line, 1))
    about = {"quantity": "charge_density", "boundary": boundary, "device": ONE_THREAD}
    field = Field.from_array(values, np.eye(3) * n * 0.2, **about)
    gh.electrostatic_potential(field)
    tracemalloc.start()
    gh.electrostatic_potential(field)
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    expected = costs.poisson_cost(field).peak
    assert expected == fields * values.nbytes + field.device.scratch_bytes
    assert taken == pytest.approx(expected, rel=0.15)


def test_each_thread_that_filters_has_a_block_of_its_own():
    one, four = (costs.poisson_cost(unread(96, device=CPU(threads=threads))) for threads in (1, 4))
    assert four.peak - one.peak == 3 * BLOCK_BYTES


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("boundary", ["ppp", "opp", "pop", "ppo", "oop", "poo", "opo", "ooo"])
@pytest.mark.parametrize("device", [CPU(1), ByPlanes(1)], ids=["blocks", "planes"])
def test_bytes_that_ranks_send_for_poisson(device, boundary, axis):
    """Byte for byte, of devices that share modes and of those that share rows; uneven slabs."""
    a, b, c = (np.exp(-(((np.arange(n) - n / 2) * 0.6) ** 2)) for n in (20, 18, 16))
    values = a[:, None, None] * b[:, None] * (c - np.roll(c, 1))
    about = {"quantity": "charge_density", "boundary": ",".join(boundary), "device": device}
    field = Field.from_array(values, np.diag([12, 10.8, 9.6]), **about)
    sent = on_ranks(field, 3, lambda part: (gh.electrostatic_potential(part), part.comm.sent["transpose"])[1], axis)
    part = replace(field, slab=Slab.of(values.shape[axis], 2, 3, axis), comm=SimpleNamespace(rank=2, size=3))
    assert costs.poisson_cost(part).sent["transpose"].tolist() == sent


def test_planar_sums_by_hand():
    # 20³ float32 on 4 ranks: 5 planes of 400 points of 4 bytes = 8000 bytes, read once.
    # Normal to the slabs each rank hands over 5 sums of 8 bytes, along them all 20.
    part = unread(20, 4, "float32")
    normal, along = costs.planar_cost(part, 0), costs.planar_cost(part, "c")
    assert (normal.moved, normal.busy, normal.peak, normal.kept) == (8000, 8000.0, 0, 0)
    assert normal.sent["sum"].tolist() == [40] * 4 and along.sent["sum"].tolist() == [160] * 4
    # (1 1 0): bins along the family, lcm(20, 20) = 20 of 8 bytes
    assert costs.planar_cost(part, "110").sent["sum"].tolist() == [160] * 4


def test_a_coarse_average_by_hand():
    # 20³ float64 on 2 ranks to 4³ by matrix products along b, c and, last, the split axis a: 10 planes, 32000 bytes.
    #   b: reads 32000, writes 10 · 4 · 20 · 8 = 6400;   c: reads 6400, writes 10 · 4 · 4 · 8 = 1280
    #   a: reads 1280, writes 4 partial planes of 16 points, 512; sends the 2 planes that the other keeps, 256;
    #      adds two times 2 planes into 256: reads the partial, writes parts and sum, 512 + 512
    plan, way = plan_average(unread(20, 2), gh.Box(2.0), 1.0, None, "lines", False)
    assert plan.n_out == (4, 4, 4)
    cost = costs.average_cost(plan, way)
    assert cost.sent["sum"].tolist() == [256, 256] and cost.n_sent == 256
    assert cost.kept == 256
    assert cost.moved == (32000 + 6400) + (6400 + 1280) + (1280 + 512) + (512 + 2 * 256)
    assert cost.busy == cost.moved  # arithmetic of 4 columns, where 20 take as long as a pass, hides behind the memory
    assert cost.peak == 6400 + 1280 + 4 * 20 * 8  # the products along b and c, and the matrix of the latter


RANKS = {
    "lines, coarse": (gh.Gaussian(2.0), 1.5, "lines", "ppp"),
    "lines, every point": (gh.Box(1.4), None, "lines", "ppo"),
    "low modes": (gh.Gaussian(2.5), None, "low modes", "opp"),
    "taps": (gh.Gaussian(3.5), None, "taps", "ppp"),
    "taps, coarse": (gh.Gaussian(3.6), 1.5, "taps", "ppo"),
    "all modes": (gh.Ball(1.5), None, "all modes", "ppp"),
    "all modes, coarse": (gh.PowerLaw(1.0), 0.8, "all modes", "oop"),
}


@pytest.mark.parametrize("size", [1, 2, 3, 8, 17])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("case", RANKS)
def test_bytes_sent_are_those_that_ranks_count(rng, case, axis, size):
    """Uneven and empty slabs, windows wider than slabs, padded axes; byte for byte."""
    kernel, spacing, method, letters = RANKS[case]
    boundary = ["open" if letter == "o" else "periodic" for letter in letters]
    values = rng.standard_normal((16, 24, 32))
    field = Field.from_array(values, np.diag([6.4, 8.0, 9.6]), boundary=boundary, device="cpu")
    counted = on_ranks(field, size, lambda part: (average(part, kernel, spacing=spacing, method=method), part)[1], axis)
    comm = SimpleNamespace(rank=size - 1, size=size)
    last = replace(field, slab=Slab.of(field.grid.shape[axis], size - 1, size, axis), comm=comm)
    cost = costs.average_cost(*plan_average(last, kernel, spacing, None, method, False))
    for kind in {"sum", "planes", "transpose"}:
        expected = cost.sent.get(kind, np.zeros(size, dtype=np.int64)).tolist()
        assert [part.comm.sent[kind] for part in counted] == expected
    assert size == 1 or cost.n_sent > 0


@pytest.mark.parametrize("size", [1, 3, 17])
@pytest.mark.parametrize("planes", ["a", "c", "110"])
def test_bytes_of_planar_sums_are_those_that_ranks_count(rng, planes, size):
    field = Field.from_array(rng.standard_normal((12, 14, 16)), np.eye(3) * 5.0, device="cpu")
    counted = on_ranks(field, size, lambda part: (gh.planar_average(part, planes), part.comm.sent["sum"])[1])
    comm = SimpleNamespace(rank=size - 1, size=size)
    cost = costs.planar_cost(replace(field, slab=Slab.of(12, size - 1, size), comm=comm), planes)
    assert counted == cost.sent["sum"].tolist()


def test_a_filter_by_hand():
    # 16³ float32 on 4 ranks: 4 planes of 256 points of 4 bytes = 4096 bytes. Half spectra of 16 · 16 · 9 complex
    # values of 8 bytes; a rank has 4 · 16 · 9 · 8 = 4608 bytes of one, keeps a quarter, and sends 3456, twice.
    cost = costs.filter_cost(unread(16, 4, "float32"), (16, 16, 16))
    assert cost.sent["transpose"].tolist() == [2 * 3456] * 4
    assert cost.moved == 10 * 4096
    assert cost.busy == pytest.approx(14.75 * 4096)  # 295 columns of a product, 20 of which take as long as a pass


@pytest.mark.parametrize("kernel", [gh.Gaussian(4.0), gh.Box(4.0), gh.Ball(3.0)], ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("spacing", [None, 2.0])
@pytest.mark.parametrize("device", [CPU(), GPU], ids=["cpu", "gpu"])
def test_more_ranks_need_no_more_memory_each(kernel, spacing, device):
    before = None
    for size in (1, 2, 3, 5, 8, 64, 100):
        part = unread(240, size, device=device)
        cost = costs.average_cost(*plan_average(part, kernel, spacing, None, "auto", False))
        peak = costs.busiest_bytes(part) + cost.peak
        assert before is None or peak <= before
        before = peak


def test_passes_are_shared_out():
    alone = costs.filter_cost(unread(64), (64, 64, 64)).moved
    for size in (2, 4, 8, 16, 32, 64):
        assert costs.filter_cost(unread(64, size), (64, 64, 64)).moved * size == alone
        assert costs.planar_cost(unread(64, size), 1).moved * size == costs.planar_cost(unread(64), 1).moved


def test_costs_follow_or_stand_beside_each_other():
    first, second = costs.Cost(peak=10, kept=4, moved=7, busy=8.0), costs.Cost(peak=9, kept=3, moved=1, busy=1.0)
    assert first.then(second) == costs.Cost(13, 3, 8, 9.0, {})
    assert first.beside(second) == costs.Cost(13, 7, 8, 9.0, {})
    assert costs.times(3, second).kept == 9 and costs.times(3, second).peak == 6 + 9


def test_the_busiest_rank_has_the_largest_slab():
    for n, size in ((7, 3), (2, 5), (12, 4)):
        most = max(Slab.of(n, rank, size).n_local for rank in range(size))
        assert costs.busiest_bytes(unread(n, size)) == most * n * n * 8
        assert unread(n, size).slab.n_local == most  # which is the last


@pytest.mark.parametrize("size", [1, 2, 5, 13])
@pytest.mark.parametrize("axis", [0, 2])
def test_bytes_of_ions_and_of_a_laplacian_are_those_that_ranks_count(rng, axis, size):
    cell = np.diag([6.0, 7.0, 8.0])
    atoms = gh.Structure([11, 17], [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    values = rng.random((10, 12, 14))
    electrons = Field.from_array(values, cell, quantity="electron_density", structure=atoms, device="cpu")
    potential = Field.from_array(values, cell, quantity="electrostatic_potential", device="cpu")
    comm = SimpleNamespace(rank=size - 1, size=size)
    made = {
        costs.ions_cost: (electrons, {"ion_charges": {"Na": 1, "Cl": 7}, "net_charge": None}),
        lambda part: costs.filter_cost(part, part.grid.shape): (potential, {}),
    }
    for cost_of, (field, options) in made.items():
        counted = on_ranks(
            field, size, lambda p, o=options: (gh.charge_density(p, **o), p.comm.sent["transpose"]), axis
        )
        last = replace(field, slab=Slab.of(field.grid.shape[axis], size - 1, size, axis), comm=comm)
        expected = cost_of(last).sent.get("transpose", np.zeros(size, dtype=np.int64))
        assert [sent for _, sent in counted] == expected.tolist()
