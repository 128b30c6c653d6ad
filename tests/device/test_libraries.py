"""Filters on the CPU by FFTW, by ducc0 and by SciPy: the numbers of each against NumPy's complex FFT."""

import sys
from threading import Thread

import numpy as np
import pytest
from oracles import whole_filter

import gpuhomog as gh
from gpuhomog.device import CPU, fftw
from gpuhomog.device.cpu import blocks, transforms
from gpuhomog.device.cpu.kept import Kept
from gpuhomog.fft import AlongAxes, Derivative, InverseSquare, Multiplier, OfWavevector, convolved, filtered, identity

ROWS = 2 * np.pi * np.linalg.inv(np.diag([4.0, 5.0, 6.0])).T
OBLIQUE = ROWS + 0.2 * np.roll(ROWS, 1, axis=1)


@pytest.fixture(params=["fftw", "ducc0", "scipy"])
def library(request, tmp_path, monkeypatch):
    """Only this one is there; of FFTW a context that stores wisdom of what is done in it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(blocks, "TABLES", Kept())
    missing = {"fftw": "ducc0", "ducc0": "pyfftw", "scipy": "pyfftw ducc0"}[request.param]
    for name in missing.split():
        monkeypatch.setitem(sys.modules, name, None)
    if request.param == "scipy":
        monkeypatch.setitem(sys.modules, "ducc0", None)
    transforms.ducc0.cache_clear()
    fftw._pyfftw.cache_clear()
    yield request.param
    transforms.ducc0.cache_clear()
    fftw._pyfftw.cache_clear()


def kernel(k):
    return np.exp(-k * k / 9) / (1 + k)


CASES = {
    "even": [OfWavevector(ROWS, kernel)],
    "oblique": [OfWavevector(OBLIQUE, kernel)],
    "even times odd": [InverseSquare(ROWS), Derivative(ROWS, np.array([0.3, -0.5, 0.8]))],
    "separable": [AlongAxes([lambda n: np.exp(0.3j * n), None, lambda n: np.sinc(n / 5)])],
    "across planes": [OfWavevector(np.diag([0, 1.0, 2.0]), kernel)],
    "within planes of the second axis": [OfWavevector(np.diag([1.0, 0, 2.0]), kernel)],
    "along the last": [OfWavevector(np.diag([0, 0, 2.0]), kernel)],
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("shape", "padded"), [((6, 5, 8), (6, 5, 8)), ((6, 5, 8), (12, 5, 16)), ((3, 4, 7), (8, 9, 7))]
)
@pytest.mark.parametrize("threads", [1, 3])
def test_numbers_of_every_library(library, rng, monkeypatch, shape, padded, dtype, threads):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 2000)  # several blocks, the last one smaller, and memory used again
    values = rng.standard_normal(shape).astype(dtype)
    device = CPU(threads)
    for name, parts in CASES.items():
        for order in "CF":
            array = np.array(values, order=order)
            multipliers = [Multiplier(padded, parts, is_complex=True), Multiplier(padded, CASES["even"])]
            solve = filtered if shape == padded else convolved
            if library == "fftw":
                with fftw.planning():
                    solve(device, array, *multipliers)
            results = solve(device, array, *multipliers)
            tolerance = 2e-6 if dtype == np.float32 else 1e-14
            for result, factor in zip(results, (parts, CASES["even"]), strict=True):
                expected = whole_filter(values.astype(float), padded, factor)
                assert result.dtype == dtype and result.flags[f"{order}_CONTIGUOUS"], name
                assert np.abs(result - expected).max() < tolerance * max(1, np.abs(expected).max()), (name, order)


def test_blocks_are_those_that_were_planned(tmp_path, monkeypatch, rng):
    """FFTW is asked for the lines of blocks, and finds wisdom for all of them and for nothing else."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    pytest.importorskip("pyfftw").forget_wisdom()  # of the tests before
    fftw._pyfftw.cache_clear()
    values, multiplier = rng.standard_normal((6, 4, 10)), Multiplier((6, 4, 10), CASES["even"])
    found = []
    real = fftw.planned
    monkeypatch.setattr(fftw, "planned", lambda *what: found.append(real(*what)) or found[-1])
    filtered(CPU(1), values, multiplier)
    assert found == [None] * 4
    with fftw.planning():
        filtered(CPU(1), values, multiplier)
    found.clear()
    filtered(CPU(1), values, multiplier)
    assert len(found) == 4 and None not in found
    found.clear()
    filtered(CPU(1), values[:, :, :7], Multiplier((6, 4, 7), CASES["even"]))
    assert found == [None] * 4
    fftw._pyfftw.cache_clear()


def test_tables_are_made_once(monkeypatch, rng):
    monkeypatch.setattr(blocks, "TABLES", Kept())
    made = []

    def counted(multiplier, i):
        made.append(i)
        return quarter(multiplier, i)

    quarter = Multiplier.quarter
    monkeypatch.setattr(Multiplier, "quarter", counted)
    values = rng.standard_normal((4, 6, 8))
    of = lambda rows, n=8: [Multiplier((4, 6, n), [InverseSquare(np.array(rows))])]  # noqa: E731
    first = filtered(CPU(2), values, *of(ROWS))[0]
    assert sorted(made) == [0, 1, 2, 3]
    assert np.array_equal(filtered(CPU(2), values, *of(ROWS))[0], first) and len(made) == 4
    other = filtered(CPU(2), values, *of(2 * ROWS))[0]
    assert len(made) == 8 and np.abs(other - first / 4).max() < 1e-15
    filtered(CPU(2), values.astype(np.float32), *of(ROWS))
    assert len(made) == 12  # in the precision of the values
    filtered(CPU(2), values, Multiplier((4, 6, 8), [OfWavevector(ROWS, lambda k: k)]))
    filtered(CPU(2), values, Multiplier((4, 6, 8), [OfWavevector(ROWS, lambda k: 2 * k)]))
    assert len(made) == 20  # of a function without a name nobody knows what it was


def test_what_was_not_used_for_longest_goes():
    kept = Kept(n_bytes=250)
    for name in "abc":
        kept.put(name, np.zeros(10))
    assert kept.get("a").nbytes == 80
    kept.put("d", np.zeros(10))
    assert kept.get("b") is None and kept.get("a") is not None and kept.get("d") is not None


def test_threads_share_tables(monkeypatch, rng):
    monkeypatch.setattr(blocks, "TABLES", Kept())
    values = rng.standard_normal((9, 8, 7))
    expected = whole_filter(values, values.shape, CASES["even times odd"])
    found = []

    def work():
        for _ in range(5):
            multiplier = Multiplier(values.shape, CASES["even times odd"], is_complex=True)
            found.append(np.abs(filtered(CPU(2), values, multiplier)[0] - expected).max())

    workers = [Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 20 and max(found) < 1e-14


def test_identity_is_of_numbers():
    assert identity(InverseSquare(ROWS)) == identity(InverseSquare(ROWS.copy()))
    assert identity(InverseSquare(ROWS)) != identity(InverseSquare(ROWS, 2.0))
    here, there = (identity(gh.Gaussian(eps).transform) for eps in (2.0, 3.0))
    assert here == identity(gh.Gaussian(2.0).transform) != there
    assert Multiplier((2, 2, 2), CASES["even times odd"]).identity is not None
    assert Multiplier((2, 2, 2), CASES["separable"]).identity is None
