"""Potentials of charge densities against what Gaussian charges have in closed form, or by quadrature."""

import numpy as np
import pytest
from gaussian_charges import alone, density, points
from ranks import assert_slabs_agree, on_ranks
from scipy.integrate import quad
from scipy.special import erf, erfc, exp1, j0

import gpuhomog as gh
from gpuhomog.errors import InputError
from gpuhomog.units import COULOMB_CONSTANT

POISSON = 4 * np.pi * COULOMB_CONSTANT


def of_slab(r, cell, axis, blobs, highest):
    """Potential of planes of Gaussian charges, wavevector by wavevector (Parry's sums)."""
    first, second = (cell[i] for i in range(3) if i != axis)
    normal = np.cross(first, second)
    area = np.linalg.norm(normal)
    normal /= area * np.sign(normal @ cell[axis])
    plane = np.array([first, second, area * normal])
    rows = 2 * np.pi * np.linalg.inv(plane).T[:2]
    total = np.zeros(r.shape[:-1])
    for q, width, centre in blobs:
        away = r - np.array(centre)
        z = away @ normal
        root = np.sqrt(2) * width
        total -= q / area * POISSON / 2 * (z * erf(z / root) + width * np.sqrt(2 / np.pi) * np.exp(-((z / root) ** 2)))
        for n in np.ndindex(2 * highest + 1, 2 * highest + 1):
            wave = (np.array(n) - highest) @ rows
            g = np.linalg.norm(wave)
            if g > 0:
                sides = sum(np.exp(s * g * z) * erfc(g * root / 2 + s * z / root) for s in (1, -1))
                total += q / area * POISSON / (4 * g) * np.cos(away @ wave) * sides
    return total


TRIPLE = [(1.0, 0.9, (5.0, 5.2, 6.1)), (-2.0, 0.8, (5.5, 5.0, 7.0)), (1.5, 0.75, (5.2, 4.9, 8.0))]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-6), (np.float32, 2e-5)])
def test_charge_on_its_own(device, order, dtype, tolerance):
    cell = np.diag([10.0, 10.5, 14.0])
    field = density((24, 26, 35), cell, TRIPLE, "open", device=device, dtype=dtype, order=order)
    potential = gh.electrostatic_potential(field)
    expected = alone(points((24, 26, 35), cell), TRIPLE)
    assert potential.quantity == "electrostatic_potential"
    assert potential.unit == "V"
    assert potential.values.dtype == dtype
    assert potential.grid == field.grid
    assert np.abs(potential.to_host() - expected).max() < tolerance * np.abs(expected).max()


@pytest.mark.parametrize(("shape", "lengths"), [((24, 24, 240), (8, 8, 80)), ((150, 16, 40), (75, 8, 20))])
def test_charge_in_a_long_box(shape, lengths):
    """The kernel's error does not grow with the proportions of the box."""
    middle = np.array(lengths) / 2
    blobs = [
        (1.0, 0.7, middle),
        (-0.7, 0.7, middle + np.array([0, 0, 4.0])),
        (0.3, 0.7, middle - np.array([0, 0, 5.0])),
    ]
    field = density(shape, np.diag(lengths), blobs, "open")
    found = gh.electrostatic_potential(field).values
    expected = alone(points(shape, np.diag(lengths)), blobs)
    assert np.abs(found - expected).max() < 1e-6 * np.abs(expected).max()


def test_box_against_a_kernel_cut_off_at_a_sphere(rng):
    """Vico, Greengard and Ferrando: v = 2 (sin(kR/2)/k)², R the diagonal, on a grid of four times the length."""
    n, length = 40, 16.0
    blobs = [(q, 1.0, centre) for q, centre in zip(rng.standard_normal(9), rng.uniform(7.5, 8.5, (9, 3)), strict=True)]
    field = density((n, n, n), length * np.eye(3), blobs, "open")
    k = 2 * np.pi * np.fft.fftfreq(4 * n, length / n)
    k = np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k[: 2 * n + 1] ** 2)
    k[0, 0, 0] = 1.0
    kernel = 2 * (np.sin(k * np.sqrt(3) * length / 2) / k) ** 2
    kernel[0, 0, 0] = 3 * length**2 / 2
    spectrum = np.fft.rfftn(field.values, s=3 * [4 * n], axes=(0, 1, 2))
    expected = POISSON * np.fft.irfftn(spectrum * kernel, s=3 * [4 * n], axes=(0, 1, 2))[:n, :n, :n]
    found = gh.electrostatic_potential(field).values
    assert np.abs(found - expected).max() < 1e-11 * np.abs(expected).max()


