"""Berry phases, centres and pumped charge: finite chains and closed forms as oracles, what cannot matter, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ranks import together

import gpuhomog as gh
from gpuhomog.device import choose_device
from gpuhomog.errors import InputError
from gpuhomog.operators.currents.berry_phase import loop_phases
from gpuhomog.parallel import Slab

PERIOD = 2.5
SITES = np.array([0.1, 0.9, 1.8]) * PERIOD / 2.5
RING = ((0.4, -0.2, 0.3), (1.0, 0.7, 0.5))  # onsite energies; hops to the next orbital, the last into the next cell


def ring(k, onsite=RING[0], hops=RING[1]):
    h = np.diag(np.array(onsite, dtype=complex))
    for i, hop in enumerate(hops[:-1]):
        h[i, i + 1] = h[i + 1, i] = -hop
    h[2, 0] += -hops[-1] * np.exp(1j * k * PERIOD)
    h[0, 2] += -hops[-1] * np.exp(-1j * k * PERIOD)
    return h


def chain_centres(n_bands, n_cells=41, onsite=RING[0], hops=RING[1]):
    """Wannier centres within a cell of an open chain: eigenvalues of P x P near its middle."""
    h = np.diag(np.tile(onsite, n_cells)).astype(float)
    along = np.tile(hops, n_cells)[:-1]
    h -= np.diag(along, 1) + np.diag(along, -1)
    x = (np.arange(n_cells)[:, None] * PERIOD + SITES).ravel()
    occupied = np.linalg.eigh(h)[1][:, : n_bands * n_cells]
    centres = np.linalg.eigvalsh(occupied.T @ (x[:, None] * occupied))
    middle = n_cells // 2 * PERIOD
    return np.sort(centres[(centres >= middle) & (centres < middle + PERIOD)] - middle)


def grid_states(n_k, n_x=24, n_bands=2, seed=5, period=PERIOD):
    """u of the lowest bands of three cosines, from plane waves: (n_k, n_bands, n_x)."""
    rng = np.random.default_rng(seed)
    waves = np.arange(-n_x // 2 + 1, n_x // 2)
    depth, shift = 8 * (2 * np.pi / period) ** 2 * np.array([0.5, 0.3, 0.15]) / 4, rng.uniform(0, 6, 3)
    x = np.arange(n_x) / n_x
    u = np.empty((n_k, n_bands, n_x), dtype=complex)
    for j in range(n_k):
        h = np.diag(0.5 * (2 * np.pi / period * (waves + j / n_k)) ** 2).astype(complex)
        for m, (size, phase) in enumerate(zip(depth, shift, strict=True), 1):
            part = -size * np.exp(1j * phase) * np.eye(len(waves), k=-m)
            h += part + part.conj().T
        u[j] = (np.exp(2j * np.pi * np.outer(x, waves)) @ np.linalg.eigh(h)[1][:, :n_bands]).T / np.sqrt(period)
    return u


def unitary(rng, n):
    return np.linalg.qr(rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n)))[0]


STATES = grid_states(24)
STRING = gh.bloch_string(STATES, PERIOD)


@pytest.mark.parametrize("n_bands", [1, 2])
def test_centres_are_those_of_a_finite_chain(n_bands):
    expected = chain_centres(n_bands)
    string = gh.model_string(ring, n_bands, n_k=128, period=PERIOD, sites=SITES)
    found = gh.berry_phase(string)
    assert np.sort(found.centres % PERIOD) == pytest.approx(expected, abs=1e-6)
    assert (found.centre.value - expected.sum() + PERIOD / 2) % PERIOD == pytest.approx(PERIOD / 2, abs=1e-7)
    assert (found.centres_uncertainty < 1e-3).all() and found.centre.uncertainty < 1e-3
    error = abs((found.phase_links - expected.sum() * 2 * np.pi / PERIOD + np.pi) % (2 * np.pi) - np.pi)
    assert error < 1.1 * found.phase.uncertainty + 1e-6
    assert "centre of all bands" in str(found) and found.quantum == 1


def test_all_bands_have_their_centres_on_the_sites():
    found = gh.berry_phase(gh.model_string(ring, 3, n_k=6, period=PERIOD, sites=SITES))
    assert found.centre.value % PERIOD == pytest.approx(SITES.sum() % PERIOD, abs=1e-12)


def test_both_conventions_of_a_model_agree():
    def with_sites(k):
        turn = np.exp(-1j * k * SITES)
        return turn[:, None] * ring(k) * turn.conj()

    one, other = (gh.model_string(h, 1, n_k=9, period=PERIOD, sites=SITES) for h in (ring, with_sites))
    assert gh.berry_phase(one).phase_links == pytest.approx(gh.berry_phase(other).phase_links, abs=1e-12)


@given(seed=st.integers(0, 10**6), start=st.integers(0, 23))
def test_neither_phases_nor_mixtures_nor_the_first_k_matter(seed, start):
    rng = np.random.default_rng(seed)
    n = np.arange(24) / 24
    turned = np.exp(-2j * np.pi * n)  # e^{-iGx}: the states beyond the end of the zone
    u = np.concatenate([STATES[start:], STATES[:start] * turned])
    u = np.array([unitary(rng, 2) @ part for part in u])
    found, expected = gh.berry_phase(gh.bloch_string(u, PERIOD)), gh.berry_phase(STRING)
    assert found.phase.value == pytest.approx(expected.phase.value, abs=1e-11)
    assert found.centres == pytest.approx(expected.centres, abs=1e-10)


@given(shift=st.integers(-23, 23))
def test_centres_move_with_the_crystal(shift):
    moved = gh.berry_phase(gh.bloch_string(np.roll(STATES, shift, axis=2), PERIOD))
    expected = gh.berry_phase(STRING).centres + shift * PERIOD / 24
    assert np.sort(moved.centres % PERIOD) == pytest.approx(np.sort(expected % PERIOD), abs=1e-10)


def test_a_larger_cell_has_the_centres_of_all_its_cells():
    """Twice the period, half the k: centres one period apart."""
    folded = np.concatenate([STATES[:12], STATES[12:]], axis=1)
    x = np.arange(48) / 24 * PERIOD
    extra = np.exp(2j * np.pi / (2 * PERIOD) * x)  # the upper half of the zone, in the states of the lower
    doubled = np.concatenate([folded, folded], axis=2) / np.sqrt(2)
    doubled[:, 2:] *= extra
    found = gh.berry_phase(gh.bloch_string(doubled, 2 * PERIOD))
    once = gh.berry_phase(STRING).centres
    assert np.sort(found.centres % (2 * PERIOD)) == pytest.approx(
        np.sort(np.concatenate([once, once + PERIOD]) % (2 * PERIOD)), abs=1e-5
    )


def test_branch_and_quantum():
    one = gh.berry_phase(STRING, occupation=2.0)
    other = gh.berry_phase(STRING, occupation=2.0, near=-7.3)
    assert one.quantum == 2.0 and abs(one.polarization.value) <= 1.0
    assert abs(other.polarization.value + 7.3) <= 1.0
    quanta = (other.polarization.value - one.polarization.value) / 2
    assert quanta == pytest.approx(round(quanta), abs=1e-12) and quanta != 0
    assert one.polarization.value == pytest.approx(-2 * one.phase.value / (2 * np.pi))


def test_an_odd_number_of_k_has_no_error():
    found = gh.berry_phase(gh.bloch_string(grid_states(9), PERIOD))
    assert found.phase.uncertainty is None and found.phase.value == found.phase_links
    assert found.centres_uncertainty is None


@pytest.mark.parametrize("kind", [np.complex64, np.complex128])
def test_on_every_device(device, kind):
    found = gh.berry_phase(gh.bloch_string(STATES.astype(kind), PERIOD, device=device))
    assert found.phase.value == pytest.approx(
        gh.berry_phase(STRING).phase.value, abs=1e-11 if kind == np.complex128 else 1e-5
    )


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("split", [0, 1])
def test_along_an_axis_in_three_dimensions_and_on_ranks(triclinic, axis, split):
    """The states do not depend on the other two axes: one phase, whatever the cell; density_centre as well."""
    shape = [3, 4, 2]
    shape[axis] = 24
    place = [None, None, None, None]
    place[0], place[axis + 1] = slice(None), slice(None)
    volume = abs(np.linalg.det(triclinic))
    u = [np.broadcast_to(part[tuple(place)], (2, *shape)) * np.sqrt(PERIOD / volume) for part in STATES.astype(complex)]

    def work(comm):
        slab = Slab.of(shape[split], comm.rank, comm.size, split)
        here = [slice(None)] * 4
        here[split + 1] = slab.planes
        return gh.bloch_string([part[tuple(here)] for part in u], triclinic, axis, slab=slab, comm=comm)

    expected = gh.berry_phase(STRING)
    length = np.linalg.norm(triclinic[axis])
    for string in together(2, work):
        found = gh.berry_phase(string)
        assert found.phase.value == pytest.approx(expected.phase.value, abs=1e-10)
        assert found.period == pytest.approx(length)
        assert string.density_centre / length == pytest.approx(STRING.density_centre / PERIOD, abs=1e-12)


class Unreadable(list):
    """States of which those of one k cannot be read."""

    def __getitem__(self, j):
        if j == 3:
            raise OSError("the disk is gone")
        return super().__getitem__(j)


def fewer_bands(u):
    u[3] = u[3][:1]
    return u


ODD = {
    "unreadable": (Unreadable, OSError, "rank 1 of 3: the disk is gone"),
    "fewer bands": (fewer_bands, InputError, "rank 1 of 3: The states of k number 3 have the shape"),
    "fewer k": (lambda u: u[:-1], InputError, "number of k is 24 on rank 0 and 23 on rank 1"),
    "no k": (lambda u: [], InputError, "rank 1 of 3: No k"),
    "one band": (lambda u: [part[:1] for part in u], InputError, "number of bands is 2 on rank 0 and 1 on rank 1"),
    "no grid": (lambda u: [part[..., 0] for part in u], InputError, "rank 1 of 3: States on a grid"),
}
"""What one of three ranks does to its states, and what all are told."""


def refusals(operator, triclinic, odd):
    """What each of three ranks is told, of which the second has other states."""
    volume = abs(np.linalg.det(triclinic))
    u = [part[:, None, None, :] * np.sqrt(PERIOD / volume) * np.ones((1, 3, 2, 1)) for part in STATES.astype(complex)]

    def work(comm):
        slab = Slab.of(3, comm.rank, 3, 0)
        mine = [part[:, slab.planes] for part in u]
        try:
            operator(odd(mine) if comm.rank == 1 else mine, triclinic, "c", slab=slab, comm=comm)
        except (InputError, OSError) as error:
            return type(error), str(error)

    return together(3, work)


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("several", [False, True])
def test_a_rank_that_has_other_states_is_everybodys(triclinic, name, several):
    """No rank waits for one that refused alone, whether it is asked for a string or for several."""
    odd, kind, words = ODD[name]
    operator = (lambda u, *a, **b: gh.pumped_charge([u, u], *a, **b)) if several else gh.bloch_string
    told = refusals(operator, triclinic, odd)
    assert len(set(told)) == 1
    assert told[0][0] is kind and words in told[0][1]


def test_ranks_with_other_numbers_of_parameters(triclinic):
    def operator(u, *arguments, **more):
        return gh.pumped_charge([u] * (2 if more["comm"].rank == 1 else 3), *arguments, **more)

    told = refusals(operator, triclinic, lambda u: u)
    sentence = "Rank 1 has 2 parameters, and rank 0 more: give all ranks as many, each its part."
    assert told == [(InputError, sentence)] * 3


def cycle(k, t, size=0.8, centre=0.0):
    """Rice and Mele; encloses the closing of the gap if centre is within the circle."""
    change = centre + 0.5 * np.cos(t)
    hop = 1 + change + (1 - change) * np.exp(-1j * k)
    return np.array([[size * np.sin(t), hop], [np.conj(hop), -size * np.sin(t)]])


PUMP = {"n_k": 16, "period": 1.0, "sites": [0.0, 0.5]}


@pytest.mark.parametrize(("centre", "turns", "expected"), [(0.0, 1, 1), (0.8, 1, 0), (0.0, -1, -1), (0.0, 2, 2)])
def test_charge_of_a_cycle_is_its_winding(centre, turns, expected):
    zeta = np.linspace(0, 2 * np.pi * turns, 36 * abs(turns) + 1)
    found = gh.pumped_charge_of_model(lambda k, t: cycle(k, t, centre=centre), zeta, 1, occupation=2.0, **PUMP)
    assert found.charge.value == pytest.approx(-2 * expected, abs=1e-10)
    assert found.chern == pytest.approx(expected, abs=1e-12) and found.quantum == 2.0


def test_plaquettes_count_on_a_coarse_mesh():
    found = gh.pumped_charge_of_model(cycle, np.linspace(0, 2 * np.pi, 10), 1, **{**PUMP, "n_k": 8})
    assert found.chern == pytest.approx(1, abs=1e-12)


def test_current_at_a_point_of_the_cycle():
    """An independently computed value of (14): the electron moves along +x, so the current is negative."""
    found = gh.pumped_charge_of_model(cycle, 0.3 + 1e-3 * np.arange(-2, 3), 1, time_step=1e-3, **{**PUMP, "n_k": 200})
    assert found.J[2] == pytest.approx(-0.1536925382, abs=1e-9)
    assert "J" in found.columns  # of its .csv
    assert "J" not in gh.pumped_charge_of_model(cycle, [0.0, 0.1], 1, **PUMP).columns


def test_current_of_a_cycle_is_that_of_first_order_response():
    """J = (dζ/dt) (e/π) Im ∫ <∂_ζ u|∂_k u> dk (14), by differences of the projector; and the flux."""
    zeta = 0.9 + 0.01 * np.arange(-2, 3)
    found = gh.pumped_charge_of_model(cycle, zeta, 1, time_step=0.01, time_unit="ps", **{**PUMP, "n_k": 200})

    def projector(k, t):
        turn = np.exp(-1j * k * np.array([0.0, 0.5]))
        u = np.linalg.eigh(turn[:, None] * cycle(k, t) * turn.conj())[1][:, 0]
        return np.outer(u, u.conj())

    h, curvature = 1e-4, []
    for k in 2 * np.pi * np.arange(200) / 200:
        by_k = (projector(k + h, 0.9) - projector(k - h, 0.9)) / (2 * h)
        by_t = (projector(k, 0.9 + h) - projector(k, 0.9 - h)) / (2 * h)
        curvature.append(np.trace(projector(k, 0.9) @ (by_t @ by_k - by_k @ by_t)).imag)
    expected = np.mean(curvature)  # Tr P [∂_ζ P, ∂_k P] = 2i Im <∂_ζ u|∂_k u>
    assert found.J[2] == pytest.approx(expected, abs=2e-7)
    assert found.J[2] == pytest.approx(-found.flux[1:3].sum() / 0.02, abs=2e-4)
    assert found.J[2] < 0 and np.isnan(found.J[[0, -1]]).all()


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_a_sliding_crystal_carries_its_electrons(seed):
    """By a period: one electron a band, whatever the phases; halfway: half of that."""
    rng = np.random.default_rng(seed)

    def slid(n):
        return np.array([unitary(rng, 2) @ part for part in np.roll(STATES[::2], n, axis=2)])

    found = gh.pumped_charge((slid(n) for n in range(0, 25, 2)), PERIOD)
    assert found.charge.value == pytest.approx(-2, abs=1e-10) and found.chern == pytest.approx(2, abs=1e-10)
    assert found.centre[6] - found.centre[0] == pytest.approx(PERIOD, abs=1e-9)
    assert found.density_centre[-1] == pytest.approx(found.density_centre[0], abs=1e-9)
    assert "charge pumped" in str(found) and found.to_dict()["J"] is None


def test_a_pump_in_space_counts_its_electrons_and_its_time():
    """Along b, two electrons a state: two bands that slide a twelfth of a period in 0.5 ps carry 4 e/12."""
    slides = (np.roll(STATES[::2], n, axis=2)[:, :, None, :, None] for n in range(0, 25, 2))
    cell = np.diag([1.0, PERIOD, 1.0])
    found = gh.pumped_charge(slides, cell, "b", occupation=2.0, time_step=0.5, time_unit="ps", device="cpu")
    assert found.charge.value == pytest.approx(-4, abs=1e-10)
    assert found.J[1:-1] == pytest.approx(np.full(11, -4 / 12 / 0.5), abs=1e-9)


def test_the_loop_of_bands_that_mix_is_not_the_product_of_diagonals():
    """Eigenvalues of a Wilson loop of known unitary steps."""
    rng = np.random.default_rng(2)
    phases = np.array([-0.7, 0.4, 1.9])
    steps = [unitary(rng, 3) for _ in range(6)]
    links = np.array([a.conj().T @ b for a, b in zip(steps, [*steps[1:], steps[0]], strict=True)])
    links[-1] = links[-1] @ (steps[0].conj().T @ np.diag(np.exp(-1j * phases)) @ steps[0])
    assert loop_phases(0.8 * links) == pytest.approx(phases, abs=1e-12)


def broken(k):
    return ring(k * 1.1)


def skew(k):
    return ring(k) + np.triu(np.ones((3, 3)), 1)


def touching(k):
    return np.diag([np.cos(k * PERIOD), -np.cos(k * PERIOD), 3.0])


def jumping():
    yield STATES[::2]
    yield np.roll(STATES[::2], 8, axis=2)


FREE = np.ones((8, 1, 24)) / np.sqrt(PERIOD)  # a metal: its band goes on beyond the zone
MODEL = {"n_k": 8, "period": PERIOD, "sites": SITES}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gh.bloch_string(STATES * 0.5, PERIOD), ["k number 0", "not orthonormal", "0.25"]),
        (lambda: gh.bloch_string(STATES[:, [0, 0]], PERIOD), ["not orthonormal", "off by 1"]),
        (lambda: gh.bloch_string(FREE, PERIOD), ["smallest singular value of M", "mesh too coarse"]),
        (lambda: gh.bloch_string(STATES[:1], PERIOD), ["1 k"]),
        (lambda: gh.bloch_string([], PERIOD), ["No k"]),
        (lambda: gh.bloch_string(STATES, -1.0), ["period of -1"]),
        (lambda: gh.bloch_string(STATES, np.eye(3)), ["(24,)", "three rows"]),
        (lambda: gh.bloch_string([STATES[0], STATES[1, :1]], PERIOD), ["k number 1", "(1, 24)"]),
        (lambda: gh.model_string(broken, 1, **MODEL), ["neither H(k)", "period"]),
        (lambda: gh.model_string(skew, 1, **MODEL), ["Hermitian"]),
        # its centre is 0.008 Å with the sites in the phases, else 0.615 Å: the first was taken
        (
            lambda: gh.model_string(lambda k: cycle(k, 0.4), 1, n_k=8, period=1.0, sites=[0, 1]),
            ["whole periods of 1 Å"],
        ),
        (lambda: gh.model_string(touching, 1, **MODEL), ["gap = ", "not isolated"]),
        (lambda: gh.model_string(ring, 4, **MODEL), ["n_occupied = 4"]),
        (lambda: gh.model_string(ring, 1, n_k=8, period=0.0, sites=SITES), ["period = 0"]),
        (lambda: gh.berry_phase(STRING, occupation=0.0), ["occupation = 0"]),
        (lambda: gh.pumped_charge([STATES], PERIOD), ["1 parameter:"]),
        (lambda: gh.pumped_charge([STATES, STATES], PERIOD, zeta=[1.0]), ["zeta of shape (1,)"]),
        (lambda: gh.pumped_charge([STATES, STATES[::2]], PERIOD), ["Parameter number 1", "12 k"]),
        (
            lambda: gh.pumped_charge_of_model(cycle, np.linspace(0, 2 * np.pi, 4), 1, **PUMP),
            ["phase step", "> pi/2", "refine"],
        ),
        (lambda: gh.pumped_charge(jumping(), PERIOD), ["smallest singular value", "between zeta points 0 and 1"]),
    ],
)
def test_refusals(call, words):
    with pytest.raises(InputError) as refused:
        call()
    for word in words:
        assert word in str(refused.value)


def test_device_is_named_as_everywhere():
    assert gh.bloch_string(STATES, PERIOD, device=choose_device("cpu")).n_bands == 2
