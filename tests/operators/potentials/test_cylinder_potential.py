"""Cylinder potentials: known values, direct sums, limits of wide cylinders, every axis, device and split."""

import json
from dataclasses import replace
from math import pi, sqrt

import numpy as np
import pytest
from ranks import on_ranks
from scipy.integrate import quad
from scipy.special import erfc, j0, j1

import gpuhomog as gh
from gpuhomog.errors import InputError
from gpuhomog.operators.potentials.cylinder_table import gregory_weights
from gpuhomog.streaming import memory
from gpuhomog.units import FOUR_PI_KAPPA

SIDES = ("low", "high", "both")


def charge(values, cell, **options):
    return gh.Field.from_array(values, cell, quantity="charge_density", **options)


def gaussian(x, centre, deviation):
    return np.exp(-((x - centre) ** 2) / (2 * deviation**2)) / (sqrt(2 * pi) * deviation)


def periodic_gaussian(x, centre, deviation, period):
    return sum(gaussian(x, centre + m * period, deviation) for m in range(-3, 4))


def polar_slab(h=1 / 16, n=24):
    """Slab P5 of the checks: five planes of two Gaussians each, a square lattice of 4 Å."""
    x, y = -8 + h * np.arange(round(32 / h) + 1), np.arange(n) * 4 / n
    values = np.zeros((len(x), n, n))
    for m in range(5):
        for q, centre, sd in ((1, (4 * m, 0.0, 0.0), 0.5), (-1, (4 * m + 0.15, 0.4, -0.3), 0.8)):
            in_plane = periodic_gaussian(y, centre[1], sd, 4)[:, None] * periodic_gaussian(y, centre[2], sd, 4)
            values += q * gaussian(x, centre[0], sd)[:, None, None] * in_plane
    return charge(values, np.diag([h * len(x), 4.0, 4.0]), origin=[-8, 0, 0], boundary="o,p,p")


@pytest.fixture(scope="module")
def slab():
    return polar_slab()


def random_layers(shape=(20, 6, 5), axis=0, dtype=np.float64, device="cpu", order="C"):
    """Noise between empty planes, on an oblique plane; the same whichever axis is the normal."""
    values = np.random.default_rng(5).standard_normal(shape).astype(dtype)
    values[[0, 1, -2, -1]] = 0
    rows = np.zeros((3, 3))
    rows[0, 2], rows[1, :2], rows[2, :2] = 0.5 * shape[0], (3.0, 0.0), (0.8, 2.6)
    cell = np.insert(rows[1:], axis, rows[0], axis=0)
    return charge(np.array(np.moveaxis(values, 0, axis), order=order), cell, device=device)


def test_open_blob_at_all_points():
    """Zeros are added for the radius, in the fields as in the planes."""
    x, y, z = -8 + 0.125 * np.arange(73), -4 + 0.25 * np.arange(44), -5 + 0.25 * np.arange(44)
    values = gaussian(x, -2, 0.6)[:, None, None] * gaussian(y, 1.5, 0.6)[:, None] * gaussian(z, 0.5, 0.6)
    field = charge(values, np.diag([73 / 8, 11.0, 11.0]), origin=[-8, -4, -5], boundary="open")
    found = gh.cylinder_potential(field, "a", 2.0, at=[[0.0, 0.0, 0.0]], side="low")
    assert found.end_weights == 3 and found.high is None
    fields = gh.cylinder_potential_field(field, "a", 2.0, side="low")
    assert fields.of_average.values[64, 16, 20] == pytest.approx(found.low_average[0], abs=1e-13)
    assert fields.potential.values[64, 16, 20] == pytest.approx(found.low[0], abs=1e-11)


def test_disc_average(device):
    """cos gy about y = 0.4, far more of it in the disc than in the cell; slabs and open planes are no different."""
    period = 2 * pi / 1.57
    values = np.cos(1.57 * (0.4 + np.arange(16) * period / 16)) * np.ones((5, 3, 1))
    field = charge(np.moveaxis(values, 2, 1), np.diag([5.0, period, 4.0]), device=device)
    averaged = gh.disc_average(field, "a", 11.3)
    assert device.to_host(averaged.values)[2, 0, 1] == pytest.approx(-0.016508167769193748, abs=1e-12)
    assert averaged.quantity == "charge_density"