SHEARED = np.array([[3.0, 0.2, 0.0], [0.9, 3.4, 0.0], [0.7, -0.5, 16.0]])  # the open axis leans


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-6), (np.float32, 1e-4)])
def test_slab_in_any_cell(device, axis, dtype, tolerance):
    """Polar, and neutral but for less than is refused: the potential of the planes, half of the step below zero."""
    turned = [(axis + 1 + i) % 3 for i in range(3)]
    cell = np.zeros((3, 3))
    cell[np.ix_(turned, turned)] = SHEARED
    shape = np.zeros(3, dtype=int)
    shape[turned] = 12, 14, 60
    middle = cell.sum(axis=0) / 2
    across = np.eye(3)[axis]
    blobs = [(1.0, 0.5, middle + 1.5 * across), (-1.5, 0.55, middle + 0.3), (0.50002, 0.6, middle - 1.3 * across)]
    boundary = ["periodic"] * 3
    boundary[axis] = "open"
    images = np.full(3, 2)
    images[axis] = 0
    order = "F" if axis == 1 else "C"
    field = density(tuple(shape), cell, blobs, "periodic", tuple(images), device=device, dtype=dtype, order=order)
    potential = gh.electrostatic_potential(field, boundary=boundary)
    expected = of_slab(points(shape, cell), cell, axis, blobs, highest=6)
    assert potential.grid.boundary == tuple(boundary)
    assert np.abs(potential.to_host() - expected).max() < tolerance * np.abs(expected).max()


@pytest.mark.parametrize("lean", [0.0, 1.3])
def test_waves_of_charge_from_face_to_face(lean):
    """Sheets near both ends of a box thinner than their waves are long: every distance up to its height counts."""
    cell = np.array([[9.0, 0.0, 0.0], [0.0, 2.0, 0.0], [lean, 0.0, 8.0]])
    r = points((8, 1, 200), cell)
    g, width = 2 * np.pi / 9.0, 0.15
    values, expected = np.zeros(r.shape[:-1]), np.zeros(r.shape[:-1])
    for height, place in ((1.0, 0.9), (-0.6, 7.1)):
        z, wave = r[..., 2] - place, height * np.cos(g * (r[..., 0] - place))
        values += wave * np.exp(-((z / width) ** 2) / 2) / (np.sqrt(2 * np.pi) * width)
        root = np.sqrt(2) * width
        sides = sum(np.exp(s * g * z) * erfc(g * root / 2 + s * z / root) for s in (1, -1))
        expected += POISSON / (4 * g) * wave * np.exp((g * width) ** 2 / 2) * sides
    field = gh.Field.from_array(values, cell, quantity="charge_density", boundary="p,p,o")
    found = gh.electrostatic_potential(field).values
    assert np.abs(found - expected).max() < 1e-7 * np.abs(expected).max()


