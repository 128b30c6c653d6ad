"""Independently computed currents, each through the public operator."""

import numpy as np
import pytest

import gpuhomog as gh

STEP = 0.01


def agrees(check, *found):
    expected = check["expected"] if isinstance(check["expected"], list) else [check["expected"]] * len(found)
    assert list(found) == pytest.approx(expected, abs=check["tolerance"])


def places(t):
    """A nucleus and two packets of a cell of 4 Å."""
    return np.stack([0 * t, 0.5 + 0.3 * np.sin(t), -0.4 + 0.2 * t**2], axis=1)


def test_current_of_packets_and_of_their_density(potential_checks):
    """By the packets of a cell; and by the charge at the surface of 24 cells of them, smeared."""
    t = 0.7 + STEP * np.arange(-2, 3)
    packets = gh.packet_current(gh.frames_on_line(places(t), [1.0, -0.6, -0.4], 4.0), time_step=STEP)
    x = np.arange(960) * 0.125 - 12.0

    def density(cell):
        centres = (4.0 * np.arange(24)[:, None] + cell).T
        packets = [np.exp(-0.5 * ((x[:, None] - c) / 0.35) ** 2).sum(axis=1) for c in centres]
        return np.array([1.0, -0.6, -0.4]) @ np.array(packets) / (0.35 * np.sqrt(2 * np.pi))

    frames = (gh.Profile(x, density(cell), "e/Å^3", "charge_density", 120.0) for cell in places(t))
    found = gh.density_current(frames, time_step=STEP, period=4.0, x_b=41.3)
    agrees(potential_checks["packet_current_Jx"], packets.J[2], found.J[2], found.J_dipole[2])


def test_conduction_and_polarization_add_up_wherever_they_are_told_apart(potential_checks):
    check = potential_checks["conduction_split_total"]
    x = np.sort(np.concatenate([4.0 * np.arange(40) + 0.5, 4.0 * np.arange(40) + 2.5]))
    charge = 0.1 * STEP * np.arange(5)[:, None] * np.tile([1.0, -1.0], 40) + np.tile([1.0, -1.0], 40)
    frames = list(gh.frames_on_line(np.broadcast_to(x, charge.shape), charge, 160.0))
    found = [gh.packet_current(frames, time_step=STEP, x_b=x_b, period=4.0) for x_b in (80.0, 81.0, 83.0)]
    agrees(check, *(f.sigma_L_rate[2] for f in found))
    parts = [f.conduction[2] + f.exchange[2] + f.convection[2] for f in found]
    assert parts == pytest.approx([-total for total in check["expected"]], abs=check["tolerance"])


def test_equation_10_lacks_the_length_of_the_torus(potential_checks):
    """A packet (|φ|² of standard deviation 0.6) at unit speed."""
    t = 0.01 * np.arange(-2, 3)
    found = []
    for length in (10.0, 20.0, 40.0):
        x = np.arange(256) * length / 256 - length / 2
        packet = np.exp(-0.25 * ((x - t[:, None]) / 0.6) ** 2)[:, None] / (2 * np.pi * 0.36) ** 0.25
        current = gh.eigenstate_current(packet, length, time_step=0.01)
        assert current.J[2] == pytest.approx(-1 / length, abs=1e-10)
        assert current.J_fourier[2] == pytest.approx(-1 / length, abs=1e-7)
        found.append(current.J_printed[2] * -length)
    agrees(potential_checks["eq10_normalisation"], *found)


def rice_mele(k):
    hop = 1.0 + 0.6 * np.exp(-1j * k)
    return np.array([[0.35, hop], [np.conj(hop), -0.35]])


def test_centre_of_rice_and_mele(potential_checks):
    """Extrapolated, and of 160 k."""

    def found(n_k):
        string = gh.model_string(rice_mele, 1, n_k=n_k, period=1.0, sites=[0.0, 0.5])
        return gh.berry_phase(string)

    agrees(potential_checks["rice_mele_centre"], found(640).centre.value, found(640).centres[0])
    agrees(potential_checks["rice_mele_centre_N160"], found(160).phase_links / (2 * np.pi))


def test_width_of_dimers(potential_checks):
    def ssh(inside, between):
        hop = lambda k: inside + between * np.exp(-1j * k)  # noqa: E731  a formula, not a function of the test
        return lambda k: np.array([[0, hop(k)], [np.conj(hop(k)), 0]])

    widths = [
        gh.wannier_width(gh.model_string(ssh(*hops), 1, n_k=640, period=1.0, sites=[0.0, 0.0])).width.value
        for hops in ((1.0, 0.5), (0.5, 1.0))
    ]
    agrees(potential_checks["ssh_spread"], *widths)


def test_one_electron_per_cycle(potential_checks):
    def cycle(k, t):
        hop = 1 + 0.5 * np.cos(t) + (1 - 0.5 * np.cos(t)) * np.exp(-1j * k)
        return np.array([[0.8 * np.sin(t), hop], [np.conj(hop), -0.8 * np.sin(t)]])

    zeta = np.linspace(0, 2 * np.pi, 41)
    found = gh.pumped_charge_of_model(cycle, zeta, 1, n_k=20, period=1.0, sites=[0.0, 0.5])
    agrees(potential_checks["eq14_pump"], found.charge.value, found.centre[-1] - found.centre[0], found.chern)


N_X = 32


def lowest_band(n_k, slide=0.0, period=1.0):
    """u of H = -d²/2 - 12 cos 2π(x - X) - 6 cos(4π(x - X) + 0.9) on 32 points of each of n_k, from plane waves."""
    waves = np.arange(-15, 16)
    x = np.arange(N_X) / N_X
    turn = np.exp(-2j * np.pi * slide)
    u = np.empty((n_k, 1, N_X), dtype=complex)
    for j in range(n_k):
        h = np.diag(0.5 * (2 * np.pi) ** 2 * (waves + j / n_k) ** 2).astype(complex)
        h -= 6 * turn * np.eye(31, k=-1) + 6 * np.conj(turn) * np.eye(31, k=1)
        second = 3 * np.exp(0.9j) * turn**2
        h -= second * np.eye(31, k=-2) + np.conj(second) * np.eye(31, k=2)
        u[j, 0] = np.exp(2j * np.pi * np.outer(x, waves)) @ np.linalg.eigh(h)[1][:, 0]
    return u


def test_centre_and_width_of_a_band_on_a_grid(potential_checks):
    string = gh.bloch_string(lowest_band(64), 1.0)
    agrees(potential_checks["grid_bloch_centre"], gh.berry_phase(string).centre.value)
    width = gh.wannier_width(string)
    agrees(potential_checks["C12_gauge"], width.c12_transport.value, width.c12_periodic.value)
    assert width.width.value == pytest.approx(width.c12_transport.value, abs=1e-7)


def test_the_density_of_a_torus_does_not_tell_what_passed(potential_checks):
    slides = np.linspace(0, 1, 13)
    found = gh.pumped_charge((lowest_band(16, slide) for slide in slides), 1.0, zeta=slides)
    displaced = found.density_centre[-1] - found.density_centre[0]
    agrees(potential_checks["bloch_torus_centre"], displaced, found.centre[-1] - found.centre[0])
    assert np.ptp(found.density_centre) > 0.1 and found.charge.value == pytest.approx(-1, abs=1e-8)
