"""What the theory's text asks to be refused, warned of or left undefined, sentence by sentence, through public calls.

Each entry: the words of the text, the call, what it raises (or, of a result, says), and words that must be in it.
"""

import re
import warnings

import numpy as np
import pytest
from disordered import disordered

import gpuhomog as gh
from gpuhomog.errors import AccuracyWarning, GpuhomogError, InputError, KernelError

CELL = np.array([[4.0, 0.3, 0.0], [0.0, 5.0, 0.2], [0.5, 0.0, 6.0]])


def profile(values, length=None, boundary="periodic", quantity="charge_density", unit="e/Å^3"):
    values = np.asarray(values)
    length = float(len(values)) / 8 if length is None else length
    return gh.Profile(np.arange(len(values)) * (length / len(values)), values, unit, quantity, length, boundary)


def waves(n=128, length=16.0, period=1.0, **more):
    return profile(np.cos(2 * np.pi * np.arange(n) * (length / n) / period), length, **more)


def crystal(mean=0.0):
    places = np.stack(np.meshgrid(*(np.arange(n) / n for n in (12, 14, 16)), indexing="ij"), -1)
    return gh.Field.from_array(np.cos(2 * np.pi * places).sum(-1) + mean, CELL, quantity="charge_density")


def packets(std):
    """A lattice plane of +1 at 0 and one of -1 at half the spacing, along c."""
    z = np.arange(64) / 64 * 6
    values = sum(
        np.exp(-0.5 * ((z - n * 6) / std) ** 2) - np.exp(-0.5 * ((z - 3 - n * 6) / std) ** 2) for n in range(-2, 3)
    )
    return gh.Field.from_array(values + np.zeros((2, 2, 1)), np.diag([2.0, 2.0, 6.0]), quantity="charge_density")


def slab(n=20, charge=0.0):
    """Pairs of +1 and -1 packets 0.3 Å apart from 6 Å on, in 32 Å; a charge at its end."""
    z = np.arange(512) * 0.0625
    places = np.concatenate([6.0 + np.arange(n), 6.3 + np.arange(n), [7.0 + n]])
    charges = np.concatenate([np.ones(n), -np.ones(n), [charge]])
    values = (charges * np.exp(-0.5 * ((z[:, None] - places) / 0.2) ** 2)).sum(1) / (0.2 * np.sqrt(2 * np.pi))
    return profile(values, 32.0)


def disordered_slab(alpha, seed=0):
    """A slab cut out of disorder, with vacuum on either side."""
    values = disordered(alpha, (4096,), 0.1, 0.5, seed)[:3600]
    values = values / values.std() - (values / values.std()).mean()
    return profile(np.concatenate([np.zeros(250), values, np.zeros(246)]), 409.6)


def points(positions=(0.0, 0.3), charges=(1.0, -1.0), n=20):
    return gh.PointCharges([j + d for j in range(n) for d in positions], list(charges) * n)


BOX = gh.box_region((4.0, 4.0), (16.0, 16.0))


def square(n=64, cell=20.0):
    return gh.Field.from_array(np.zeros((n, n, 1)), np.diag([cell, cell, 1.0]), quantity="charge_density")


def alpha_0_kernel():
    found = gh.surface_charge(disordered_slab(0), period=None, sampling="cell")
    return found.low