def test_vacuum_of_a_polar_slab():
    """-(1/2ε0) |z - z'|: a step of 4πκ times the dipole per area, in whatever box, and what a rest of charge adds."""
    charges = np.array([1.0, -1.0 + 1e-5])
    for n in (48, 80):
        cell = np.diag([4.0, 4.0, n / 4])
        z = n / 8 + np.array([1.0, -0.5])
        blobs = [(charges[0], 0.5, (2.0, 2.0, z[0])), (charges[1], 0.6, (2.0, 2.0, z[1]))]
        field = density((16, 16, n), cell, blobs, "p,p,o", (2, 2, 0))
        planes = gh.planar_average(gh.electrostatic_potential(field), "c").values
        ends = np.array([0.0, n / 4 - 0.25])
        expected = -POISSON / 32 * np.abs(ends[:, None] - z) @ charges
        assert planes[[0, -1]] == pytest.approx(expected, abs=1e-9)
        assert expected[1] - expected[0] == pytest.approx(POISSON * 1.5 / 16, rel=1e-3)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_charged_wire(device, axis):
    """A line of Gaussian profile, charge λ per length: φ = -κλ [ln r² + E1(r²/2s²)], 0 at 1 Å outside."""
    shape, lengths = np.array([32, 36, 4]), np.array([12.0, 13.5, 5.0])
    shape, lengths = np.roll(shape, axis + 1), np.roll(lengths, axis + 1)
    around = [i for i in range(3) if i != axis]
    r2 = sum((points(shape, np.diag(lengths))[..., i] - lengths[i] / 2 - 0.1) ** 2 for i in around)
    values = 0.3 * np.exp(-r2 / (2 * 0.8**2)) / (2 * np.pi * 0.8**2)
    boundary = ["open"] * 3
    boundary[axis] = "periodic"
    field = gh.Field.from_array(values, np.diag(lengths), quantity="charge_density", boundary=boundary, device=device)
    found = gh.electrostatic_potential(field).to_host()
    expected = -COULOMB_CONSTANT * 0.3 * (np.log(r2) + exp1(r2 / (2 * 0.8**2)))
    assert np.abs(found - expected).max() < 1e-7 * np.abs(expected).max()


@pytest.mark.parametrize("period", [3.0, 150.0])
def test_wave_along_a_wire(period):
    """One wave of charge along the wire: a Hankel integral over the modes across it."""
    g, width = 2 * np.pi / period, 0.8
    x = np.arange(40) * 0.35
    r2 = (x[:, None] - 7.0) ** 2 + (x[None, :] - 6.65) ** 2
    profile = np.exp(-r2 / (2 * width**2)) / (2 * np.pi * width**2)
    wave = np.cos(2 * np.pi * np.arange(8) / 8)
    field = gh.Field.from_array(
        profile[:, :, None] * wave, np.diag([14.0, 14.0, period]), quantity="charge_density", boundary="o,o,p"
    )
    found = gh.electrostatic_potential(field).values
    for i in (20, 22, 30, 38):
        r = np.sqrt(r2[i, 19])
        exact = quad(
            lambda k, r=r: np.exp(-((k * width) ** 2) / 2) * j0(k * r) * k / (k * k + g * g), 0, 12, limit=400
        )[0]
        expected = 2 * COULOMB_CONSTANT * exact
        assert found[i, 19] == pytest.approx(expected * wave, abs=2e-7 * COULOMB_CONSTANT)


def test_periodic_wave(device, triclinic):
    a, b, c = np.meshgrid(*[np.arange(n) / n for n in (10, 12, 14)], indexing="ij")
    wave = np.cos(2 * np.pi * (2 * a - b + 3 * c))
    k = np.array([2, -1, 3]) @ (2 * np.pi * np.linalg.inv(triclinic).T)
    field = gh.Field.from_array(wave, triclinic, quantity="charge_density", device=device)
    found = gh.electrostatic_potential(field).to_host()
    assert found == pytest.approx(POISSON * wave / (k @ k), abs=1e-12)


BOUNDARIES = ["periodic", "p,p,o", "o,p,p", "p,o,p", "o,o,p", "p,o,o", "open"]


