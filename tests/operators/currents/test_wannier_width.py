"""Widths of Wannier functions against those of finite chains; gauges that make them; what cannot matter."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuhomog as gh

PERIOD = 2.5
SITES = np.array([0.1, 0.9, 1.8])
ONSITE, HOPS = (0.4, -0.2, 0.3), (1.0, 0.7, 0.5)


def ring(k):
    h = np.diag(np.array(ONSITE, dtype=complex))
    h[0, 1] = h[1, 0] = -HOPS[0]
    h[1, 2] = h[2, 1] = -HOPS[1]
    h[2, 0] -= HOPS[2] * np.exp(1j * k * PERIOD)
    h[0, 2] -= HOPS[2] * np.exp(-1j * k * PERIOD)
    return h


def chain(n_bands, n_cells=41):
    """Centres and widths of the eigenfunctions of P x P in the middle cell of an open chain."""
    h = np.diag(np.tile(ONSITE, n_cells)).astype(float)
    along = np.tile(HOPS, n_cells)[:-1]
    h -= np.diag(along, 1) + np.diag(along, -1)
    x = (np.arange(n_cells)[:, None] * PERIOD + SITES).ravel()
    occupied = np.linalg.eigh(h)[1][:, : n_bands * n_cells]
    centres, mixed = np.linalg.eigh(occupied.T @ (x[:, None] * occupied))
    functions = occupied @ mixed
    widths = (functions**2 * x[:, None] ** 2).sum(axis=0) - centres**2
    middle = n_cells // 2 * PERIOD
    inside = (centres >= middle) & (centres < middle + PERIOD)
    return centres[inside] - middle, widths[inside]


def string_of(n_bands, n_k=128):
    return gh.model_string(ring, n_bands, n_k=n_k, period=PERIOD, sites=SITES)


def unitaries(rng, count, n):
    return np.linalg.qr(rng.normal(size=(count, n, n)) + 1j * rng.normal(size=(count, n, n)))[0]


@pytest.mark.parametrize("n_bands", [1, 2])
def test_widths_are_those_of_a_finite_chain(n_bands):
    """Of two bands it is Ω_I, which the functions of one dimension attain together."""
    _, widths = chain(n_bands)
    string = string_of(n_bands)
    found = gh.wannier_width(string)
    assert found.bound == (n_bands > 1)
    assert found.width.value == pytest.approx(widths.sum(), abs=2e-5)
    assert found.c12_transport.value == pytest.approx(widths.sum(), abs=2e-5)
    by_zak = gh.berry_phase(string).centres
    assert found.c12_periodic.value == pytest.approx(widths.sum() + (by_zak**2).sum(), abs=1e-4)
    raw = gh.wannier_width(string_of(n_bands, 127)).width
    assert raw.uncertainty is None and abs(raw.value - widths.sum()) < 2 * found.width.uncertainty + 1e-6
    assert ("bound" in str(found)) == (n_bands > 1)


@given(seed=st.integers(0, 10**6), n_bands=st.integers(1, 2))
def test_neither_phases_nor_mixtures_change_the_width(seed, n_bands):
    string = string_of(n_bands, 32)
    gauge = unitaries(np.random.default_rng(seed), 32, n_bands)
    turned = string.rotated(np.concatenate([gauge, gauge[:1]]))
    one, other = gh.wannier_width(string), gh.wannier_width(turned)
    assert other.width.value == pytest.approx(one.width.value, abs=1e-10)
    assert other.c12_transport.value == pytest.approx(one.c12_transport.value, abs=1e-10)
    assert other.c12_periodic.value == pytest.approx(one.c12_periodic.value, abs=1e-9)
    assert other.c12_given > 10 * one.width.value  # eq. C12 as printed has no limit with random phases


def test_phases_alone_make_the_printed_width_diverge():
    """As n_k² for random phases, where the width stays."""
    rng = np.random.default_rng(1)
    printed = []
    for n_k in (64, 128):
        string = string_of(1, n_k)
        phases = np.exp(2j * np.pi * rng.uniform(size=n_k))[:, None, None]
        printed.append(gh.wannier_width(string.rotated(np.concatenate([phases, phases[:1]]))).c12_given)
    assert 3 < printed[1] / printed[0] < 5


@pytest.mark.parametrize("n_bands", [1, 2])
def test_parallel_transport(n_bands):
    string = string_of(n_bands, 24)
    gauge = gh.transport_gauge(string)
    carried = string.rotated(gauge).links
    assert carried == pytest.approx(np.conj(np.swapaxes(carried, 1, 2)), abs=1e-12)
    assert np.linalg.eigvalsh(carried).min() > 0.3
    phases = np.sort(np.angle(np.linalg.eigvals(gauge[-1])))
    centres = gh.berry_phase(string_of(n_bands, 384)).centres
    assert phases * PERIOD / (2 * np.pi) == pytest.approx(centres, abs=2e-2)
    even = gh.transport_gauge(string, periodic=True)
    assert even[-1] == pytest.approx(even[0], abs=1e-12)
    assert even @ np.conj(np.swapaxes(even, 1, 2)) == pytest.approx(np.broadcast_to(np.eye(n_bands), even.shape))
    turned = np.diagonal(string.rotated(even).links, axis1=1, axis2=2)
    assert np.ptp(np.angle(turned), axis=0).max() < 0.1  # the same small turn at every k


def test_the_periodic_gauge_makes_the_function_of_least_width():
    """w = (1/n_k) Σ_j e^{ikr} u'(k_j) on a ring of n_k cells has the width that is told; another gauge a larger one."""
    n_k = 48
    string = string_of(1, n_k)
    tau = np.exp(-1j * 2 * np.pi / (n_k * PERIOD) * np.arange(n_k)[:, None] * SITES)
    u = np.array([np.linalg.eigh(ring(2 * np.pi * j / (n_k * PERIOD)))[1][:, 0] for j in range(n_k)]) * tau
    even = gh.transport_gauge(string, periodic=True)[:-1, 0, 0]
    cells = np.arange(n_k) - n_k // 2
    x = cells[:, None] * PERIOD + SITES

    def width(gauge):
        k = 2 * np.pi * np.arange(n_k) / (n_k * PERIOD)
        w = np.einsum("j,js,jcs->cs", gauge, u, np.exp(1j * k[:, None, None] * x)) / n_k
        density = np.abs(w) ** 2
        assert density.sum() == pytest.approx(1)
        centre = (density * x).sum()
        return (density * (x - centre) ** 2).sum()

    expected = gh.wannier_width(string).width.value
    assert width(even) == pytest.approx(expected, abs=1e-4)
    bent = even * np.exp(0.4j * np.sin(2 * np.pi * np.arange(n_k) / n_k))
    assert width(bent) == pytest.approx(expected + 0.08 * PERIOD**2, abs=1e-3)  # (C11): the mean of (∂θ)²
