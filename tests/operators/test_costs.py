"""Costs of operators: against memory that NumPy really took, bytes worked out by hand, and laws."""

import tracemalloc
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.device import CPU
from gpuhomog.device.gpu import GPU
from gpuhomog.field import Field
from gpuhomog.grid import Grid
from gpuhomog.operators import costs
from gpuhomog.operators.average import average, plan_average
from gpuhomog.parallel import Slab


def unread(n, size=1, dtype="float64", device=GPU):
    """A field of n³ points a fifth of an Å apart on the last of several ranks, without values."""
    slab = Slab.of(n, size - 1, size)
    nothing = np.broadcast_to(np.dtype(dtype).type(0), slab.local_shape((n, n, n)))
    comm = SimpleNamespace(rank=size - 1, size=size)
    return Field(Grid((n, n, n), np.eye(3) * n * 0.2), nothing, "scalar", None, device, slab, comm)


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
    n = 72
    values = np.random.default_rng(0).standard_normal((n, n, n)).astype(dtype)
    field = Field.from_array(values, np.eye(3) * n * 0.2, device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the kernel is wide for this small a cell
        plan, way = plan_average(unread(n, dtype=dtype, device=CPU()), kernel, spacing, None, method, False)
        average(field, kernel, spacing=spacing, method=method)  # fills caches of tables
        tracemalloc.start()
        average(field, kernel, spacing=spacing, method=method)
        taken = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert way.name == method
    assert taken == pytest.approx(costs.average_cost(plan, way).peak, rel=0.1)  # tables of weights are not counted


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
    # 20³ float64 on 2 ranks to 4³ by matrix products along a, b, c: each rank holds 10 planes, 32000 bytes.
    #   a (split): reads 32000, writes 4 partial planes of 400 points, 12800; sends the 2 planes that the other keeps,
    #              6400; adds two times 2 planes into 6400: reads the partial, writes parts and sum, 12800 + 12800
    #   b: reads 6400, writes 2 · 4 · 20 · 8 = 1280;   c: reads 1280, writes 2 · 4 · 4 · 8 = 256
    part = unread(20, 2)
    cost = costs.contractions_cost(part, (20, 20, 20), (4, 4, 4))
    assert cost.sent["sum"].tolist() == [6400, 6400] and cost.n_sent == 6400
    assert cost.kept == 256
    assert cost.moved == (32000 + 12800) + (12800 + 2 * 6400) + (6400 + 1280) + (1280 + 256)
    # arithmetic: 4 columns of a product, where 20 take as long as a pass, hide behind the memory
    assert cost.busy == cost.moved
    # at once: the partial planes, as many received, and the sum
    assert cost.peak == 12800 + 12800 + 6400


def test_a_filter_by_hand():
    # 16³ float32 on 4 ranks: 4 planes of 256 points of 4 bytes = 4096 bytes. Half spectra of 16 · 16 · 9 complex
    # values of 8 bytes; a rank has 4 · 16 · 9 · 8 = 4608 bytes of one, keeps a quarter, and sends 3456, twice.
    cost = costs.filter_cost(unread(16, 4, "float32"), (16, 16, 16))
    assert cost.sent["transpose"].tolist() == [2 * 3456] * 4
    assert cost.moved == 10 * 4096
    assert cost.busy == pytest.approx(12 * 4096)  # 120 columns of a product, 10 of which take as long as a pass


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
