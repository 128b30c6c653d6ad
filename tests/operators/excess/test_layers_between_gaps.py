"""Charges of layers that gaps divide: known by construction, uncertain by what the gaps hold, refused without a gap."""

import numpy as np
import pytest

import gpuhomog as gh

X = np.arange(900) * 0.1
CHARGES = {20.0: 0.02, 26.0: -0.03, 32.0: 0.04, 39.0: -0.03}


def stack(decay):
    """Layers of cores in electrons whose tails fall by e over `decay`; the charge of each is that of its core."""
    total = np.zeros(len(X))
    for place, charge in CHARGES.items():
        core = np.exp(-(((X - place) / 0.25) ** 2) / 2) / (0.25 * np.sqrt(2 * np.pi))
        tail = np.exp(-np.sqrt((X - place) ** 2 + 0.25) / decay)
        total += (1 + charge) * core - tail / (tail.sum() * 0.1)
    return gh.Profile(X, total, "e/Å^3", "charge_density", 90.0)


@pytest.mark.parametrize("decay", [0.2, 0.35])
@pytest.mark.parametrize(
    ("between", "layers"),
    [
        ((23, 29), [26]),
        ((29, 35.5), [32]),
        ((10, 23), [20]),
        ((23, 35.5), [26, 32]),
        ((16.5, 23), [20]),
        ((16.5, 42.5), CHARGES),
    ],
)
@pytest.mark.parametrize("eps", [0.3, 1.0])
def test_is_that_of_the_cores_within_what_it_says(decay, between, layers, eps):
    found = gh.interface_charge(stack(decay), between=between, period=None, eps=eps).charge
    error = abs(found.value - sum(CHARGES[place] for place in layers))
    assert error < 2 * found.uncertainty and found.uncertainty < (1e-4 if decay == 0.2 else 2e-3)
    elsewhere = gh.interface_charge(stack(0.2), between=np.array(between) + 0.4, period=None, eps=1.0).charge
    assert elsewhere.value == pytest.approx(found.value, abs=2e-3)  # wherever in the gap it is cut


def test_without_a_gap_it_is_that_of_the_cuts_and_refused():
    for between in ((21.5, 29), (29, 33.4)):
        found = gh.interface_charge(stack(0.35), between=between, period=None, eps=1.0).charge
        assert not found.defined and "no neutral bulk" in found.reason


def test_a_gap_that_holds_a_little_is_none_of_a_stack_that_holds_as_little():
    """The measure is the largest charge of the stack itself, not an absolute one."""
    profile = stack(0.35)
    weak = gh.Profile(X, profile.values * 1e-6, "e/Å^3", "charge_density", 90.0)
    found, tiny = (gh.interface_charge(one, between=(23, 29), period=None, eps=1.0).charge for one in (profile, weak))
    assert tiny.value == pytest.approx(found.value * 1e-6, rel=1e-3)
    assert not gh.interface_charge(weak, between=(21.5, 29), period=None, eps=1.0).charge.defined