def test_disc_average_with_a_soft_edge():
    """∫ F(u) J0(gu) u du / ∫ F(u) u du, F the part of the radii R ± w, weighted by 1 + cos, beyond u."""
    g, radius, edge = 1.57, 3.0, 1.2
    inside = lambda u: np.clip((radius + edge - u) / (2 * edge), 0, 1)  # noqa: E731
    soft = lambda u: inside(u) - np.sin(2 * pi * inside(u)) / (2 * pi)  # noqa: E731
    parts = [
        quad(lambda u: weight(u) * soft(u) * u, 0, radius + edge, epsabs=1e-13, points=[radius - edge])[0]  # noqa: B023
        for weight in (lambda u: j0(g * u), lambda u: 1.0)
    ]
    period = 2 * pi / g
    field = charge(np.cos(g * np.arange(12) * period / 12)[:, None] * np.ones((4, 1, 3)), np.diag([4.0, period, 3.0]))
    averaged = gh.disc_average(field, "a", radius, edge=edge).values
    np.testing.assert_allclose(averaged, field.values * parts[0] / parts[1], rtol=0, atol=1e-12)


def test_disc_average_on_ranks_and_open():
    field = replace(random_layers(), grid=replace(random_layers().grid, boundary=("periodic", "open", "periodic")))
    whole = gh.disc_average(field, "a", 2.1).values
    for split in (0, 1, 2):
        parts = on_ranks(field, 3, lambda part: gh.disc_average(part, "a", 2.1).values, split)
        np.testing.assert_allclose(np.concatenate(parts, axis=split), whole, rtol=0, atol=1e-14)
    y = np.arange(48) * 0.25
    blob = gaussian(y, 3.0, 0.6)[None, :, None] * periodic_gaussian(y[:8], 0.7, 0.6, 2.0) * np.ones((2, 1, 1))
    cell = np.array([[2.0, 0.0, 0.0], [0.0, 12.0, 0.0], [0.0, 0.0, 2.0]])
    near = cell * np.array([1, 0.5, 1])[:, None]
    expected = gh.disc_average(charge(blob, cell), "a", 4.0).values[:, :24]
    found = gh.disc_average(charge(blob[:, :24], near, boundary="p,o,p"), "a", 4.0).values
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-7)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_all_points_are_the_planes(axis, device):
    """Recursions and tables against sums over planes, for every normal."""
    field = random_layers(axis=axis, device=device)
    for order, way, within in ((5, "table", 2e-14), (3, "march", 1e-9)):
        for side in SIDES:
            fields = gh.cylinder_potential_field(field, axis, 2.2, side=side, end_weights=order, way=way)
            planes = gh.cylinder_potential(field, axis, 2.2, at=[1.0, 4.5, 9.5], side=side, end_weights=order)
            sides = ("low", "high") if side == "both" else (side,)
            for name, part in (("potential", ""), ("of_average", "_average"), ("of_deviation", "_deviation")):
                found = np.moveaxis(device.to_host(getattr(fields, name).values), axis, 0)[[2, 9, 19]]
                expected = sum(getattr(planes, s + part) for s in sides)
                np.testing.assert_allclose(found, expected, rtol=0, atol=within * np.abs(planes.total).max())
    assert fields.potential.unit == "V" and fields.potential.quantity == "electrostatic_potential"


