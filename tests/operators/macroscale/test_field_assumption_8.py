"""Assumption 8 in three dimensions against brute force over closed forms of plane waves, and against profiles."""

from dataclasses import replace

import numpy as np
import pytest
from ranks import on_ranks

import gpuhomog as gh
from gpuhomog.errors import InputError
from gpuhomog.operators.macroscale import field_assumption_8
from gpuhomog.operators.macroscale.field_assumption_8 import _along, _in_balls, _Nodes, _Waves

pytestmark = pytest.mark.filterwarnings("ignore::gpuhomog.errors.AccuracyWarning")  # cells hold few waves

OBLIQUE = np.array([[6.0, 0.4, 0.0], [1.0, 7.0, -0.8], [0.6, 0.0, 8.0]])


class Waves:
    """A sum of plane waves in closed form: (amplitude, modes along a, b, c, phase)."""

    def __init__(self, cell, *waves):
        self.cell = np.asarray(cell, dtype=float)
        self.amplitude = np.array([w[0] for w in waves])
        self.k = 2 * np.pi * np.array([w[1:4] for w in waves]) @ np.linalg.inv(self.cell).T
        self.phase = np.array([w[4] for w in waves])

    def field(self, shape, **options):
        places = np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), -1) @ self.cell
        return gh.Field.from_array(
            self.values(places), self.cell, unit="V", quantity="electrostatic_potential", **options
        )

    def values(self, places, factor=1.0):
        return (self.amplitude * factor * np.cos(places @ self.k.T + self.phase)).sum(axis=-1)

    def means(self, x, eta, axis=None):
        """Averages about x over widths eta: along an axis, or over balls."""
        z = self.k * eta[:, None, None] / 2
        if axis is None:
            z = np.linalg.norm(z, axis=-1)
            small = np.where(z < 1e-6, 1.0, z)
            factor = np.where(z < 1e-6, 1.0, 3 * (np.sin(small) - small * np.cos(small)) / small**3)
        else:
            factor = np.sinc(z @ (self.cell[axis] / np.linalg.norm(self.cell[axis])) / np.pi)
        return self.values(x, factor)

    def truth(self, x, a, eps, eps_x, axis=None, n=41, n_widths=161):
        """By how much V lies inside B: brute force over many points and widths."""
        if axis is None:
            t = np.stack(np.meshgrid(*[np.linspace(-1, 1, 11)] * 3, indexing="ij"), -1).reshape(-1, 3)
            turns, z = np.arange(150) * np.pi * (3 - np.sqrt(5)), np.linspace(-0.993, 0.993, 150)
            round_about = np.stack([np.cos(turns), np.sin(turns), z], axis=1)
            round_about[:, :2] *= np.sqrt(1 - z**2)[:, None]  # extrema lie on the sphere
            t = np.concatenate([t[np.linalg.norm(t, axis=1) <= 1], round_about])
        else:
            t = np.linspace(-1, 1, n)[:, None] * self.cell[axis] / np.linalg.norm(self.cell[axis])
        places = np.asarray(x) + t * eps_x / 2
        smooth = self.values(places, np.exp(-(np.linalg.norm(self.k, axis=1) ** 2) * eps**2 / 8))
        eta = np.linspace(0, a, n_widths)
        means = np.array([self.means(place, eta, axis) for place in places])
        return min(smooth.min() - means.min(axis=1).max(), means.max(axis=1).min() - smooth.max())


RICH = Waves(
    OBLIQUE, (1.0, 1, 0, 0, 0.3), (0.8, 0, 1, 0, 1.0), (0.7, 0, 0, 1, 2.0), (0.6, 2, 1, 0, 0.5), (0.5, 1, -1, 2, 1.7),
    (0.4, 0, 2, -2, 0.1),
)  # fmt: skip
LINE = Waves(np.diag([6.0, 6.0, 6.0]), (1.0, 3, 0, 0, 0.4), (0.7, 6, 0, 0, 1.4))