def refined(values, times):
    """The trigonometric polynomial through values, modes N/2 as cosines, at `times` as many points along each axis."""
    out = values.astype(complex)
    for axis, n in enumerate(values.shape):
        modes, at = np.fft.fftfreq(n, 1 / n), np.arange(n * times) / times
        waves = np.exp(2j * np.pi * np.outer(at, modes) / n)
        waves[:, n // 2] = np.cos(np.pi * at)
        taken = np.exp(-2j * np.pi * np.outer(modes, np.arange(n)) / n) / n
        out = np.moveaxis(np.tensordot(waves @ taken, out, (1, axis)), 0, axis)
    return out.real


def test_modes_of_half_the_points(device, rng):
    """Even axes of an oblique cell: from a density φ and E are those of its polynomial, exactly; E of φ differs in N/2.

    On three times as many points no mode is its own negative, so plain sums over modes say what is right.
    """
    shape, cell = (6, 8, 4), np.array([[4.0, 0.0, 0.0], [1.3, 5.0, 0.0], [0.4, -0.9, 6.0]])
    values = rng.standard_normal(shape)
    values -= values.mean()
    fine = refined(values, 3)
    modes = np.stack(np.meshgrid(*[np.fft.fftfreq(n, 1 / n) for n in fine.shape], indexing="ij"), axis=-1)
    k = modes @ (2 * np.pi * np.linalg.inv(cell).T)
    square = (k**2).sum(axis=-1)
    square[0, 0, 0] = np.inf
    potential = POISSON * np.fft.fftn(fine) / square
    expected = [
        np.fft.ifftn(part).real[::3, ::3, ::3] for part in (potential, *(-1j * np.moveaxis(k, 3, 0) * potential))
    ]
    density = gh.Field.from_array(values, cell, quantity="charge_density", device=device)
    found = gh.electrostatic_potential(density)
    of_density, of_potential = gh.electric_field(density), gh.electric_field(found)
    for part, exact in zip((found, *of_density), expected, strict=True):
        np.testing.assert_allclose(part.to_host(), exact, rtol=0, atol=1e-11)
    half = np.zeros(shape, dtype=bool)
    half[3], half[:, 4], half[..., 2] = True, True, True
    for one, other in zip(of_density, of_potential, strict=True):
        apart = np.abs(np.fft.fftn(one.to_host() - other.to_host()))
        assert apart[~half].max() < 1e-9 < 1 < apart[half].max()


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_ranks_find_what_one_process_finds(boundary):
    cell = np.diag([8.0, 8.4, 9.0])
    blobs = [(1.0, 0.65, (4.1, 4.0, 4.5)), (-1.0, 0.6, (3.9, 4.4, 4.4))]
    whole = density((13, 14, 15), cell, blobs, boundary)
    assert_slabs_agree(whole, gh.electrostatic_potential, 1e-13)


def test_ranks_share_rows_near_and_far():
    """Rows of short waves have a simpler kernel: each rank must know which of its own they are."""
    cell = np.diag([1.0, 24.0, 16.0])
    r = points((3, 64, 40), cell)
    values = np.cos(2 * np.pi * r[..., 1] / 24) * np.exp(-((r[..., 2] - 8) ** 2))
    whole = gh.Field.from_array(values, cell, quantity="charge_density", boundary="p,p,o")
    expected = gh.electrostatic_potential(whole).values
    parts = on_ranks(whole, 2, gh.electrostatic_potential)
    assert np.concatenate([part.values for part in parts]) == pytest.approx(expected, abs=1e-12)


class TestElectricField:
    """Minus the gradient, from the charge or from the potential."""

    def test_of_charge(self, device):
        """Gaussian charges in the open; by symmetry and by differences of the closed form."""
        cell = np.diag([10.0, 10.5, 14.0])
        field = density((30, 32, 42), cell, TRIPLE, "open", device=device)
        r, step = points((30, 32, 42), cell), 1e-4
        for i, component in enumerate(gh.electric_field(field)):
            shift = np.eye(3)[i] * step
            expected = -(alone(r + shift, TRIPLE) - alone(r - shift, TRIPLE)) / (2 * step)
            assert component.unit == "V/Å"
            assert component.provenance[-1]["step"] == "electric field"
            assert np.abs(component.to_host() - expected).max() < 2e-6 * np.abs(expected).max()

    @pytest.mark.parametrize("boundary", ["periodic", "p,p,o", "open"])
    def test_of_the_potential(self, device, boundary):
        """From the potential by differences along open axes, on fine grids."""
        cell = np.diag([5.0, 5.2, 12.0]) if boundary != "open" else np.diag([10.0, 10.0, 12.0])
        shape = (20, 22, 60) if boundary != "open" else (50, 50, 60)
        middle = cell.sum(axis=0) / 2
        blobs = [(1.0, 0.9, middle), (-1.0, 0.8, middle + 0.3)]
        images = (2, 2, 0) if boundary != "open" else (0, 0, 0)
        field = density(shape, cell, blobs, boundary, images, device=device)
        direct = gh.electric_field(field)
        for one, other in zip(direct, gh.electric_field(gh.electrostatic_potential(field)), strict=True):
            largest = np.abs(one.to_host()).max()
            assert np.abs(one.to_host() - other.to_host()).max() < 3e-5 * largest

    def test_leaning_slab(self):
        """In a sheared cell with an open axis every component is mixed from three derivatives."""
        middle = SHEARED.sum(axis=0) / 2
        blobs = [(1.0, 0.6, middle + np.array([0, 0, 0.4])), (-1.0, 0.65, middle)]
        field = density((16, 18, 96), SHEARED, blobs, "p,p,o", (3, 3, 0))
        for one, other in zip(
            gh.electric_field(field), gh.electric_field(gh.electrostatic_potential(field)), strict=True
        ):
            assert np.abs(one.values - other.values).max() < 1e-5 * np.abs(one.values).max()

    def test_ranks_find_what_one_process_finds(self):
        cell = np.diag([8.0, 8.4, 9.0])
        blobs = [(1.0, 0.7, (4.1, 4.0, 4.5)), (-1.0, 0.8, (3.9, 4.4, 4.4))]
        for boundary in ("periodic", "p,p,o"):
            potential = gh.electrostatic_potential(density((13, 14, 15), cell, blobs, boundary))
            expected = gh.electric_field(potential)
            for axis in (0, 2):
                parts = on_ranks(potential, 3, gh.electric_field, axis)
                for i in range(3):
                    found = np.concatenate([part[i].values for part in parts], axis=axis)
                    assert found == pytest.approx(expected[i].values, abs=1e-11)


@pytest.mark.parametrize("boundary", ["p,p,o", "open"])
def test_charge_comes_back(device, boundary):
    """-ε0 ∇² of the potential, by differences along open axes."""
    cell = np.diag([9.0, 9.0, 9.0])
    images = (1, 1, 0) if boundary != "open" else (0, 0, 0)
    field = density((45, 45, 45), cell, [(1.0, 0.75, (4.4, 4.5, 4.6)), (-1.0, 0.8, (4.5, 4.5, 4.4))], boundary, images)
    field = gh.Field.from_array(field.values, cell, quantity="charge_density", boundary=boundary, device=device)
    back = gh.charge_density(gh.electrostatic_potential(field))
    assert back.quantity == "charge_density"
    assert np.abs(back.to_host() - field.to_host()).max() < 1e-4 * np.abs(field.to_host()).max()


def test_charge_comes_back_in_a_sheared_cell():
    """All six products of derivatives, two of them mixed with the open axis."""
    middle = SHEARED.sum(axis=0) / 2
    blobs = [(1.0, 0.6, middle + np.array([0, 0, 0.4])), (-1.0, 0.65, middle)]
    field = density((18, 20, 100), SHEARED, blobs, "p,p,o", (3, 3, 0))
    back = gh.charge_density(gh.electrostatic_potential(field))
    assert np.abs(back.values - field.values).max() < 1e-4 * np.abs(field.values).max()


@pytest.mark.filterwarnings("ignore:eps = .* exceeds a quarter")
def test_averaging_commutes_with_poisson_and_with_the_gradient(triclinic):
    cell = 1.6 * triclinic
    middle = cell.sum(axis=0) / 2
    field = density((20, 20, 24), cell, [(1.0, 0.6, middle), (-1.0, 0.7, middle + 0.9)], "periodic", (2, 2, 2))
    field = field.derive(field.values - field.mean(), "neutral to rounding")
    kernel = gh.Gaussian(1.7)
    first, then = gh.average(gh.electrostatic_potential(field), kernel), gh.average(field, kernel)
    assert first.values == pytest.approx(gh.electrostatic_potential(then).values, abs=1e-12)
    for one, other in zip(gh.electric_field(first), gh.electric_field(field), strict=True):
        assert one.values == pytest.approx(gh.average(other, kernel).values, abs=1e-12)
    assert gh.charge_density(first).values == pytest.approx(then.values, abs=1e-12)


@pytest.mark.filterwarnings("ignore:eps = .* exceeds a quarter")
def test_averaging_commutes_with_poisson_in_open_space():
    """The average of the charge of a cluster, then its potential; or its potential, averaged, away from the faces."""
    cell = 18.0 * np.eye(3)
    field = density((45, 45, 45), cell, [(1.0, 0.9, (9, 9, 9)), (-1.0, 0.8, (9.6, 9, 9))], "open")
    kernel = gh.Gaussian(2.0)
    then = gh.electrostatic_potential(gh.average(field, kernel)).values
    first = gh.average(gh.electrostatic_potential(field), kernel).values
    inside = slice(20, 26)
    assert np.abs(then - first)[inside, inside, inside].max() < 1e-6 * np.abs(then).max()


class TestRefusals:
    """One sentence each, before anything is computed."""

    def of(self, blobs, boundary, cell=None, **options):
        cell = np.diag([6.0, 6.0, 12.0]) if cell is None else cell
        return gh.electrostatic_potential(
            density((12, 12, 24), cell, blobs, "periodic", (1, 1, 1)), boundary, **options
        )

    def test_a_profile_is_told_what_takes_it(self):
        profile = gh.planar_average(density((12, 12, 24), np.eye(3) * 6, [], "periodic", (1, 1, 1)), "c")
        for of in (gh.electrostatic_potential, gh.electric_field):
            with pytest.raises(InputError, match=r"this is a Profile: .* gh.potential_step\(profile\) has the levels"):
                of(profile)

    def test_charge_at_the_faces(self):
        dipole = [(1.0, 0.7, (3, 3, 0.5)), (-1.0, 0.7, (3, 3, 1.5))]
        with pytest.raises(InputError, match="The charge wraps the cell boundary along c: the planes at its ends hold"):
            self.of(dipole, "p,p,o")
        assert self.of(dipole, "periodic").unit == "V"

    def test_charge_everywhere(self, rng):
        """A crystal has no vacuum to be cut in, and is not told to."""
        values = rng.standard_normal((6, 6, 12))
        crystal = gh.Field.from_array(values - values.mean(), 3.0 * np.eye(3), quantity="charge_density")
        with pytest.raises(InputError, match=r"no vacuum along c, its emptiest .*: leave c periodic") as refused:
            gh.electrostatic_potential(crystal, "p,p,o")
        assert "cut_in_vacuum" not in str(refused.value)

    @pytest.mark.parametrize("z", [0.8, 11.2])
    def test_charge_at_one_face(self, z):
        blobs = [(1.0, 0.7, (3, 3, z)), (-1.0, 0.7, (3, 3, 6.0))]
        field = density((12, 12, 24), np.diag([6.0, 6.0, 12.0]), blobs, "p,p,o", (1, 1, 0))
        with pytest.raises(InputError, match="The charge wraps the cell boundary along c"):
            gh.electrostatic_potential(field)

    def test_net_charge(self):
        one = [(0.5, 0.7, (3, 3, 6))]
        with pytest.raises(InputError, match=r"The slab charge is 0.01389 e/Å\^2 != 0 \(1.0e\+00 of all its charge"):
            self.of(one, "p,p,o")
        with pytest.raises(InputError, match=r"The cell has a net charge of 0.5 e .* so it has no periodic potential"):
            self.of(one, "periodic")

    def test_other_quantities(self):
        field = gh.Field.from_array(np.ones((2, 2, 2)), np.eye(3), quantity="electron_density")
        with pytest.raises(InputError, match="add the ions to an electron_density first"):
            gh.electrostatic_potential(field)
        potential = gh.Field.from_array(np.ones((2, 2, 2)), np.eye(3), quantity="electrostatic_potential")
        with pytest.raises(InputError, match="boundary = 'open' is for the potential of a charge_density"):
            gh.electric_field(potential, "open")
        with pytest.raises(InputError, match='give "periodic", "open", or three as "p,p,o"'):
            self.of([(1.0, 0.7, (3, 3, 6))], "closed")

    def test_ranks_agree(self):
        field = density((12, 12, 24), np.diag([6.0, 6.0, 12.0]), [(0.5, 0.7, (3, 3, 6))], "p,p,o", (1, 1, 0))
        with pytest.raises(InputError, match="The slab charge is"):
            on_ranks(field, 3, gh.electrostatic_potential)
