"""Stated uncertainties against the truth: seeded crystals of Gaussian packets whose excesses are closed sums.

Grids shifted by parts of a sample, coarse ones (a sample as wide as a packet's standard deviation), float32, cell
averages: in at least 95 of 100 cases what is found must lie within its uncertainty of the truth.
"""

import numpy as np
import pytest
from scipy.special import erf

import gpuhomog as gh
from gpuhomog.operators.profiles.unrolled import Unrolled
from gpuhomog.units import FOUR_PI_KAPPA


def profile(values, length, boundary, single):
    """As planes of a field of one line have it."""
    values = np.asarray(values, np.float32 if single else np.float64)[None, None]
    boundary = ("periodic", "periodic", boundary)
    field = gh.Field.from_array(values, np.diag([1.0, 1.0, length]), quantity="charge_density", boundary=boundary)
    return gh.planar_average(field, "c")


def below(x, centres, charges, std):
    """C(x), and its integral D(x), of Gaussian packets."""
    z = (x[:, None] - centres) / std
    half = (1 + erf(z / np.sqrt(2))) / 2
    double = (x[:, None] - centres) * half + std * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return half @ charges, double @ charges


def density(x, step, centres, charges, std, cells):
    """At points, or averaged over cells."""
    if cells:
        return np.diff(below(np.append(x, x[-1] + step) - step / 2, centres, charges, std)[0]) / step
    return np.exp(-(((x[:, None] - centres) / std) ** 2) / 2) @ (charges / std) / np.sqrt(2 * np.pi)


def neutral_cell(rng, a, n):
    charges = rng.standard_normal(n)
    return np.sort(rng.uniform(0.02, 0.98, n)) * a, charges - charges.mean()


def share_within(found):
    """{name: share of (value, truth) within the uncertainty}, of those that are defined."""
    shares = {}
    for name, pairs in found.items():
        known = [(m, truth) for m, truth in pairs if m.defined]
        assert len(known) > 0.8 * len(pairs), name
        shares[name] = np.mean([abs(float(m) - truth) <= m.uncertainty for m, truth in known])
    return shares


def test_surfaces():
    rng = np.random.default_rng(0)
    found, at_cut = {}, {}
    for number in range(20):
        a, n_cells, std = rng.uniform(3, 7), int(rng.integers(6, 20)), rng.uniform(0.25, 0.6)
        places, charges = neutral_cell(rng, a, int(rng.integers(2, 5)))
        vacuum, step = rng.uniform(8, 14), rng.uniform(0.08, 0.24)
        n = int((n_cells * a + 2 * vacuum) / step)
        x = np.arange(n) * step
        centres = (vacuum + rng.uniform(0, step) + a * np.arange(n_cells)[:, None] + places).ravel()
        matter = centres, np.tile(charges, n_cells), std
        cells = number % 3 == 0
        line = profile(density(x, step, *matter, cells), n * step, "open", number % 2 == 0)
        result = gh.surface_charge(line, sampling="cell" if cells else None)
        sigma = -(charges * places).sum() / a
        window = result.x_b + a * np.linspace(-0.5, 0.5, 2001)
        mean_of_double = np.trapezoid(below(window, *matter)[1], window) / a
        moment = (result.x_b - result.origin_low) * sigma - mean_of_double
        for name in ("", "_period", "_kernel", "_partition"):
            found.setdefault(f"low{name}", []).append((getattr(result, f"low{name}"), sigma))
            found.setdefault(f"high{name}", []).append((getattr(result, f"high{name}"), -sigma))
            found.setdefault(f"low_dipole{name}", []).append((getattr(result, f"low_dipole{name}"), moment))
        cut = float(below(np.array([result.x_b]), *matter)[0][0])
        at_cut.setdefault("cut", []).append((result.cut, cut))
        at_cut.setdefault("bulk part", []).append((result.bulk_part, sigma - cut))
    shares = share_within(found)
    assert min(shares.values()) >= 0.95, shares
    for name, (_, two, times) in shares_away(at_cut).items():
        assert two >= 0.95 and times < 100, (name, two, times)


def test_interfaces():
    rng = np.random.default_rng(0)
    found = {}
    for number in range(20):
        a, n_cells, std, step = rng.uniform(3, 6), int(rng.integers(6, 14)), 0.4, rng.uniform(0.08, 0.3)
        (one, q_one), (other, q_other) = neutral_cell(rng, a, 3), neutral_cell(rng, a, 3)
        length = 2 * n_cells * a
        n = int(length / step)
        cells = a * np.arange(n_cells)[:, None]
        centres = np.concatenate([(cells + one).ravel(), (n_cells * a + cells + other).ravel()])
        charges = np.concatenate([np.tile(q_one, n_cells), np.tile(q_other, n_cells)])
        x = np.arange(n) * length / n + rng.uniform(0, step)
        images = np.concatenate([centres - length, centres, centres + length])
        values = density(x, length / n, images, np.tile(charges, 3), std, False)
        line = profile(values, length, "periodic", number % 2 == 0)
        result = gh.interface_charge(line, between=(n_cells * a / 2, n_cells * a * 1.5))
        sigma = ((q_one * one).sum() - (q_other * other).sum()) / a
        for name in ("charge", "period_window", "kernel", "partition"):
            found.setdefault(name, []).append((getattr(result, name), sigma))
    shares = share_within(found)
    assert min(shares.values()) >= 0.95, shares


