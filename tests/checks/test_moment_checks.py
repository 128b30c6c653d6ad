"""Independently computed values of the theory, through the public operators: partitions, moments, the quantum."""

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.operators.profiles.between_points import values_at

TRIG = ((0.7, 1, 0.3), (-1.1, 2, 1.9), (0.45, 3, -0.8))


def periodic(values, length=1.0, start=0.0):
    n = len(values)
    return gh.Profile(start + np.arange(n) * (length / n), values, "e/Å^3", "charge_density", length)


def point_charges(charges, start, stop, h, boundary="open"):
    """Point charges, each spread over the cell whose middle it is in."""
    values = np.zeros(round((stop - start) / h))
    for position, q in charges:
        values[round((position - start) / h)] += q / h
    length = h * len(values)
    return gh.Profile(start + h * np.arange(len(values)), values, "e/Å^3", "charge_density", length, boundary=boundary)


@pytest.mark.parametrize("sampling", ["bandlimited", "cell"])
def test_moments_of_a_trigonometric_crystal(checks, sampling):
    """M1, M2 and their slopes at x_b; S1 of the crystal that begins at 0: the printed eq. 42 has M2 for M2/2."""
    check = checks["moments_trig_xb0.1"]
    n, x_b = 20000, 0.1
    edges = np.arange(n + 1) / n
    primitive = sum(a * np.sin(2 * np.pi * k * edges + phase) / (2 * np.pi * k) for a, k, phase in TRIG)
    if sampling == "cell":  # exact averages over the cells; x_b on an edge
        profile = periodic(np.diff(primitive) * n, start=1 / (2 * n))
    else:
        profile = periodic(sum(a * np.cos(2 * np.pi * k * edges[:-1] + phase) for a, k, phase in TRIG))
    places = x_b + 1e-4 * np.arange(-2, 3)
    found = gh.moment_densities(profile, x_b=x_b, sampling=sampling, positions=places)
    below = sum(  # ∫_0^x_b x ρ
        a * (x_b * np.sin(w * x_b + phase) / w + (np.cos(w * x_b + phase) - np.cos(phase)) / w**2)
        for a, w, phase in ((a, 2 * np.pi * k, phase) for a, k, phase in TRIG)
    )
    m1, m2, w = found.m1.value, found.m2.value, found.w.value
    slopes = [found.m1_slope.values[2], found.m2_slope.values[2]]
    if sampling == "cell":  # a jump of the density at the edge x_b, and differences of M2 over 2e-4 Å
        slopes[0] = np.mean([found.m1_slope.values[1:-1].mean(), found.m1_slope.values[2]])
        assert slopes == pytest.approx(check["expected"][2:4], abs=2e-3)
        slopes = check["expected"][2:4]
    numbers = [m1, m2, *slopes, below - x_b * m1 - m2, below - x_b * m1 - w]
    assert numbers == pytest.approx(check["expected"], abs=check["tolerance"])


def test_merged_and_fine_partition(checks):
    """M2 depends on the partition, M1 and W do not. The fine one is that of the crossings of C, the merged one whole
    periods."""
    check = checks["partition_noninvariance_AB"]
    h = 0.0125
    cell = check["inputs"]["unit_cell"]
    profile = point_charges(cell, 0.0, 1.0, h, boundary="periodic")
    with_pairs = gh.moment_densities(profile, x_b=0.0, partition="crossings", sampling="cell")
    merged = gh.moment_densities(profile, x_b=0.0, partition="period", sampling="cell")
    assert with_pairs.edges % 1.0 == pytest.approx([0, 0.35, 0, 0.35, 0], abs=1e-12)  # middles of two plateaus
    numbers = [
        with_pairs.m1.value,
        merged.m1.value,
        with_pairs.m2.value,
        merged.m2.value,
        with_pairs.offset,
        with_pairs.w.value,
    ]
    assert numbers == pytest.approx(check["expected"], abs=check["tolerance"])
    assert merged.w.value == pytest.approx(check["expected"][5], abs=check["tolerance"])


def test_mean_second_moment_of_crossings(checks):
    """E27 holds for W, not for M2."""
    check = checks["nearest_crossing_crystal_meanM2"]
    n = 400
    edges = np.arange(n + 1) / n
    primitive = -np.cos(2 * np.pi * edges) / (2 * np.pi) - 1.5 * np.cos(4 * np.pi * edges + 0.4) / (4 * np.pi)
    profile = periodic(np.diff(primitive) * n, start=1 / (2 * n))
    found = gh.moment_densities(profile, partition="crossings", sampling="cell")
    assert [found.mean_m2, found.mean_w] == pytest.approx(check["expected"], abs=check["tolerance"])
    assert found.invariance < 1e-4


def test_a_level_that_is_not_reached_again(checks):
    check = checks["partition_failure"]
    given = check["inputs"]
    charges = [(j + d, q) for j in range(10) if j != 5 for d, q in ((0.0, 1.0), (0.1, -1.0))]
    profile = point_charges([*charges, (5.0, 2.0), (5.4, -2.0)], -2.0, 12.0, 0.05)
    with pytest.raises(gh.InputError) as refused:
        gh.partition(profile, x_b=given["xb"], largest=given["alpha_max"], sampling="cell")
    message = str(refused.value)
    assert check["expected"].startswith("error: C(xb)=2 is never reached again")
    for part in ("x_b = 5.2 Å, 2 e/Å^2", "within 3 Å", "Nearest usable level 0", "x_b = 5.7 Å", "kernel estimate"):
        assert part in message
    found = gh.partition(profile, x_b=5.7, largest=given["alpha_max"], sampling="cell")
    assert found.widest <= given["alpha_max"]


def test_polarization_quantum(checks):
    check = checks["polarization_quantum"]
    lattice = np.array(check["inputs"]["lattice_rows"])
    found = gh.polarization_quantum(lattice, (1, 0, 0))
    length = float(gh.Grid((1, 1, 1), lattice).lengths[0])
    numbers = [found.volume, found.area, found.spacing, length, found.along_normal, *found.vectors[0]]
    assert numbers == pytest.approx(check["expected"], abs=check["tolerance"])


def test_dipole_density_of_a_wave(checks):
    check = checks["dipole_density_cos"]
    given = check["inputs"]
    length = 1 / 1.3
    profile = periodic(np.cos(2.6 * np.pi * np.arange(16) * length / 16), length)
    found = gh.dipole_density(profile, width=given["eps"])
    assert values_at(found, given["x"]) == pytest.approx(check["expected"], abs=check["tolerance"])


def test_dipole_density_of_a_ramp(checks):
    check = checks["dipole_density_gradient"]
    x = np.arange(60) * 0.1
    profile = gh.Profile(x, 0.3 + 0.05 * x, "e/Å^3", "charge_density", 6.0, boundary="open")
    found = gh.dipole_density(profile, width=check["inputs"]["eps"])
    assert found.mean() == pytest.approx(check["expected"], abs=check["tolerance"])
