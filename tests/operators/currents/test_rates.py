"""Rates of a series: polynomials of which each order is exact, and errors that hold beside the ends too."""

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.operators.currents.rates import rates_of

STEP = 0.1
TIME = STEP * np.arange(7)


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5])
def test_the_error_of_a_polynomial_of_fourth_order_is_that_of_the_second(at):
    """f''' vanishes at some frame: its neighbour beside an end has an error of its own."""
    for zero in TIME:
        found = rates_of((TIME - zero) ** 4, STEP)
        error = abs(found.second[at] - 4 * (TIME[at] - zero) ** 3)
        assert error == pytest.approx(4 * STEP**2 * abs(TIME[at] - zero), abs=1e-13)
        assert found.uncertainty[at] == pytest.approx(error, abs=1e-12)


@pytest.mark.parametrize("zero", [2, 4])
def test_the_error_of_packets_beside_the_ends_too(zero):
    """Where f''' is 0 at the frame next to it: the error found there was 0, that of the frame 5 % of J."""
    x = 1.0 + (TIME - TIME[zero]) ** 4
    frames = gh.frames_on_line(np.stack([x, 0 * x], axis=1), [1.0, -1.0], 4.0)
    found = gh.packet_current(frames, time_step=STEP)
    error = np.abs(found.J_second - (TIME - TIME[zero]) ** 3)[1:-1]
    assert error.max() > 1e-3
    assert found.uncertainty[1:-1] == pytest.approx(error, abs=1e-12)


def test_errors_hold_of_seeded_series(rng):
    """Beside the ends 91 of 100 of these were within twice the error of the frame next to them."""
    amplitudes, rates, phases = rng.normal(size=(4, 400)), rng.uniform(0.3, 3, (4, 400)), rng.uniform(0, 6.3, (4, 400))
    angles = rates * TIME[:, None, None] + phases
    found = rates_of((amplitudes * np.sin(angles)).sum(axis=1), STEP)
    error = np.abs(found.value - (amplitudes * rates * np.cos(angles)).sum(axis=1))
    assert (error[[1, -2]] <= 2 * found.uncertainty[[1, -2]]).mean() > 0.95
