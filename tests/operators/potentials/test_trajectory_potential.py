"""Potentials of trajectories against sums over pairs of sheets; their errors against what is known of the dipole."""

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.errors import InputError
from gpuhomog.units import FOUR_PI_KAPPA

OBLIQUE = np.array([[8.0, 0, 0], [1.0, 7.0, 0], [0.5, 0.3, 24.0]])


def frames(n, cell, low=0.0, high=1.0, seed=1):
    """Breathing cells with a hundred charges at fractions between low and high along c, and some cells beyond."""
    rng = np.random.default_rng(seed)
    charges = rng.normal(size=100)
    charges -= charges.mean()
    for t in range(n):
        fraction = rng.uniform(-1.0, 2.0, size=(100, 3))
        fraction[:, 2] = rng.uniform(low, high, 100) + rng.integers(-1, 2, 100)
        rows = cell * (1 + 0.02 * np.sin(t))
        yield gh.Frame(fraction @ rows, charges, rows)


def by_pairs(run, n_cells, kernel):
    """Mean over frames of Σ q/A kernel(x - x_i, L) at the centres of cells."""
    total = np.zeros(n_cells)
    for frame in run:
        a, b, _ = frame.cell
        area = np.linalg.norm(np.cross(a, b))
        length = abs(np.linalg.det(frame.cell)) / area
        x = (frame.positions @ np.linalg.inv(frame.cell))[:, 2] % 1.0 * length
        at = (np.arange(n_cells) + 0.5) / n_cells * length
        total += (frame.charges / area * kernel(at[:, None] - x, length)).sum(axis=1)
    return FOUR_PI_KAPPA * total / len(run)


def test_of_a_periodic_cell_is_the_sum_of_periodic_sheets():
    run = list(frames(16, OBLIQUE))
    found = gh.trajectory_potential(run, 0.7)

    def sheet(d, length):
        u = np.abs(d) / length
        return length / 2 * (u**2 - u + 1 / 6)

    np.testing.assert_allclose(found.values, by_pairs(run, 35, sheet), rtol=0, atol=1e-11)
    assert (found.unit, found.quantity, found.boundary) == ("V", "electrostatic_potential", "periodic")
    finer = gh.trajectory_potential(run, 24 / 105)  # every third of these lies at one of the former
    np.testing.assert_allclose(finer.values[1::3], found.values, rtol=0, atol=1e-11)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_of_a_slab_begins_at_zero_and_ends_at_the_step_of_its_dipole(axis):
    run = []
    for frame in frames(16, OBLIQUE, 0.2, 0.7):
        run.append(
            gh.Frame(np.roll(frame.positions, axis + 1, axis=1), frame.charges, np.roll(frame.cell, axis + 1, (0, 1)))
        )
    found = gh.trajectory_potential(run, 0.5, axis=axis, boundary="open")
    turned = [
        gh.Frame(np.roll(f.positions, -axis - 1, axis=1), f.charges, np.roll(f.cell, -axis - 1, (0, 1))) for f in run
    ]
    half = by_pairs(turned, len(found.values), lambda d, length: -np.abs(d) / 2)
    np.testing.assert_allclose(found.values, half - half[0], rtol=0, atol=1e-10)
    assert abs(found.values[0]) < 1e-10 and found.values[-1] == pytest.approx(-2 * half[0], abs=1e-10)
    assert abs(found.values[-1]) > 0.1 and found.boundary == "open" and found.planes == "abc"[axis]


def test_errors_are_those_of_whole_potentials():
    """Charges that wander apart, with a dipole of known variance; and in pairs, whose dipole never changes."""
    rng = np.random.default_rng(4)
    cell, n, wide = np.diag([10.0, 10.0, 30.0]), 4096, 6.0

    def wandering(together):
        for _ in range(n):
            x = rng.uniform(12.0, 12.0 + wide, 20)
            z = np.concatenate([x, x + 1.0 if together else rng.uniform(12.0, 12.0 + wide, 20)])
            yield gh.Frame(np.outer(z, [0, 0, 1.0]), np.repeat([1.0, -1.0], 20), cell)

    apart = gh.trajectory_potential(wandering(False), 0.5, boundary="open")
    expected = FOUR_PI_KAPPA * np.sqrt(40 * wide**2 / 12) / 100 / np.sqrt(n)
    assert apart.uncertainty[-1] == pytest.approx(expected, rel=0.15)
    assert abs(apart.values[-1]) < 3 * apart.uncertainty[-1]
    pairs = gh.trajectory_potential(wandering(True), 0.5, boundary="open")
    assert pairs.values[-1] == pytest.approx(-FOUR_PI_KAPPA * 20 * 1.0 / 100) and pairs.uncertainty[-1] < 1e-12
    inside = (pairs.position > 13) & (pairs.position < 17)
    assert pairs.uncertainty[inside].min() > 1e-3  # though between the ends it fluctuates


def of(z, charges, n=4):
    return [gh.Frame(np.outer(z, [0, 0, 1.0]), np.array(charges), 10.0 * np.eye(3))] * n


REFUSED = {
    "charged": (lambda: gh.trajectory_potential(of([4, 6], [1.0, -0.9]), 1.0), "Frame 0 has a net charge of 0.1 e"),
    "no vacuum": (
        lambda: gh.trajectory_potential(of([0.1, 6], [1.0, -1.0]), 1.0, boundary="open"),
        "Charge comes to the ends of the open axis c",
    ),
    "boundary": (lambda: gh.trajectory_potential(of([4, 6], [1.0, -1.0]), 1.0, boundary="slab"), "boundary"),
    "spacing": (lambda: gh.trajectory_potential(of([4, 6], [1.0, -1.0]), 0.0), "positive width"),
    "few": (lambda: gh.trajectory_potential(of([4, 6], [1.0, -1.0], 3), 1.0), "3 frames"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case):
    make, words = REFUSED[case]
    with pytest.raises(InputError, match=words):
        make()