REFUSED = {
    # section 1
    "Errors common to all: NaN/inf": (
        lambda: gh.Field.from_array(np.full((2, 2, 2), np.nan), np.eye(3)), InputError, "NaN"),
    "NaN/inf, of a profile": (lambda: gh.average(profile([0.0, np.inf, 1.0, 2.0]), gh.Gaussian(1.0)), InputError, "in"),
    "N<2": (lambda: gh.scales(profile([1.0, 2.0])), InputError, "at least 16"),
    "N<2, of what has a bulk": (lambda: gh.surface_charge(profile([1.0])), InputError, "at least 8"),
    "h<=0": (
        lambda: gh.Profile(np.array([0.0, -1.0, -2.0]), np.zeros(3), "V", "electrostatic_potential", 3.0),
        InputError, "rising and equally spaced"),
    "eps<=0": (lambda: gh.Gaussian(0.0), KernelError, "eps"),
    "eps<2h, kernel narrower than two samples": (
        lambda: gh.average(waves(), gh.Gaussian(0.2), sampling="cell"), KernelError, "narrower than two samples"),
    "eps<2h, of a surface": (
        lambda: gh.surface_charge(slab(), eps=0.1), KernelError, "narrower than two samples"),
    "complex input": (lambda: gh.Field.from_array(np.ones((2, 2, 2)) * 1j, np.eye(3)), InputError, "[Cc]omplex"),
    "singular lattice": (lambda: gh.Field.from_array(np.ones((2, 2, 2)), np.ones((3, 3))), InputError, "cell|volume"),
    # section 2
    "Errors: s0 = 0": (
        lambda: gh.Sampled(np.linspace(-1, 1, 201), np.sin(np.pi * np.linspace(-1, 1, 201)), 1.0),
        KernelError, "mass|integral|zero"),
    "var <= 0": (
        lambda: gh.Sampled(
            np.linspace(-2, 2, 401), (1 - 2 * np.linspace(-2, 2, 401) ** 2) * (abs(np.linspace(-2, 2, 401)) < 0.99), 1.0
        ), KernelError, "variance.*not positive"),
    "tail truncated, mass >= …": (
        lambda: gh.Sampled(np.linspace(-3, 3, 601), np.exp(-np.linspace(-3, 3, 601) ** 2), 1.0),
        KernelError, "tail truncated.*mass"),
    "no finite second moment": (
        lambda: gh.Sampled(np.linspace(-3000, 3000, 60001), 1 / (1 + np.linspace(-3000, 3000, 60001) ** 2), 1.0),
        KernelError, "second moment"),
    # section 5
    "no slope: eps_x undetermined": (
        lambda: gh.self_consistent_eps(waves()), InputError, "No slope: eps_x undetermined"),
    # section 7
    "cumulative integral does not return to its value at xb within alpha": (
        lambda: gh.partition(waves(period=16.0, n=256), x_b=4.0, largest=1.0), InputError,
        "does not return to its value at x_b.*[Nn]earest usable level|does not return to its value at x_b.*No level"),
    "estimator='kernel' is named": (
        lambda: gh.partition(waves(period=16.0, n=256), x_b=4.0, largest=1.0), InputError, "kernel estimate"),
    "With V != 0 … require x_surface": (
        lambda: gh.surface_excess(slab(), reference=0.1), InputError, "x_surface"),
    "error if |int Psi| > tol (origin-dependent)": (
        lambda: gh.potential_step(slab(charge=0.5), period=1.0), InputError, "origin-dependent"),
    "no bulk between surfaces": (
        lambda: gh.point_surface_charge(points(), eps=5.0), KernelError, "no bulk between the surfaces"),
    # section 8
    "58 needs neutral cell: error with the net charge": (
        lambda: gh.crystal_surface_charge(gh.PointCharges([0.1, 0.2], [1, -0.5]), 1.0, 0.0), InputError, "carries 0.5"),
    "58, of a slab": (
        lambda: gh.point_surface_charge(points(charges=(1.0, -0.5)), period=1.0), InputError, "carries 0.5"),
    "Packets with q=0: centre undefined": (
        lambda: gh.PointCharges.of_packets([[(0.0, 1.0), (1.0, -1.0)]]), InputError, "no centre of charge"),
    "Error when q_i != 0 and no origin given": (
        lambda: gh.molecular_charge([(None, [(0.0, 1.0)])], [0.0], 1.0), InputError, "no origin"),
    # section 9
    "Errors: hkl=0": (lambda: gh.plane_excess(crystal(), (0, 0, 0)), InputError, r"\(0 0 0\) have no normal"),
    "grid too coarse for this plane": (
        lambda: gh.plane_excess(crystal(), (5, 1, 0)), InputError, "too coarse for the planes"),
    "non-neutral cell -> require V": (lambda: gh.terminations(crystal(0.1), "c"), InputError, "reference="),
    # section 10
    "window >= half a segment (line too short at this eps)": (
        lambda: gh.lines_and_points(square(), [gh.box_region((4.0, 4.0), (16.0, 16.0))], eps=1.4), InputError, "eps"),
    "vertices closer than 2 rho": (
        lambda: gh.lines_and_points(square(cell=40.0), [BOX], eps=1.3, window_radius=7.0),
        InputError, "closer than two radii"),
    "overlapping regions": (
        lambda: gh.lines_and_points(square(), [BOX, gh.box_region((10.0, 10.0), (18.0, 18.0))]), InputError, "overlap"),
    "positions are mandatory inputs": (lambda: gh.lines_and_points(square(), []), InputError, "No regions"),
}  # fmt: skip

