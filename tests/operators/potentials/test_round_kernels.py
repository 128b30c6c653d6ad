"""Potentials of wires and isolated charge in oblique cells: closed forms, and the same charge in upright cells."""

import numpy as np
import pytest
from gaussian_charges import alone, density, points
from ranks import assert_slabs_agree
from scipy.integrate import quad
from scipy.special import erf, exp1, jv, kv

import gpuhomog as gh
from gpuhomog.grid import Grid
from gpuhomog.operators.potentials.round_kernels import CylinderKernel, SphereKernel, counts, farthest
from gpuhomog.operators.potentials.truncated import padded_grid
from gpuhomog.units import COULOMB_CONSTANT

HEXAGONAL = np.array([[13.0, 0, 0], [-6.5, 126.75**0.5, 0], [0, 0, 12.0]])
SHEARED = np.array([[13.0, 0.4, 0.7], [-4.0, 12.0, 0.3], [1.9, -1.1, 12.0]])


def cluster(cell, *apart):
    """Charges about the middle of a cell, or as far from it as is said, in lattice vectors."""
    places = apart or ((0.02, 0.0, -0.04), (-0.03, 0.03, 0.0), (0.0, -0.02, 0.05))
    return [
        (q, width, (0.5 + np.array(place)) @ cell)
        for q, width, place in zip((1.0, -2.0, 1.5), (0.9, 0.8, 0.75), places, strict=False)
    ]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("cell", [HEXAGONAL, SHEARED], ids=["hexagonal", "sheared"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-6), (np.float32, 2e-5)])
def test_charge_on_its_own(device, cell, order, dtype, tolerance):
    shape, blobs = (30, 32, 27), cluster(cell)
    field = density(shape, cell, blobs, "open", device=device, dtype=dtype, order=order)
    potential = gh.electrostatic_potential(field)
    expected = alone(points(shape, cell), blobs)
    assert potential.values.dtype == dtype and potential.grid == field.grid
    assert np.abs(potential.to_host() - expected).max() < tolerance * np.abs(expected).max()


@pytest.mark.parametrize("signs", [(1, 1, 1), (1, -1, 1), (1, 1, -1)])
def test_every_distance_in_the_cell_counts(signs):
    """Two charges in opposite corners: an image that is nearer than they are to one another would be seen."""
    cell, shape = 1.5 * SHEARED, (60, 60, 60)
    blobs = [(q, 0.6, (0.5 + 0.27 * q * np.array(signs)) @ cell) for q in (1.0, -1.0)]
    found = gh.electrostatic_potential(density(shape, cell, blobs, "open")).values
    expected = alone(points(shape, cell), blobs)
    assert np.abs(found - expected).max() < 1e-6 * np.abs(expected).max()


