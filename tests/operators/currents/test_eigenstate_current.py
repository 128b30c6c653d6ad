"""Current of the eigenstates of a finite body: a well that moves, mixtures, phases, and states that reach around."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuhomog as gh
from gpuhomog.errors import InputError

LENGTH, N = 24.0, 240
X = (np.arange(N) - N / 2) * (LENGTH / N)
STEP = 0.02


def well(centre):
    """Ground and first excited state of a harmonic well about a centre: (2, n)."""
    away = X - centre
    ground = np.exp(-(away**2) / 2) / np.pi**0.25
    return np.array([ground, np.sqrt(2) * away * ground])


def moving(n=7):
    t = STEP * np.arange(n)
    return np.array([well(np.sin(time)) for time in t]), np.cos(t)


def test_centres_and_transforms_agree_with_the_motion():
    states, speed = moving()
    found = gh.eigenstate_current(states, LENGTH, time_step=STEP, time_unit="ps", occupation=2.0)
    expected = -2.0 * 2 * speed / LENGTH
    assert found.J[2:-2] == pytest.approx(expected[2:-2], abs=1e-8)
    assert found.J_fourier[2:-2] == pytest.approx(expected[2:-2], abs=1e-6)
    assert found.J_printed * LENGTH == pytest.approx(found.J_fourier, nan_ok=True)
    assert found.centre == pytest.approx(2 * np.sin(STEP * np.arange(7)), abs=1e-12)
    assert found.unit == "e/ps" and "J at" in str(found)


@given(seed=st.integers(0, 10**6))
def test_neither_phases_nor_mixtures_matter(seed):
    """The same mixture in every frame: the sum of the centres is a trace (XII). Phases anew in each."""
    rng = np.random.default_rng(seed)
    mixture = np.linalg.qr(rng.normal(size=(2, 2)) + 1j * rng.normal(size=(2, 2)))[0]
    states, _ = moving()
    kept = states.copy()
    turned = np.einsum("ij,tjx->tix", mixture, states) * np.exp(2j * np.pi * rng.uniform(size=(7, 2, 1)))
    one = gh.eigenstate_current(states, LENGTH, time_step=STEP)
    other = gh.eigenstate_current(turned, LENGTH, time_step=STEP)
    assert other.J[1:-1] == pytest.approx(one.J[1:-1], abs=1e-12)
    assert other.J_fourier[2:-2] == pytest.approx(one.J_fourier[2:-2], abs=1e-8)
    assert (states == kept).all()


BLOCH = np.ones((3, 1, N)) / np.sqrt(LENGTH)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gh.eigenstate_current(BLOCH, LENGTH, time_step=1.0), ["ends of the box", "berry_phase"]),
        (lambda: gh.eigenstate_current(2 * moving()[0], LENGTH, time_step=1.0), ["∫|φ|² dx = 4"]),
        (lambda: gh.eigenstate_current(moving()[0][:, 0], LENGTH, time_step=1.0), ["(7, 240)"]),
        (lambda: gh.eigenstate_current(moving(2)[0], LENGTH, time_step=1.0), ["2 frames"]),
        (lambda: gh.eigenstate_current(moving()[0], LENGTH, time_step=0.0), ["time_step"]),
        (
            lambda: gh.eigenstate_current([well(0.0), well(0.0)[::-1], well(0.0)], LENGTH, time_step=1.0),
            ["frame 1", "not the one before"],
        ),
    ],
)
def test_refusals(call, words):
    with pytest.raises(InputError) as refused:
        call()
    for word in words:
        assert word in str(refused.value)
