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