def test_the_padded_cell_keeps_images_beyond_the_cut_off():
    """No lattice vector of the padded cell and two points of the cell make a distance below X."""
    corners = np.array(list(np.ndindex(2, 2, 2)), dtype=float)
    apart = (corners[:, None] - corners).reshape(-1, 3)
    images = np.array([n for n in np.ndindex(5, 5, 5) if n != (2, 2, 2)]) - 2.0
    for boundary, cell in (("open", HEXAGONAL), ("open", SHEARED), ("o,o,p", SHEARED), ("p,o,o", SHEARED)):
        grid = Grid((30, 32, 27), cell, boundary=boundary.split(",") * (3 if boundary == "open" else 1))
        along = [axis for axis in range(3) if grid.boundary[axis] == "periodic"]
        unit = cell[along[0]] / np.linalg.norm(cell[along[0]]) if along else np.zeros(3)
        across = np.eye(3) - np.outer(unit, unit)
        largest = np.linalg.norm(apart @ cell @ across, axis=1).max()
        assert farthest(grid) == pytest.approx(largest)
        others = images[np.delete(images, along, axis=1).any(axis=1)]  # along the wire images are the charge itself
        moved = others @ padded_grid(grid).cell
        fine = np.stack(np.meshgrid(*[np.linspace(-1, 1, 9)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ cell
        nearest = np.linalg.norm((moved[:, None] + fine) @ across, axis=-1).min()
        assert nearest >= farthest(grid)
    assert counts(Grid((10, 10, 4), HEXAGONAL, boundary=("open", "open", "periodic"))) == [30, 30, 4]


@pytest.mark.parametrize("lean", [0.0, 1.4])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_charged_wire(device, axis, lean):
    """A line of Gaussian profile, charge λ per length: φ = -κλ [ln r² + E1(r²/2s²)]; its axis may lean."""
    cell = np.array([[13.0, 0, 0], [-6.5, 126.75**0.5, 0], [lean, -0.6 * lean, 5.0]])
    shape = np.array([40, 40, 5])
    turned = [(axis + 1 + i) % 3 for i in range(3)]
    rolled, counted = np.zeros((3, 3)), np.zeros(3, dtype=int)
    rolled[turned], counted[turned] = cell, shape
    unit = rolled[axis] / np.linalg.norm(rolled[axis])
    away = points(counted, rolled) - (cell[:2].sum(axis=0) / 2 + 0.1)
    away -= (away @ unit)[..., None] * unit
    r2 = (away**2).sum(axis=-1)
    values = 0.3 * np.exp(-r2 / (2 * 0.8**2)) / (2 * np.pi * 0.8**2)
    boundary = ["open"] * 3
    boundary[axis] = "periodic"
    field = gh.Field.from_array(values, rolled, quantity="charge_density", boundary=boundary, device=device)
    found = gh.electrostatic_potential(field).to_host()
    expected = -COULOMB_CONSTANT * 0.3 * (np.log(r2) + exp1(r2 / (2 * 0.8**2)))
    assert np.abs(found - expected).max() < 1e-7 * np.abs(expected).max()


@pytest.mark.parametrize("boundary", ["open", "o,o,p", "p,o,o"])
def test_the_same_charge_in_an_upright_cell(device, boundary):
    """Every second row of an oblique grid is one of an upright grid, whose kernel is a sum of Gaussians."""
    shape = (54, 26, 24)
    images = {"open": (0, 0, 0), "o,o,p": (0, 0, 1), "p,o,o": (1, 0, 0)}[boundary]
    blobs = [(1.0, 0.9, (15.0, 6.0, 6.2)), (-0.7, 0.95, (16.5, 7.0, 5.8)), (0.4, 0.9, (13.0, 6.5, 6.0))]
    leaning = np.array([[27.0, 0, 0], [6.5, 13.0, 0], [0, 0, 12.0]])  # point i, j: i + j/2 of the upright grid
    expected, found = (
        gh.electrostatic_potential(density(shape, cell, blobs, boundary, images, device=device)).to_host()
        for cell in (np.diag([27.0, 13.0, 12.0]), leaning)
    )
    for j in range(0, 26, 2):
        i = np.arange(54) + j // 2
        shared = i < 54 if boundary != "p,o,o" else np.ones(54, dtype=bool)
        difference = found[shared, j] - expected[i[shared] % 54, j]
        assert np.abs(difference).max() < 1e-6 * np.abs(expected).max()


def test_field_of_a_charge_on_its_own():
    """By differences of the closed form."""
    shape, blobs, step = (36, 38, 34), cluster(SHEARED), 1e-4
    r = points(shape, SHEARED)
    for i, component in enumerate(gh.electric_field(density(shape, SHEARED, blobs, "open"))):
        shift = np.eye(3)[i] * step
        expected = -(alone(r + shift, blobs) - alone(r - shift, blobs)) / (2 * step)
        assert np.abs(component.values - expected).max() < 2e-6 * np.abs(expected).max()


@pytest.mark.parametrize("boundary", ["open", "o,o,p", "p,o,o", "o,p,o"])
def test_ranks_find_what_one_process_finds(boundary):
    cell = 0.7 * SHEARED
    whole = density((13, 14, 15), cell, cluster(cell)[:2], boundary)
    assert_slabs_agree(whole, gh.electrostatic_potential, 1e-13)


def test_energy_of_two_clusters():
    """erf(r/2s)/r of two Gaussians, in a cell without right angles."""
    one, other = (cluster(SHEARED, place) for place in ((0.1, -0.06, 0.1), (-0.08, 0.1, -0.12)))
    fields = [density((36, 36, 36), SHEARED, blobs, "open") for blobs in (one, other)]
    distance = np.linalg.norm(one[0][2] - other[0][2])
    expected = COULOMB_CONSTANT * erf(distance / (2 * 0.9)) / distance
    assert gh.interaction_energy(*fields).energy.value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("g", [0.0, 0.03, 0.7, 4.0])
def test_cylinder_by_quadrature(g):
    """∫_0^X J0(kρ) K0(gρ) ρ dρ, and of the logarithm."""
    along_z = np.sqrt((2 * np.pi / g) ** 2 - 0.25) if g else 3.0
    cell = np.array([[9.0, 0, 0], [2.0, 8.0, 0], [0.5, 0, along_z]])
    grid = Grid((12, 12, 8), cell, boundary=("open", "open", "periodic"))
    kernel, along = CylinderKernel(grid, 5.5, 2.0), float(g > 0)
    for a, b in ((0, 0), (1, 0), (-2, 3)):
        k2 = float(np.sum((np.array([a, b, along]) @ grid.reciprocal) ** 2)) - g * g
        k = np.sqrt(max(k2, 0.0))

        def density_of(rho, k=k):
            return rho * jv(0, k * rho) * (kv(0, g * rho) if g else -np.log(rho))

        expected = 2.0 * quad(density_of, 0, 5.5, limit=400, epsabs=1e-13)[0]
        modes = [np.array([[float(n)]]) for n in (a, b, along)]
        assert kernel(*modes).item() == pytest.approx(expected, rel=1e-10)


def test_sphere_by_quadrature():
    """∫_0^X sin(kr)/k dr."""
    grid = Grid((12, 12, 8), SHEARED, boundary=("open", "open", "open"))
    for modes in ((0, 0, 0), (1, 0, 0), (-2, 3, 1)):
        k = np.linalg.norm(np.array(modes) @ grid.reciprocal)
        expected = 2.0 * quad(lambda r, k=k: r * np.sinc(k * r / np.pi), 0, 21.0, limit=400)[0]
        found = SphereKernel(grid, 21.0, 2.0)(*[np.array([[float(n)]]) for n in modes]).item()
        assert found == pytest.approx(expected, rel=1e-10)


def test_short_waves_along_a_wire():
    """Rows on which Bessel functions are nothing are left to the device: they have that potential, too."""
    cell = np.array([[12.0, 0, 0], [0, 6.0, 0], [5.0, 0, 11.0]])  # of the open axes c leans on a
    r = points((40, 64, 40), cell) - cell.sum(axis=0) / 2
    profile = np.exp(-(r[..., 0] ** 2 + r[..., 2] ** 2) / (2 * 0.7**2)) / (2 * np.pi * 0.7**2)
    grid = Grid((40, 64, 40), cell, boundary=("open", "periodic", "open"))
    kernel = CylinderKernel(padded_grid(grid), farthest(grid))
    assert kernel.is_far(1, np.array([2.0, -2.0, 3.0, -4.0])).tolist() == [False, False, True, True]
    for n in (1, 9):
        wave = profile * np.cos(2 * np.pi * n * np.arange(64) / 64)[:, None]
        field = gh.Field.from_array(wave, cell, quantity="charge_density", boundary="o,p,o")
        found = gh.electrostatic_potential(field).values
        i, k = 20, 20  # on the axis
        g = 2 * np.pi * n / 6.0
        exact = quad(lambda q, g=g: np.exp(-((q * 0.7) ** 2) / 2) * q / (q * q + g * g), 0, 14, limit=400)[0]
        assert found[i, 0, k] == pytest.approx(2 * COULOMB_CONSTANT * exact, rel=1e-10)