def layers(rng, disorder, n_cells, a, places, charges):
    """Centres and charges (n_cells, atoms) of cells that differ, by chance, in strength or in where their atoms are."""
    cells = a * np.arange(n_cells)[:, None] + places
    moved = 0.008 * a * rng.standard_normal(cells.shape) if disorder == "places" else 0.0
    strength = 1 + 0.02 * rng.standard_normal((n_cells, 1)) if disorder == "strength" else 1.0
    return cells + moved, strength * charges * np.ones(cells.shape)


def shares_away(found):
    """{name: shares within one and two uncertainties, and the median of uncertainty over error}."""
    away = {
        name: np.array([abs(float(m) - truth) / m.uncertainty for m, truth in pairs]) for name, pairs in found.items()
    }
    return {name: (np.mean(x < 1), np.mean(x < 2), np.median(1 / x)) for name, x in away.items()}


@pytest.mark.parametrize("disorder", ["strength", "places"])
def test_bulks_whose_layers_differ(disorder):
    """What cells carry on average is the truth; those around x_b are 2 % off in strength, or 1 % in places."""
    found = {}
    for number in range(64):
        rng = np.random.default_rng(number)
        a, std, step, vacuum = rng.uniform(3, 6), rng.uniform(0.3, 0.5), rng.uniform(0.2, 0.25), 8.0
        counts = rng.integers(9, 15, 2)
        (one, q_one), (other, q_other) = (neutral_cell(rng, a, 3) for _ in range(2))
        centres, charges = layers(rng, disorder, counts[0], a, one, q_one)
        more, q_more = layers(rng, disorder, counts[1], a, other, q_other)
        for kind in ("surface", "interface"):
            both = kind == "interface"
            middle = vacuum + a * counts[0]
            positions = np.concatenate([centres.ravel() + vacuum, (more + middle).ravel() if both else []])
            x = step * np.arange(int((2 * vacuum + a * (counts.sum() if both else counts[0])) / step))
            all_charges = np.append(charges.ravel(), q_more.ravel() if both else [])
            line = profile(density(x, step, positions, all_charges, std, False), step * len(x), "open", False)
            first = -(q_one * one).sum() / a
            if not both:
                result = gh.surface_charge(line, period=a, x_b=vacuum + a * (counts[0] / 2 + rng.uniform(-0.5, 0.5)))
                found.setdefault("low", []).append((result.low, first))
                found.setdefault("low kernel", []).append((result.low_kernel, first))
                continue
            places = middle - a * counts[0] / 2, middle + a * counts[1] / 2
            result = gh.interface_charge(line, between=places, period=a)
            sigma = -(q_other * other).sum() / a - first
            found.setdefault("interface", []).append((result.charge, sigma))
            found.setdefault("interface kernel", []).append((result.kernel, sigma))
    found = {name: [(m, truth) for m, truth in pairs if m.defined] for name, pairs in found.items()}
    shares = shares_away(found)
    for name, (one, two, times) in shares.items():
        assert len(found[name]) > 15 and 0.6 < one < 0.97 and two > 0.93 and times < 4, (name, shares)


NOISES = {
    "white": lambda rng, f: f + 1e-3 * np.abs(f).max() * rng.standard_normal(len(f)),
    "rounded": lambda rng, f: np.array([float(f"{x:.2e}") for x in f]),
}


def some_slab(rng):
    """Length of its cells, how many they are, width of their charges, step of the samples."""
    return rng.uniform(3, 6), int(rng.integers(6, 14)), rng.uniform(0.35, 0.5), rng.uniform(0.1, 0.2)


