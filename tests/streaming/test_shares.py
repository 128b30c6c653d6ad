"""Shares: what is found of them comes in the order of the planes, whoever found it, and few are in memory."""

import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.device import CPU
from gpuhomog.parallel import Slab
from gpuhomog.streaming import Limit, Run, in_turns, running, shares

N = 23
VALUES = np.random.default_rng(3).normal(size=(N, 4, 5))


class Chunks:
    """Chunks of 4 planes that count how many of them are in use."""

    def __init__(self):
        self.held = self.most_held = 0

    @contextmanager
    def _values(self, slab):
        self.held += 1
        self.most_held = max(self.most_held, self.held)
        try:
            yield VALUES[slab.planes]
        finally:
            self.held -= 1

    def __iter__(self):
        for start in range(0, N, 4):
            slab = Slab(0, N, start, min(start + 4, N))
            yield slab, self._values(slab)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("n_planes", [1, 3, 4, 9])
def test_what_is_found_comes_in_order_from_two_chunks_at_most(threads, n_planes):
    """The earlier a share, the longer it takes: without an order the later ones would come first."""
    chunks, got = Chunks(), []

    def looks(values, slab):
        def look():
            time.sleep((N - slab.start) * 2e-4)
            return values.sum(axis=(1, 2))

        return [look, lambda: slab]

    with shares.workers(CPU(threads)) as (begin, most):
        for share, (found, slab), ends in shares.in_shares(chunks, n_planes, looks, begin, most):
            assert share == slab and share.n_local <= n_planes
            assert ends == (share.stop % 4 == 0 or share.stop == N)
            got.append(found)
    np.testing.assert_array_equal(np.concatenate(got), VALUES.sum(axis=(1, 2)))
    assert chunks.held == 0 and chunks.most_held == (1 if threads == 1 else 2)


def test_a_core_that_is_done_goes_on_with_the_next_chunk():
    """The first share waits for the fifth, which is of the second chunk."""
    fifth = threading.Event()

    def looks(values, slab):
        if slab.start == 0:
            return [lambda: fifth.wait(20.0)]
        return [fifth.set if slab.start == 4 else lambda: None]

    with shares.workers(CPU(4)) as (begin, most):
        seen = [found for _, found, _ in shares.in_shares(Chunks(), 1, looks, begin, most)]
    assert seen[0] == [True]


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_comes_in_its_turn_and_nothing_is_left_in_use(threads):
    chunks, got = Chunks(), []

    def looks(values, slab):
        return [lambda: 1 // (slab.start < 6)]

    with pytest.raises(ZeroDivisionError), shares.workers(CPU(threads)) as (begin, most):
        for share, _, _ in shares.in_shares(chunks, 2, looks, begin, most):
            got.append(share.start)
    assert got == [0, 2, 4] and chunks.held == 0


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_averages_of_a_pass_read_a_share_in_one_product(stored, small_chunks, monkeypatch, rng, order, dtype):
    """Three kernels: one product as long as a line for all of them, and numbers of NumPy's own sums."""
    monkeypatch.setattr(shares, "SHARE_BYTES", 2 * 15 * 13 * 8)
    small_chunks(8 * 15 * 13 * 8)
    values = np.asarray(rng.normal(size=(12, 15, 13)) + 1.0, order=order)
    path, device, long = stored(values), CPU(threads=2), []
    contract = CPU.contract

    def noting(self, some, matrix, axis):
        if some.shape[1] == 15 and axis == 1:
            long.append(len(matrix))
        return contract(self, some, matrix, axis)

    monkeypatch.setattr(CPU, "contract", noting)
    run = Run(Limit(4 * 10**9))
    with running(run):
        field = gh.read(path, max_memory="4GB", device=device, dtype=dtype)
    kernels = gh.Gaussian(6.0), gh.Box(4.0), gh.Box(6.0)
    with pytest.warns(gh.errors.AccuracyWarning):
        found = in_turns(
            [lambda kernel=kernel: gh.average(field, kernel, spacing=3.0) for kernel in kernels], run.answer
        )
    assert set(long) == {3 * found[0].grid.shape[1]}
    for kernel, one in zip(kernels, found, strict=True):
        spectrum = np.fft.fftn(values.astype(dtype).astype(float))
        for axis, n in enumerate(values.shape):
            along = [1, 1, 1]
            along[axis] = n
            spectrum = spectrum * kernel.transform(2 * np.pi * np.fft.fftfreq(n, 1.0)).reshape(along)
        indices = [np.arange(m) * n / m for m, n in zip(one.grid.shape, values.shape, strict=True)]
        for axis, at in enumerate(indices):  # the trigonometric polynomial at the coarse points
            n = values.shape[axis]
            waves = np.exp(2j * np.pi * np.outer(at, np.fft.fftfreq(n))) / n
            if n % 2 == 0:
                waves[:, n // 2] = waves[:, n // 2].real
            spectrum = np.moveaxis(np.tensordot(waves, spectrum, (1, axis)), 0, axis)
        np.testing.assert_allclose(one.values, spectrum.real, atol=1e-6 if dtype == np.float32 else 1e-13)
