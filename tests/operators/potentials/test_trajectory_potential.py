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


@pytest.mark.parametrize("boundary", ["periodic", "open"])
def test_a_step_is_the_mean_of_the_steps_of_frames_with_their_error(boundary):
    """Windows of parts of cells, one of them across the ends of a periodic cell; frames that are independent."""
    run = list(frames(512, OBLIQUE, 0.2, 0.7))
    between, width = ((23.9, 13.3) if boundary == "periodic" else (2.2, 21.1)), 1.7
    found = gh.trajectory_step(run, between, 0.25, width=width, boundary=boundary)
    profile = gh.trajectory_potential(run, 0.25, boundary=boundary)
    assert np.array_equal(found.profile.values, profile.values)
    length = abs(np.linalg.det(run[0].cell)) / np.linalg.norm(np.cross(*run[0].cell[:2]))
    x = (np.arange(20000) + 0.5) / 20000 * length
    cells = np.minimum((x / length * len(profile.values)).astype(int), len(profile.values) - 1)
    inside = [np.abs((x - at + length / 2) % length - length / 2) < width / 2 for at in between]
    ends = [profile.values[cells[chosen]].mean() for chosen in inside]
    assert found.low.value == pytest.approx(ends[0], abs=2e-3) and found.high.value == pytest.approx(ends[1], abs=2e-3)
    assert found.step.value == pytest.approx(found.high.value - found.low.value, abs=1e-12) and found.step.unit == "V"
    assert not found.remarks  # halves of windows differ, by less than their errors
    steps = []
    for frame in run:
        spacing = 0.25 * frame.cell[0, 0] / run[0].cell[0, 0]  # as many cells in each
        one = gh.trajectory_potential([frame] * 4, spacing, boundary=boundary).values[cells]
        steps.append(one[inside[1]].mean() - one[inside[0]].mean())
    assert found.step.uncertainty == pytest.approx(np.std(steps) / np.sqrt(len(run)), rel=0.25)
    assert (found.n_frames, found.converged) == (512, True)


def test_a_step_between_levels_that_wander_together_has_no_error():
    """A dipole layer of one height before charges that come and go behind it: all levels of a cell follow these."""
    rng = np.random.default_rng(6)

    def run(spread=0.0):
        for _ in range(64):
            z, q = np.array([10.0, 11.0, *rng.uniform(20, 28, 2)]), 1 + rng.normal(0, spread)
            yield gh.Frame(np.outer(z, [0, 0, 1.0]), np.array([q, -q, 1, -1]), np.diag([10.0, 10, 30]))

    found = gh.trajectory_step(run(), (5.0, 15.0), 0.5, width=2.0, boundary="open")
    assert found.step.value == pytest.approx(-FOUR_PI_KAPPA / 100, rel=1e-12) and found.step.uncertainty < 1e-12
    assert not found.remarks
    assert gh.trajectory_step(run(), (5.0, 29.5), 0.5, boundary="open").step.uncertainty > 0.05
    sloped = gh.trajectory_step(run(0.1), (5.0, 10.5), 0.5, width=1.0, boundary="open")
    assert any("the potential is not flat, 10.0000 to 11.0000 Å" in remark for remark in sloped.remarks)


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
    "overlap": (
        lambda: gh.trajectory_step(of([4, 6], [1.0, -1.0]), (3, 4), 1.0, width=2.0),
        "The windows around 3 and 4 Å overlap: they are 2 Å wide and lie 1 Å apart",
    ),
    "overlap across the ends": (
        lambda: gh.trajectory_step(of([4, 6], [1.0, -1.0]), (0.5, 9.5), 1.0, width=2.0),
        "lie 1 Å apart",
    ),
    "beyond an open axis": (
        lambda: gh.trajectory_step(of([4, 6], [1.0, -1.0]), (2, 9.5), 1.0, width=2.0, boundary="open"),
        "2 Å around 9.5 Å reaches beyond the open axis, which goes from 0 to 10 Å",
    ),
    "width": (lambda: gh.trajectory_step(of([4, 6], [1.0, -1.0]), (2, 8), 1.0, width=-1.0), "width = -1"),
    "nowhere": (lambda: gh.trajectory_step(of([4, 6], [1.0, -1.0]), (2, np.nan), 1.0), "two finite positions"),
    "few": (lambda: gh.trajectory_potential(of([4, 6], [1.0, -1.0], 3), 1.0), "3 frames"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case):
    make, words = REFUSED[case]
    with pytest.raises(InputError, match=words):
        make()