@pytest.mark.parametrize("noise", NOISES)
def test_noise_of_the_samples(noise):
    """White noise, or values of three digits: all sums state it; s of the samples is found within 30 %."""
    found, ratios = {}, []
    for number in range(24):
        rng = np.random.default_rng(number)
        a, n_cells, std, step = some_slab(rng)
        (one, q_one), (other, q_other) = (neutral_cell(rng, a, 3) for _ in range(2))
        cells, length = a * np.arange(n_cells)[:, None], a * n_cells
        sigma = -(q_one * one).sum() / a
        x = step * np.arange(int((20 + length) / step))
        clean = density(x, step, (10 + cells + one).ravel(), np.tile(q_one, n_cells), std, False)
        values = NOISES[noise](rng, clean)
        line = profile(values, step * len(x), "open", False)
        result = gh.surface_charge(line, period=a, origin=10.0)
        unrolled = Unrolled(0.0, step, values)
        ratios.append(unrolled.noise / (np.std(values - clean) * np.sqrt(step)))
        assert Unrolled(0.0, step, clean).noise < 1e-14 * np.abs(clean).max()
        for name, truth in (
            ("low", sigma),
            ("high", -sigma),
            ("total", 0.0),
            ("dipole", n_cells * (q_one * one).sum()),
        ):
            found.setdefault(name, []).append((getattr(result, name), truth))
        found.setdefault("kernel", []).append((result.low_kernel, sigma))
        centres = np.concatenate([(cells + one).ravel(), (length + cells + other).ravel()])
        charges = np.append(np.tile(q_one, n_cells), np.tile(q_other, n_cells))
        n = int(2 * length / step)
        images = np.concatenate([centres - 2 * length, centres, centres + 2 * length])
        values = density(np.arange(n) * 2 * length / n, 2 * length / n, images, np.tile(charges, 3), std, False)
        line = profile(NOISES[noise](rng, values), 2 * length, "periodic", False)
        result = gh.interface_charge(line, between=(length / 2, length * 1.5), period=a)
        found.setdefault("interface", []).append((result.charge, -(q_other * other).sum() / a - sigma))
    assert np.mean(np.abs(np.array(ratios) - 1) < 0.3) > 0.85
    shares = shares_away({name: [pair for pair in pairs if pair[0].defined] for name, pairs in found.items()})
    for name, (one, two, times) in shares.items():
        assert 0.5 < one < 0.97 and two > 0.85 and times < 4, (name, shares)


def test_levels_of_a_noisy_charge():
    """Slabs of cells without a dipole: no step, and the bulk's level is -2πκ Σ q (x² + std²)/a."""
    found = {}
    for number in range(40):
        rng = np.random.default_rng(number)
        a, n_cells, std, step = some_slab(rng)
        places, charges = neutral_cell(rng, a, 4)
        ones = np.stack([np.ones(4), places])
        charges = charges - ones.T @ np.linalg.solve(ones @ ones.T, ones @ charges)
        x = step * np.arange(int((16 + n_cells * a) / step))
        centres = (8 + a * np.arange(n_cells)[:, None] + places).ravel()
        values = NOISES["white"](rng, density(x, step, centres, np.tile(charges, n_cells), std, False))
        result = gh.potential_step(profile(values, step * len(x), "open", False), period=a)
        found.setdefault("step", []).append((result.step, 0.0))
        found.setdefault("bulk", []).append((result.bulk, -FOUR_PI_KAPPA / 2 * charges @ (places**2 + std**2) / a))
        found.setdefault("field", []).append((result.bulk_field, 0.0))
    shares = shares_away(found)
    for name, (one, two, times) in shares.items():
        assert 0.6 < one < 0.97 and two > 0.87 and times < 4, (name, shares)


def test_matter_is_no_noise():
    """Resolved packets, charges at points of a crystal or at one, disorder, sharp ends: s is 0."""
    rng, n = np.random.default_rng(5), 480
    x = 0.15 * np.arange(n)
    combs, single, ends = np.zeros(n), np.zeros(n), np.where((x > 20) & (x < 50), 1.0, 0.0)
    combs[100:380:10], combs[103:383:10], single[200] = 1.0, -1.0, 1.0
    for std in (0.16, 0.3, 0.6):
        packets = density(x, 0.15, rng.uniform(15, 55, 40), rng.standard_normal(40), std, False)
        assert Unrolled(0.0, 0.15, packets).noise < 1e-14 * np.abs(packets).max()
    for values in (combs, single, ends):
        assert Unrolled(0.0, 0.15, values).noise < 1e-14


@pytest.mark.parametrize("single", [False, True])
def test_moments(single):
    rng = np.random.default_rng(0)
    found = {}
    for _ in range(40):
        a, m = rng.uniform(3, 7), int(rng.integers(1, 6))
        order = np.arange(1, m + 1)
        waves = rng.standard_normal(m) * np.exp(-order / 2 + 1j * rng.uniform(0, 6, m))
        n, k, x_b = int(rng.integers(4 * m + 6, 60)), 2 * np.pi / a * order, rng.uniform(0, a)
        values = 2 * np.real(np.exp(1j * np.outer(np.arange(n) * a / n, k)) @ waves)
        here = waves * np.exp(1j * k * x_b)
        first, second = 2 * np.real((here / (1j * k)).sum()), 2 * np.real((here / k**2).sum())
        for partition in ("period", "crossings"):
            result = gh.moment_densities(profile(values, a, "periodic", single), x_b=x_b, partition=partition)
            found.setdefault(f"m1 {partition}", []).append((result.m1, first))
            found.setdefault(f"w {partition}", []).append((result.w, second))
    shares = share_within(found)
    assert min(shares.values()) >= 0.95, shares