def test_averages_over_balls_at_any_position():
    field = RICH.field((16, 15, 18))
    for x in ((0.0, 0.0, 0.0), (1.234, 5.6, -2.3)):
        eta = np.linspace(0, 5.5, 20_001)
        means = RICH.means(np.array(x), eta)
        assert gh.attainable_in_ball(field, x, 5.5) == pytest.approx((means.min(), means.max()), abs=1e-6)
    flat = gh.Field.from_array(np.ones((4, 4, 4)), np.eye(3))
    assert gh.attainable_in_ball(flat, (0.1, 0.2, 0.3), 0.9) is None


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_line_through_grid_points_has_their_values(axis, rng):
    """Even and odd numbers of points across it; its mean is taken off and put back."""
    values = rng.standard_normal((6, 7, 8))
    field = gh.Field.from_array(values, OBLIQUE, origin=[1.0, 2.0, 3.0])
    at = [3, 5, 2]
    profile = gh.line_through(field, field.grid.origin + np.array(at) @ field.grid.steps, axis)
    at[axis] = slice(None)
    np.testing.assert_allclose(profile.values, values[tuple(at)], rtol=0, atol=1e-12)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_line_through_any_position(axis):
    field, x = RICH.field((16, 15, 18)), np.array([1.234, 5.6, -2.3])
    profile = gh.line_through(field, x, axis)
    unit = OBLIQUE[axis] / np.linalg.norm(OBLIQUE[axis])
    start = x - np.linalg.solve(OBLIQUE.T, x)[axis] * OBLIQUE[axis]
    expected = RICH.values(start + profile.position[:, None] * unit)
    np.testing.assert_allclose(profile.values, expected, atol=1e-12)
    assert profile.length == pytest.approx(np.linalg.norm(OBLIQUE[axis])) and profile.unit == "V"
    at = float(np.linalg.solve(OBLIQUE.T, x)[axis] % 1 * profile.length)
    means = RICH.means(x, np.linspace(0, 5.0, 20_001), axis)
    assert gh.attainable(profile, at, 5.0) == pytest.approx((means.min(), means.max()), abs=5e-8)


def decided(field, waves, eps, a, eps_x, axis):
    """Verdict and brute force at every position of some, along an axis or in balls."""
    ours = _Waves.of(field, "")
    smooth = _Waves.of(gh.average(field, gh.Gaussian(eps)), "", ours.middle)
    highest, smooth_highest = ours.highest(), smooth.highest()
    if axis is None:
        found = _in_balls(ours, smooth, a, eps_x, highest, smooth_highest)
    else:
        found = _along(ours, smooth, axis, a, eps_x, highest[axis], smooth_highest[axis])
    chosen = np.random.default_rng(1).permutation(len(found.verdict))[:30]
    truths = [waves.truth(found.place[i] @ field.grid.steps, a, eps, eps_x, axis) for i in chosen]
    return found.verdict[chosen], found.margin[chosen], np.array(truths)


def check_margins(verdict, margin, truth, bounds):
    """What is certain is that of brute force less what bounds take, both ways."""
    for word, sign in (("yes", 1), ("no", -1)):
        less = sign * truth[verdict == word] - margin[verdict == word]
        assert (less > -1e-3).all() and (less < bounds).all()


@pytest.mark.parametrize("boundary", ["periodic", "open"])
@pytest.mark.parametrize("axis", [0, 2])
def test_lines_by_brute_force(axis, boundary):
    """No verdict is wrong, and what passes does so by the margin that brute force has, less the bounds."""
    shape = (16, 14, 18)
    field = RICH.field(shape) if boundary == "periodic" else RICH.field(shape, boundary=boundary)
    if boundary == "open":  # V is averaged over what lies beyond: take the whole one
        whole = gh.average(RICH.field(shape), gh.Gaussian(5.0))
        ours, smooth = _Waves.of(field, ""), _Waves.of(field.derive(whole.values, "average"), "", 0.0)
        smooth = replace(smooth, values=smooth.values - ours.middle)
        found = _along(ours, smooth, axis, 4.0, 0.5, ours.highest()[axis], smooth.highest()[axis])
        chosen = np.random.default_rng(1).permutation(len(found.verdict))[:30]
        truth = np.array([RICH.truth(found.place[i] @ field.grid.steps, 4.0, 5.0, 0.5, axis) for i in chosen])
        verdict, margin = found.verdict[chosen], found.margin[chosen]
        assert len(found.verdict) < np.prod(shape)
    else:
        verdict, margin, truth = decided(field, RICH, 5.0, 4.0, 0.5, axis)
    assert (truth[verdict == "yes"] > 0).all() and (truth[verdict == "no"] < 0).all()
    assert (verdict == "yes").any() and (verdict == "no").any()
    check_margins(verdict, margin, truth, 0.12)


