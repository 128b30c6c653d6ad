"""Polarization and invariant spread of a mesh of k: functions alone in oblique cells, and products of strings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ranks import together

import gpuhomog as gh
from gpuhomog.errors import InputError
from gpuhomog.parallel import Slab

CELL = np.array([[3.0, 0.2, -0.1], [0.9, 2.8, 0.3], [-0.4, 0.6, 3.3]])
STD = 0.4
POINTS = (12, 12, 12)


def alone(mesh, places, cell=CELL, points=POINTS):
    """u of Gaussian orbitals far from each other, at Cartesian places of each cell: Σ_R e^{-ik(r - R)} w(r - R)."""
    fractions = np.stack(np.meshgrid(*(np.arange(n) / n for n in points), indexing="ij"), axis=-1)
    reciprocal = 2 * np.pi * np.linalg.inv(cell).T
    images = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ cell
    r = fractions @ cell
    norm = (2 * np.pi * STD**2) ** -0.75
    u = np.zeros((*mesh, len(places), *points), dtype=complex)
    for place in np.ndindex(*mesh):
        k = np.array(place) / np.array(mesh) @ reciprocal
        for band, centre in enumerate(places):
            for image in images:
                away = r - centre - image
                distance = (away**2).sum(axis=-1)
                if distance.min() < (7 * STD) ** 2:
                    u[(*place, band)] += norm * np.exp(-distance / (4 * STD**2) - 1j * (r - image) @ k)
    return u


PLACES = np.array([[0.7, 0.4, 0.9]])
MESH = (4, 4, 4)
STATES = alone(MESH, PLACES)
# what overlaps at 3 Å is e^{-3²/8 std²}: states are made orthonormal to that
for _index in np.ndindex(*MESH):
    STATES[_index] /= np.sqrt((np.abs(STATES[_index]) ** 2).mean() * abs(np.linalg.det(CELL)))


def fold(vector, rows):
    """A vector modulo the rows, as fractions near zero."""
    fractions = vector @ np.linalg.inv(rows)
    return fractions - np.round(fractions)


def test_polarization_of_an_orbital_in_an_oblique_cell():
    mesh = gh.bloch_mesh(STATES, CELL)
    found = gh.berry_polarization(mesh, occupation=2.0)
    expected = -2.0 * PLACES[0] / abs(np.linalg.det(CELL))
    assert fold(found.P - expected, found.quanta) == pytest.approx(0, abs=5e-9)
    assert found.quanta == pytest.approx(2 * CELL / abs(np.linalg.det(CELL)))
    near = gh.berry_polarization(mesh, occupation=2.0, near=[3.0, -2.0, 1.0])
    assert fold(near.P - found.P, found.quanta) == pytest.approx(0, abs=1e-10)
    assert np.abs((near.P - [3.0, -2.0, 1.0]) @ np.linalg.inv(found.quanta)).max() <= 0.5 + 1e-12
    assert found.shape == MESH and (found.uncertainty < 1e-2).all() and (found.scatter < 1e-3).all()
    assert "quantum a" in str(found)


def test_spread_of_an_orbital_in_an_oblique_cell():
    """Each axis adds std²; neighbours and weights are found for the cell."""
    mesh = gh.bloch_mesh(STATES, CELL)
    found = gh.invariant_spread(mesh)
    steps = 2 * np.pi * np.linalg.inv(CELL).T / 4
    tensor = sum(2 * w * np.outer(np.array(n) @ steps, np.array(n) @ steps) for n, w in found.neighbours)
    assert tensor == pytest.approx(np.eye(3), abs=1e-12)
    assert found.bound and found.omega_i.value == pytest.approx(3 * STD**2, rel=0.1)  # 1 - e^{-b² std²}: steps of 0.5/Å
    assert "bound" in str(found)


def string_states(n_k, n_x, seed):
    rng = np.random.default_rng(seed)
    waves = np.arange(-n_x // 2 + 1, n_x // 2)
    sizes, phases = 8 * (2 * np.pi) ** 2 * np.array([0.5, 0.3]) / 4, rng.uniform(0, 6, 2)
    u = np.empty((n_k, n_x), dtype=complex)
    for j in range(n_k):
        h = np.diag(0.5 * (2 * np.pi * (waves + j / n_k)) ** 2).astype(complex)
        for m, (size, phase) in enumerate(zip(sizes, phases, strict=True), 1):
            part = -size * np.exp(1j * phase) * np.eye(len(waves), k=-m)
            h += part + part.conj().T
        u[j] = np.exp(2j * np.pi * np.outer(np.arange(n_x) / n_x, waves)) @ np.linalg.eigh(h)[1][:, 0]
    return u


def test_products_of_strings():
    """In an upright cell phases and widths are those of the three directions; random phases at every k."""
    rng = np.random.default_rng(4)
    lengths = np.array([1.0, 1.5, 2.0])
    lines = [string_states(n, 10, seed) for n, seed in ((6, 1), (4, 2), (2, 3))]
    u = np.einsum("ia,jb,lc->ijlabc", *lines)[:, :, :, None] / np.sqrt(np.prod(lengths))
    u = u * np.exp(2j * np.pi * rng.uniform(size=(6, 4, 2)))[..., None, None, None, None]
    mesh = gh.bloch_mesh(u, np.diag(lengths))
    assert set(mesh.weights) == {(1, 0, 0), (0, 1, 0), (0, 0, 1)}
    found = gh.berry_polarization(mesh)
    spread = 0.0
    for axis, line in enumerate(lines):
        string = gh.bloch_string(line[:, None] / np.sqrt(lengths[axis]), lengths[axis])
        one = gh.berry_phase(string)
        assert found.phases[axis] == pytest.approx(one.phase.value, abs=1e-10)
        share = found.P[axis] * np.prod(lengths) / lengths[axis]
        assert share - one.polarization.value == pytest.approx(round(share - one.polarization.value), abs=1e-10)
        spread += np.mean(1 - np.abs(string.links) ** 2) / string.step**2
    assert gh.invariant_spread(mesh).omega_i.value == pytest.approx(spread, abs=1e-12)
    assert found.uncertainty is None  # two k along c are none to extrapolate from


def test_axes_with_one_k_are_left_out():
    u = string_states(6, 12, 5)[:, None, None, None, :, None, None] * np.ones((2, 2)) / np.sqrt(6.0)
    found = gh.berry_polarization(gh.bloch_mesh(u, np.diag([1.0, 2.0, 3.0])))
    assert np.isnan(found.phases[1:]).all() and (found.P[1:] == 0).all() and found.P[0] != 0
    assert found.uncertainty[0] > 0


@settings(max_examples=5)
@given(seed=st.integers(0, 10**6))
def test_neither_phases_nor_mixtures_matter(seed):
    rng = np.random.default_rng(seed)
    u = np.stack([string_states(4, 12, 1)] * 2, axis=1)[:, None, None, :, :, None, None] * np.ones((2, 2))
    u[..., 1, :, :, :] *= np.array([1.0, -1.0])  # a second orbital, orthogonal to the first by its sign across c
    turns = np.linalg.qr(rng.normal(size=(4, 2, 2)) + 1j * rng.normal(size=(4, 2, 2)))[0]
    mixed = np.einsum("inm,iklmabc->iklnabc", turns, u)
    one, other = (gh.bloch_mesh(states, np.eye(3)) for states in (u, mixed))
    polarization = gh.berry_polarization(other).P
    assert polarization == pytest.approx(gh.berry_polarization(one).P, abs=1e-11)
    assert gh.invariant_spread(other).omega_i.value == pytest.approx(gh.invariant_spread(one).omega_i.value, abs=1e-11)


@pytest.mark.parametrize("split", [0, 2])
def test_on_every_device_and_on_ranks(device, split):
    expected = gh.bloch_mesh(STATES[:2, :2, :1], CELL)

    def work(comm):
        slab = Slab.of(12, comm.rank, comm.size, split)
        here = [slice(None)] * 7
        here[4 + split] = slab.planes
        return gh.bloch_mesh(STATES[:2, :2, :1][tuple(here)], CELL, device=device, slab=slab, comm=comm)

    for mesh in together(2, work):
        for offset, links in expected.links.items():
            assert mesh.links[offset] == pytest.approx(links, abs=1e-12)


def flipping():
    """Two strings along a whose phases differ by 2.5."""
    along = np.exp(-1j * np.array([0.0, 2.5]) / 4)[:, None, None, None] * np.ones((4, 2, 1, 1, 1))
    return gh.BlochMesh({(1, 0, 0): along, (0, 1, 0): np.ones_like(along)}, {}, {}, np.eye(3))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gh.bloch_mesh(STATES[:, 0], CELL), ["(4, 4, 1, 12, 12, 12)", "N_a"]),
        (lambda: gh.bloch_mesh(STATES[:1, :1, :1], CELL), ["two k or more"]),
        (lambda: gh.bloch_mesh(2 * STATES, CELL), ["not orthonormal", "4"]),
        (lambda: gh.bloch_mesh(np.ones((4, 1, 1, 1, 4, 4, 4)), np.eye(3)), ["smallest singular value", "(1, 0, 0)"]),
        (lambda: gh.berry_polarization(gh.bloch_mesh(STATES, CELL), near=[1.0, 2.0]), ["near of shape (2,)"]),
        (lambda: gh.berry_polarization(flipping()), ["phase step", "> pi/2", "along a"]),
    ],
)
def test_refusals(call, words):
    with pytest.raises(InputError) as refused:
        call()
    for word in words:
        assert word in str(refused.value)
