"""Exchanges: what ranks get against the whole array, and the bytes they send against the model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import halo_bytes
from ranks import together

from gpuhomog.device import choose_device
from gpuhomog.parallel import (
    Serial,
    Slab,
    contract_planes,
    fetch_planes,
    model,
    sum_to_slab,
    transpose,
)
from gpuhomog.parallel.comm import common_error
from gpuhomog.parallel.exchange import at

CPU = choose_device("cpu")
SIZES = st.integers(1, 7)
SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 6), st.integers(1, 5))
AXES = st.integers(0, 2)


def numbers(shape, order="C"):
    return np.asarray(np.arange(float(np.prod(shape))).reshape(shape), order=order)


def on_slabs(whole, size, axis, work):
    """work(comm, slab, values) of every rank, and what each sent."""

    def one(comm):
        slab = Slab.of(whole.shape[axis], comm.rank, size, axis)
        result = work(comm, slab, whole[at(axis, slab.planes)])
        return result, comm.sent

    return together(size, one)


def held_to(model_bytes, results, kind):
    assert [sent[kind] for _, sent in results] == list(model_bytes)


@given(SHAPES, SIZES, AXES, st.sampled_from("CF"), st.integers(0, 12), st.integers(0, 12))
@settings(max_examples=120, deadline=None)
def test_own_planes_and_some_around(shape, size, axis, order, before, after):
    whole, n = numbers(shape, order), shape[axis]
    slabs = [Slab.of(n, rank, size) for rank in range(size)]
    wanted = [np.arange(s.start - before, s.stop + after) % n if s.n_local else np.arange(0) for s in slabs]
    results = on_slabs(whole, size, axis, lambda comm, slab, v: fetch_planes(comm, CPU, slab, v, wanted))
    for planes, (values, _) in zip(wanted, results, strict=True):
        assert np.array_equal(values, np.take(whole, planes, axis=axis))
    held_to(halo_bytes(n, size, before, after, whole.nbytes // n), results, "planes")


@given(SHAPES, SIZES, AXES, AXES, st.sampled_from("CF"))
@settings(max_examples=120, deadline=None)
def test_transpose(shape, size, axis, other, order):
    whole = numbers(shape, order)

    def there_and_back(comm, slab, values):
        turned, across = transpose(comm, CPU, slab, values, other, shape[other])
        sent = comm.sent["transpose"]
        back, home = transpose(comm, CPU, across, turned, axis, shape[axis])
        assert home == slab and np.array_equal(back, values)
        return across, turned, sent

    results = on_slabs(whole, size, axis, there_and_back)
    for (across, turned, _), _ in results:
        assert np.array_equal(turned, whole[at(other, across.planes)])
    if other != axis:
        expected = model.transpose_bytes(shape, whole.itemsize, size, axis, other)
        assert [sent for (_, _, sent), _ in results] == list(expected)


@given(SHAPES, SIZES, AXES, st.integers(1, 12), st.integers(0, 99))
@settings(max_examples=120, deadline=None)
def test_contraction_of_the_split_axis(shape, size, axis, n_out, seed):
    whole = numbers(shape)
    matrix = np.random.default_rng(seed).standard_normal((n_out, shape[axis]))
    expected = np.moveaxis(np.tensordot(matrix, whole, (1, axis)), 0, axis)
    for in_order in (False, True):
        results = on_slabs(whole, size, axis, lambda c, s, v, i=in_order: contract_planes(c, CPU, s, v, matrix, i))
        for (part, slab), _ in results:
            assert part == pytest.approx(expected[at(axis, slab.planes)], rel=1e-11, abs=1e-10)
        by_sums, by_transposes = model.contraction_choices(shape, n_out, 8, size, axis)
        sums = by_sums.sum() <= by_transposes.sum() and not in_order
        if size > 1:
            held_to(by_sums if sums else by_transposes, results, "sum" if sums else "transpose")


@given(SHAPES, SIZES, AXES)
@settings(max_examples=60, deadline=None)
def test_sum_to_slab(shape, size, axis):
    whole = numbers(shape)
    results = on_slabs(
        whole,
        size,
        axis,
        lambda comm, slab, v: (slab, sum_to_slab(comm, CPU, whole * (comm.rank + 1), slab)),
    )
    for (slab, part), _ in results:
        assert np.array_equal(part, whole[at(axis, slab.planes)] * (size * (size + 1) // 2))
    if size > 1:
        held_to(model.sum_to_slab_bytes(shape[axis], size, whole.nbytes // shape[axis]), results, "sum")


def test_planes_in_any_order():
    """Backwards, with gaps, several times: a plane that is wanted twice is sent once."""
    whole = numbers((6, 2, 3))
    wanted = [np.array([5, 3, 3, 0]), np.array([], dtype=int), np.array([4, 1, 5])]
    results = on_slabs(whole, 3, 0, lambda comm, slab, v: fetch_planes(comm, CPU, slab, v, wanted))
    for planes, (values, _) in zip(wanted, results, strict=True):
        assert np.array_equal(values, whole[planes])
    plane = whole[0].nbytes
    assert [sent["planes"] for _, sent in results] == [1 * plane, 1 * plane, 1 * plane]


def test_one_rank_sends_nothing():
    comm, whole = Serial(), numbers((4, 3, 2))
    slab = Slab.of(4)
    planes = np.arange(-2, 5) % 4
    assert np.array_equal(fetch_planes(comm, CPU, slab, whole, [planes]), whole[planes])
    assert transpose(comm, CPU, slab, whole, 2, 2)[1] == Slab.of(2, axis=2)
    assert comm.sent.total() == 0


def test_the_error_of_one_rank_is_everyones():
    assert common_error([None, None]) is None
    same = [ValueError("no such plane"), ValueError("no such plane")]
    assert str(common_error(same)) == "no such plane"
    assert str(common_error([None, *same])) == "rank 1 of 3: no such plane"
    no_text = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no text")  # is not made from one sentence
    assert common_error([None, no_text]) is no_text
    with pytest.raises(ValueError, match="rank 2 of 4: lost"):
        together(4, lambda comm: comm.agree(ValueError("lost") if comm.rank == 2 else None))