def test_a_kernel_is_kept_for_calls_alike_and_for_no_others(monkeypatch):
    """Calls that differ in one thing each, all against planes; then the last one again, when nothing is made."""
    field = random_layers()
    stretched = charge(field.values, field.grid.cell * np.array([[1.0], [1.0], [1.1]]))
    taller = charge(field.values, field.grid.cell * np.array([[1.1], [1.0], [1.0]]))
    more = charge(random_layers((22, 6, 5)).values, field.grid.cell * np.array([[1.1], [1.0], [1.0]]))
    for given, radius, options in (
        (field, 2.2, {}),
        (stretched, 2.2, {}),
        (taller, 2.2, {}),
        (more, 2.2, {}),
        (field, 2.3, {}),
        (field, 2.3, {"edge": 0.4}),
        (field, 2.3, {"end_weights": 2}),
        (field, 2.3, {"x_low": 1.0}),
        (field, 2.3, {"x_high": 9.0}),
        (field, 2.2, {"way": "march"}),
        (field, 2.2, {}),
    ):
        found = gh.cylinder_potential_field(given, 0, radius, **options).potential.values[10]
        at = given.grid.plane_spacing(0) * 10
        planes = {name: value for name, value in options.items() if name != "way"}
        expected = gh.cylinder_potential(given, 0, radius, at=at, **planes).total[0]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9 * np.abs(expected).max())
    monkeypatch.delattr("gpuhomog.operators.potentials.cylinder_potential.cylinder_table")
    again = gh.cylinder_potential_field(field, 0, 2.2).potential.values[10]
    np.testing.assert_array_equal(again, found)
    monkeypatch.setattr("gpuhomog.operators.potentials.cylinder_potential.KEPT_BYTES", 0)
    with pytest.raises(NameError):
        gh.cylinder_potential_field(field, 0, 2.2)