WARNED = {
    "for periodic, warn if eps > L/4": (lambda: gh.average(crystal(), gh.Gaussian(2.0)), "exceeds a quarter"),
    "Warn if negative": (
        lambda: gh.Sampled(
            np.linspace(-8, 8, 801),
            (1 - 0.2 * np.linspace(-8, 8, 801) ** 2) * np.exp(-(np.linspace(-8, 8, 801) ** 2)),
            1.0,
        ),
        "negative",
    ),
    "or skewed": (
        lambda: gh.Sampled(
            np.linspace(-30, 4, 1701), np.exp(np.linspace(-30, 4, 1701) - np.exp(np.linspace(-30, 4, 1701))), 1.0
        ),
        "skew",
    ),
    "fewer than 8 modes below kL -> warn": (
        lambda: gh.scales(profile(np.cos(np.arange(4096) * np.pi / 4) + np.sin(np.arange(4096) * np.pi / 2048), 512.0)),
        "Modes below the gap",
    ),
    "not coprime -> reduce and warn": (lambda: gh.planar_average(crystal(), (0, 0, 2)), "are taken as"),
    "closer than 5 std to a plane slices packets: warn": (
        lambda: gh.plane_excess(packets(0.5), "c", 1.5), "slices packets"),
}  # fmt: skip

SAID = {
    "no mesoscale found": (lambda: gh.scales(profile(disordered(0, (512,), 0.125))).verdict, "No|Not apart"),
    "constant field -> None": (lambda: str(gh.scales(profile(np.ones(64))).a), "None"),
    "non-periodic -> Hann window and detrend": (
        lambda: " ".join(gh.scales(profile(disordered(2, (512,), 0.125), boundary="open")).remarks), "Hann"),
    "label 'order of magnitude'": (
        lambda: str(gh.uncertainty(profile(disordered(2, (4096,), 0.125)), gh.Gaussian(4.0))), "order of magnitude"),
    "sigma not defined: bulk charge fluctuates": (lambda: str(alpha_0_kernel()), "not defined \\(.*fluctuates"),
    "report S1 as 'not converged' otherwise": (
        lambda: str(gh.surface_charge(disordered_slab(2), period=None, sampling="cell").low_dipole), "not converged"),
    "warn below 3.5": (
        lambda: " ".join(gh.point_surface_charge(points(), period=1.0, eps=3.0).remarks), "less than 3.5"),
    "error if xb is within 2.5 eps of a surface region": (
        lambda: str(gh.surface_charge(slab(), period=1.0, eps=8.0).low_kernel), "choose eps below"),
    "the slab is thinner than 5 eps": (
        lambda: str(gh.surface_charge(slab(3), period=1.0, eps=1.5).low_kernel), "choose eps below"),
    "L/a < 30 is reported": (
        lambda: " ".join(gh.surface_charge(slab(), period=1.0).remarks), "no macroscale in this box"),
    "E22: M2 is of the partition": (lambda: str(gh.moment_densities(waves(), x_b=1.0)), "M2 .*of this partition"),
}  # fmt: skip


@pytest.mark.parametrize("quoted", REFUSED)
def test_refusals(quoted):
    call, kind, words = REFUSED[quoted]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(GpuhomogError, match=f"(?s){words}") as refused:
            call()
    assert isinstance(refused.value, kind)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("quoted", WARNED)
def test_warned_of(quoted):
    call, words = WARNED[quoted]
    with pytest.warns(AccuracyWarning, match=words):
        call()


@pytest.mark.parametrize("quoted", SAID)
def test_said_by_the_result(quoted):
    call, words = SAID[quoted]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        said = call()
    assert re.search(f"(?s){words}", said), said