@pytest.mark.parametrize(("a", "waves"), [(2.0, RICH), (5.0, LINE)])
def test_balls_by_brute_force(a, waves):
    shape = (12, 12, 12) if waves is RICH else (24, 2, 2)
    verdict, margin, truth = decided(waves.field(shape), waves, 5.0, a, 0.3, None)
    assert (truth[verdict == "yes"] > 0).all() and (truth[verdict == "no"] < 0).all()
    assert (verdict == ("yes" if waves is LINE else "no")).any()
    check_margins(verdict, margin, truth, 0.03 if waves is LINE else 0.3)


@pytest.mark.parametrize("axis", [0, None])
def test_coarse_nodes_leave_undecided_what_lies_between_them(axis, monkeypatch):
    monkeypatch.setattr(field_assumption_8, "NODES_PER_WAVE", 3)
    monkeypatch.setattr(field_assumption_8, "NODES_PER_WIDTH", 1)
    monkeypatch.setattr(field_assumption_8, "HALVINGS", 0)
    for waves, shape, a in ((RICH, (8, 10, 10), 3.0), (LINE, (24, 2, 2), 3.0)):
        verdict, margin, truth = decided(waves.field(shape), waves, 5.0, a, 0.5, axis)
        assert (truth[verdict == "yes"] > 0).all() and (truth[verdict == "no"] < 0).all()
        assert (margin[verdict == "yes"] < truth[verdict == "yes"]).all()
        assert (verdict == "undecided").any()


def test_cells_bound_what_lies_between_nodes():
    """At places anywhere: some are beyond the corners of their cell, none by more than the bends."""
    ours = _Waves.of(RICH.field((12, 12, 12)), "")
    nodes = _Nodes(ours, np.array([1, 1, 1]), [0, 1, 2], ours.highest())
    places = np.random.default_rng(3).random((200_000, 3)) * 12
    values = RICH.values(places @ nodes.steps) - ours.middle
    cell = tuple(np.floor(places).astype(int).T)
    beyond = values - nodes.corners(nodes.values, np.maximum)[cell]
    assert 0.15 * nodes.bends() < beyond.max() <= nodes.bends()
    beyond = nodes.corners(nodes.values, np.minimum)[cell] - values
    assert 0.15 * nodes.bends() < beyond.max() <= nodes.bends()
    assert nodes.largest(1.0) >= np.abs(values).max()


def test_all_cells_that_a_ball_reaches_into():
    ours = _Waves.of(RICH.field((12, 12, 12)), "")
    nodes = _Nodes(ours, np.array([1, 1, 1]), [0, 1, 2], ours.highest())
    away = np.random.default_rng(4).standard_normal((100_000, 3))
    away *= 1.3 * np.random.default_rng(5).random((len(away), 1)) ** (1 / 3) / np.linalg.norm(away, axis=1)[:, None]
    reached = set(map(tuple, np.floor(away @ np.linalg.inv(nodes.steps)).astype(int).tolist()))
    rows = nodes.within(1.3, True).tolist()
    assert reached <= {(a + i, b, c) for c, b, a, count in rows for i in range(count)}
    inside = [(a + i, b, c) for c, b, a, count in nodes.within(1.3, False).tolist() for i in range(count)]
    assert len(inside) > 10 and np.linalg.norm(np.array(inside) @ nodes.steps, axis=1).max() <= 1.3


def test_a_field_without_waves_has_no_averages_to_pass():
    result = gh.field_assumption_8(gh.Field.from_array(np.ones((4, 4, 4)), np.eye(3) * 4), 2.0, gh.Gaussian(2.0))
    assert result.verdict == ("no",) * 4