@pytest.mark.parametrize("split", [0, 1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("boundary", ["periodic", "open"])
def test_slabs_of_any_axis(split, dtype, boundary):
    field = random_layers(axis=1, dtype=dtype)
    if boundary == "open":
        values = field.values.copy()
        values[[0, -1]], values[:, :, [0, -1]] = 0, 0
        field = charge(values, field.grid.cell, boundary="open")
    digits = 1e-13 if dtype == np.float64 else 4e-6

    def planes(part):
        return gh.cylinder_potential(part, 1, 2.2, at=[2.0, 6.0])

    def fields(part):
        return gh.cylinder_potential_field(part, 1, 2.2)

    whole, everywhere = planes(field), fields(field)
    for size in (2, 3):
        for found in on_ranks(field, size, planes, split):
            np.testing.assert_allclose(found.low, whole.low, rtol=0, atol=digits * np.abs(whole.low).max())
            np.testing.assert_allclose(found.high_average, whole.high_average, rtol=0, atol=digits * 10)
        parts = on_ranks(field, size, fields, split)
        for name in ("potential", "of_average", "of_deviation"):
            found = np.concatenate([getattr(part, name).values for part in parts], axis=split)
            expected = getattr(everywhere, name).values
            assert found.dtype == dtype
            np.testing.assert_allclose(found, expected, rtol=0, atol=digits * np.abs(everywhere.potential.values).max())


def test_larger_than_memory(tmp_path, monkeypatch):
    """Read some planes at a time, whichever planes are asked for."""
    field = random_layers()
    np.save(tmp_path / "layers.npy", field.values)
    facts = {"cell": field.grid.cell.tolist(), "quantity": "charge_density", "unit": "e/Å^3"}
    (tmp_path / "layers.json").write_text(json.dumps(facts))
    monkeypatch.setattr(memory, "CHUNK_BYTES", 7 * 30 * 8)
    streamed = gh.read(tmp_path / "layers.npy", max_memory="2 GB")
    found = gh.cylinder_potential(streamed, "a", 2.2, at=[4.5, 5.0])
    expected = gh.cylinder_potential(field, "a", 2.2, at=[4.5, 5.0])
    np.testing.assert_allclose(found.low_deviation, expected.low_deviation, rtol=0, atol=1e-13)
    for refused in (gh.disc_average, gh.cylinder_potential_field):
        with pytest.raises(InputError, match="needs all values"):
            refused(streamed, "a", 2.2)
    with pytest.raises(InputError, match="whose planes are not those that are read, needs all values"):
        gh.cylinder_potential(streamed, "b", 2.2, at=0.0, x_low=0.0, x_high=field.grid.height(1) / 2)


def test_direct_sums_approach_it():
    """Charge over distance at the points of the disc: first order in h, with the weight of the singular point."""
    misses = []
    for h in (1 / 4, 1 / 8, 1 / 16):
        x, y = -3 + h * np.arange(round(6 / h) + 1), -4 + h * np.arange(round(8 / h))
        values = gaussian(x, 0, 0.7)[:, None, None] * gaussian(y, 0, 0.7)[:, None] * gaussian(y, 0.5, 0.7)
        field = charge(values, np.diag([h * len(x), 8.0, 8.0]), origin=[-3, -4, -4], boundary="open")
        at = {"at": [[0.0, 0.0, 0.0], [1.0, 0.5, 0.5]], "end_weights": 1}
        exact = gh.cylinder_potential(field, "a", 3.0, **at)
        direct = gh.cylinder_potential(field, "a", 3.0, method="direct", **at)
        misses.append(np.abs(direct.total - exact.total).max() / np.abs(exact.total).max())
    assert direct.low_average is None
    assert misses[2] < 4e-3 and misses[2] < misses[1] / 1.6 < misses[0] / 2.5


def test_direct_sums_on_ranks_and_planes(slab):
    field = random_layers()
    whole = gh.cylinder_potential(field, "a", 2.2, at=4.0, method="direct")
    points = [field.grid.cell[0] * 0.4 + field.grid.steps[1] * 2 + field.grid.steps[2]]
    for found in on_ranks(field, 3, lambda part: gh.cylinder_potential(part, "a", 2.2, at=points, method="direct"), 1):
        assert found.low[0] == pytest.approx(whole.low[0, 2, 1], rel=1e-13)
        assert found.high[0] == pytest.approx(whole.high[0, 2, 1], rel=1e-13)


def test_soft_edge():
    """A wide cylinder turns about the limit e^{-gd}/2g of each mode; the mean over two periods is there."""
    slab = polar_slab(1 / 8, 16)
    at = {"at": [[8.0, 1.0, -0.5]], "end_weights": 6}
    spectra = np.fft.rfft2(slab.values)
    x, n = np.arange(spectra.shape[0]) / 8, 16
    g = np.hypot(*np.meshgrid(np.fft.fftfreq(n, 1 / n), np.fft.rfftfreq(n, 1 / n), indexing="ij")) * 2 * pi / 4
    with np.errstate(divide="ignore", invalid="ignore"):
        decay = np.where(g > 0, np.exp(-g * np.abs(x - 16.0)[:, None, None]) / (2 * g), 0.0)
    weights = np.ones(len(x))
    weights[128:134] = gregory_weights(6)
    weights[123:128] = weights[133:128:-1]
    weights[128] *= 2  # both sides end there
    limit = np.fft.irfft2((spectra * decay * weights[:, None, None]).sum(axis=0) / 8, s=(n, n))[4, -2] * FOUR_PI_KAPPA

    def lateral(radius, edge):
        """Without the planar average's part, which has no limit."""
        found = gh.cylinder_potential(slab, "a", radius, edge=edge, **at)
        planes = gh.cylinder_potential(slab, "a", radius, edge=edge, at=16.0, end_weights=6)
        return found.total[0] - planes.total[0].mean()

    sharp = [lateral(R, 0.0) - limit for R in np.linspace(19.0, 21.0, 5)]
    soft = [lateral(R, 8.0) - limit for R in (19.0, 20.0)]
    assert np.abs(sharp).max() > 100 * np.abs(soft).max()
    assert np.abs(soft).max() < 5e-3


def test_planes_that_lean():
    """The same charge on an upright cell and on one whose third vector leans by a lattice vector of the plane."""
    n, h = 12, 0.25
    upright = np.diag([3.0, 3.5, 40 * h])
    leaning = upright.copy()
    leaning[2] += 2 * upright[0] / 3 + upright[1] / 4

    def density(r):
        x, y, z = np.moveaxis(r, -1, 0)
        return gaussian(z, 5.0, 0.8) * np.cos(2 * pi * (x / 3 - y / 3.5)) + gaussian(z, 4.0, 0.7) * np.sin(
            2 * pi * x / 3
        )

    found = []
    for cell in (upright, leaning):
        fractions = np.stack(np.meshgrid(np.arange(n) / n, np.arange(n) / n, np.arange(40) / 40, indexing="ij"), -1)
        field = charge(density(fractions @ cell), cell)
        found.append(gh.cylinder_potential(field, "c", 3.3, at=[[0.3, 0.7, 4.5], [2.0, 3.0, 6.0]]))
    for part in ("low", "high", "low_average", "high_deviation"):
        np.testing.assert_allclose(getattr(found[1], part), getattr(found[0], part), rtol=0, atol=2e-13)
    with pytest.raises(InputError, match="leans on its planes"):
        gh.cylinder_potential_field(field, "c", 3.3)
    with pytest.raises(InputError, match="which are open"):
        gh.cylinder_potential(replace(field, grid=replace(field.grid, boundary=("open",) * 3)), "c", 3.3, at=4.5)


def test_the_disc_average_is_all_of_the_planar_mean(slab):
    """Modes of the plane other than its mean leave the mean of Φ^[Δρ] over whole cells zero at every R: App. F."""
    for radius in (3.1, 11.3):
        found = gh.cylinder_potential(slab, "a", radius, at=[3.0, 16.0])
        assert np.abs(found.low_deviation.mean(axis=(1, 2))).max() < 1e-12
        assert np.abs(found.low_deviation).max() > 1e-2
        z = 2 * pi / 4 * radius
        averaged = gh.disc_average(slab, "a", radius).values
        ratio = np.fft.rfft2(averaged[128])[1, 0] / np.fft.rfft2(slab.values[128])[1, 0]
        assert ratio == pytest.approx(2 * j1(z) / z, abs=1e-12)


def test_planes_that_cancel_to_noise():
    """Planes without a mean charge are matter all the same, and 1e-17 is none: at the boundary, and inside."""
    signs = np.where(np.arange(6) % 2, 1.0, -1.0)[:, None] * np.ones((6, 6))  # its sum is 0 exactly
    values = np.zeros((16, 6, 6))
    values[5:12] = signs
    values[0, 0, 0] = values[15, 0, 0] = 1e-17
    inside = charge(values, np.diag([8.0, 4.0, 4.0]))
    assert np.abs(gh.cylinder_potential(inside, "a", 3.0, at=4.0).total).max() > 1e-3
    values = np.roll(values, 6, axis=0)
    assert values[0].mean() == 0 < np.abs(values.mean(axis=(1, 2))).max()
    with pytest.raises(InputError, match=r"the mean \|ρ\| there is 100.0% of the densest plane's"):
        gh.cylinder_potential(charge(values, inside.grid.cell), "a", 3.0, at=4.0)


def test_refusals(slab):
    def refused(message, field=slab, axis="a", radius=11.3, **options):
        with pytest.raises(InputError, match=message):
            gh.cylinder_potential(field, axis, radius, **({"at": 16.0} | options))

    refused("give a positive, finite radius", radius=0.0)
    refused("give a positive, finite radius", radius=np.inf)
    refused(r"R = 0.2 Å < 2 h, h = 0.1667 Å .*disc not resolved", radius=0.2)
    refused(r"x_b = 4 Å lies outside \[8, 24\]", at=4.0, x_low=8.0, x_high=24.0)
    refused("x_b = 16.01 Å is not on a plane of a.*16.000000 and 16.062500", at=16.01)
    refused("x_low = nan Å is not on a plane", x_low=np.nan)
    refused("is not below x_high", x_low=24.0, x_high=8.0)
    refused("all finite", at=np.nan)
    refused(r"at of shape \(2, 2\)", at=np.zeros((2, 2)))
    refused('Unknown side "left"', side="left")
    refused('Unknown method "sampled"', method="sampled")
    refused("end_weights = 13", end_weights=13)
    refused("Edge of ± 12", edge=12.0)
    refused("sums sharp discs", edge=1.0, method="direct")
    refused("grid points only", at=[[8.0, 1.01, 0.0]], method="direct")
    electrons = gh.Field.from_array(slab.values, slab.grid.cell, quantity="electron_density")
    refused("counts electrons only", field=electrons)
    crystal = charge(np.cos(2 * pi * np.arange(16) / 16)[:, None, None] * np.ones((16, 6, 6)), 4 * np.eye(3))
    cuts = "boundary of the cell cuts matter along a: .*Give x_low=… and x_high=…"
    refused(cuts + ": there is no vacuum along a in which", field=crystal, radius=2.0, at=1.0)
    layer = np.roll(crystal.values * (np.arange(16) < 6)[:, None, None], -2, axis=0)
    across = charge(layer, 4 * np.eye(3))
    refused(cuts + r", or cut the cell in its vacuum, gh.cut_in_vacuum\(field, 'a'\)", field=across, radius=2.0, at=1.0)
    opened = charge(np.ones((16, 6, 6)), 4 * np.eye(3), boundary="open")
    refused(r"Open box too small: L = 4 Å along b", field=opened, radius=2.0, at=1.0)
    values = np.zeros((16, 12, 12))
    values[4:8, 4:8, 4:8] = 1.0
    refused(
        "lies outside the open box", field=charge(values, 4 * np.eye(3), boundary="open"), radius=1.0, at=[[1, 4, 0]]
    )
    with pytest.raises(InputError, match='Unknown way "fft"'):
        gh.cylinder_potential_field(slab, "a", 11.3, way="fft")


def test_for_people(slab):
    points = gh.cylinder_potential(slab, "a", 11.3, at=[[8.0, 1.0, -0.5]])
    text = str(points)
    assert "point 8.0000 1.0000 -0.5000" in text and "Φ_L of Δρ" in text and "R 11.3 Å" in text
    assert points.to_dict()["low"][0] == pytest.approx(points.low[0])
    assert "mean" in str(gh.cylinder_potential(slab, "a", 11.3, at=16.0, side="low", edge=2.0))


def test_neutral_planes_do_not_hide_how_smooth_the_layers_are(tmp_path, monkeypatch):
    """A wave in the planes has no planar average: e^{-g|x|}/(2 ε0 g), by the end weights that its layer permits."""
    h, n, g, sd = 0.25, 8, 2 * pi / 4, 1.0
    x, y = h * np.arange(128), np.arange(n) * 4 / n
    values = gaussian(x, 16.0, sd)[:, None, None] * np.cos(g * y)[:, None] * np.ones(n)
    field = charge(values, np.diag([h * len(x), 4.0, 4.0]), boundary="o,p,p")

    def potential(of):
        return gh.cylinder_potential(of, "a", 40.0, at=[[16.0, 0.0, 0.0]], edge=8.0)

    alone = potential(field)
    limit = FOUR_PI_KAPPA / (2 * g) * np.exp((g * sd) ** 2 / 2) * erfc(g * sd / sqrt(2))
    assert alone.end_weights == 3
    assert alone.total[0] == pytest.approx(limit, rel=5e-4)
    for split in (0, 2):
        for other in on_ranks(field, 3, potential, split):
            assert other.end_weights == 3
            assert other.total[0] == pytest.approx(alone.total[0], rel=1e-12)
    np.save(tmp_path / "wave.npy", values)
    (tmp_path / "wave.json").write_text(
        json.dumps({"quantity": "charge_density", "unit": "e/Å^3", "cell": field.grid.cell.tolist()})
    )
    monkeypatch.setattr(memory, "CHUNK_BYTES", 7 * n * n * 8)
    unread = gh.read(tmp_path / "wave.npy", boundary="o,p,p", max_memory="2GB")
    assert potential(unread).end_weights == 3