def test_waves_that_pass_everywhere_as_their_profile_does():
    """Two waves that are never odd about one point: yes along them and in balls, no across, where nothing varies."""
    field = LINE.field((32, 2, 2))
    result = gh.field_assumption_8(field, 5.0, gh.Gaussian(6.0), eps_x=0.3)
    assert result.windows == ("along a", "along b", "along c", "in the ball")
    assert result.verdict == ("yes", "no", "no", "yes")
    assert result.margin[0] > 0 and result.margin[1] > 1 and result.smallest_a[1] is None
    profile = gh.planar_average(field, "a")
    alone = [gh.physical_assumption_8(profile, x, 5.0, gh.Gaussian(6.0), eps_x=0.3) for x in profile.position[:16]]
    assert {one.verdict for one in alone} == {"yes"}
    for window, axis in ((0, 0), (3, None)):

        def least(a, axis=axis):
            return min(LINE.truth((x, 0, 0), a, 6.0, 0.3, axis) for x in profile.position[:16])

        assert 0 < result.margin[window] <= least(5.0) + 1e-3
        assert least(result.smallest_a[window]) > 0 and least(result.smallest_a[window] - 1.0) < 0


def test_a_crystal_about_whose_odd_centre_all_averages_are_equal():
    waves = Waves(np.eye(3) * 2, (1.0, 1, 0, 0, 0.0), (1.0, 0, 1, 0, 0.0), (1.0, 0, 0, 1, 0.0))
    result = gh.field_assumption_8(waves.field((8, 8, 8)), 1.5, gh.Gaussian(4.0 / 9), eps_x=0.2)
    assert result.verdict[-1] == "no"
    assert gh.attainable_in_ball(waves.field((8, 8, 8)), (0.5, 0.5, 0.5), 1.5) is None


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_ranks_decide_alike(axis):
    field = LINE.field((32, 2, 3))

    def work(part):
        found = gh.field_assumption_8(part, 5.0, gh.Gaussian(6.0), eps_x=0.3)
        return found.verdict, found.margin, found.smallest_a, gh.attainable_in_ball(part, (0.1, 0.2, 0.3), 3.0)

    alone = work(field)
    for size in (2, 3, 5) if axis == 0 else (3,):
        for part in on_ranks(field, size, work, axis):
            assert part[0] == alone[0] and part[2] == alone[2]
            assert part[1] == pytest.approx(alone[1], abs=1e-10) and part[3] == pytest.approx(alone[3], abs=1e-12)


def test_refusals(tmp_path):
    field = RICH.field((8, 8, 8))
    ended = RICH.field((8, 8, 8), boundary="open")
    gh.write(field, tmp_path / "field.h5")
    unread = gh.read(tmp_path / "field.h5", max_memory="4GB")
    for call, words in (
        (lambda: gh.field_assumption_8(field, 0.0, 1.0), "a = 0"),
        (lambda: gh.field_assumption_8(field, 1e-3, 1.0), "a = 0.001 Å is below a tenth"),
        (lambda: gh.field_assumption_8(field, 7.0, 1.0), "longer than the shortest side of the cell"),
        (lambda: gh.field_assumption_8(field, 1.0, 1.0, eps_x=np.inf), "eps_x = inf"),
        (lambda: gh.field_assumption_8(ended, 4.0, 2.0), "beyond the ends of the open axis"),
        (lambda: gh.field_assumption_8(unread, 1.0, 1.0), "needs all values of field.h5"),
        (lambda: gh.attainable_in_ball(unread, (0, 0, 0), 1.0), "needs all values of field.h5"),
        (lambda: gh.attainable_in_ball(field, (0, 0), 1.0), "three numbers"),
        (lambda: gh.attainable_in_ball(field, (0, 0, 0), np.nan), "a = nan"),
        (lambda: gh.attainable_in_ball(ended, (0, 0, 0), 1.0), "beyond the open axis a"),
        (lambda: gh.line_through(ended, (-3.0, 0, 0), "b"), "beyond the open axis a"),
    ):
        with pytest.raises(InputError, match=words):
            call()
