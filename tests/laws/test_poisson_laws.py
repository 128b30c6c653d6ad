"""Laws of potentials for any boundary: axes exchanged, boxes enlarged, charges added, energies mutual."""

from itertools import permutations

import numpy as np
from gaussian_charges import density
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuhomog as gh

LENGTHS, SHAPE = np.array([7.0, 8.0, 9.0]), (14, 17, 18)
boundaries = st.tuples(*[st.sampled_from(["periodic", "open"])] * 3)
places = st.tuples(*[st.floats(-0.4, 0.4)] * 3)


def dipole(shift, boundary, *, lengths=LENGTHS, shape=SHAPE, order=(0, 1, 2), far=0.9):
    """Two opposite Gaussian charges about the middle, on axes in any order."""
    middle = LENGTHS / 2 + np.array(shift)
    blobs = [(q, 0.62, (middle + q * far * np.array([0.3, -0.5, 0.6]))[list(order)]) for q in (1.0, -1.0)]
    lengths, shape = np.array(lengths)[list(order)], np.array(shape)[list(order)]
    images = tuple(1 if b == "periodic" else 0 for b in np.array(boundary)[list(order)])
    return density(tuple(shape), np.diag(lengths), blobs, list(np.array(boundary)[list(order)]), images)


@given(places, boundaries, st.sampled_from(list(permutations(range(3)))))
def test_axes_have_no_names(shift, boundary, order):
    expected = gh.electrostatic_potential(dipole(shift, boundary)).values.transpose(order)
    found = gh.electrostatic_potential(dipole(shift, boundary, order=order)).values
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * np.abs(expected).max())


@given(places, boundaries.filter(lambda b: "open" in b))
@settings(max_examples=15)
def test_a_larger_box_changes_nothing(shift, boundary):
    """More vacuum above an open axis, in whole spacings: the same values below. The charge's tails set the limit."""
    more = np.array([6 if b == "open" else 0 for b in boundary])
    larger = LENGTHS * (1 + more / np.array(SHAPE))
    expected = gh.electrostatic_potential(dipole(shift, boundary)).values
    found = gh.electrostatic_potential(dipole(shift, boundary, lengths=larger, shape=SHAPE + more)).values
    a, b, c = SHAPE
    np.testing.assert_allclose(found[:a, :b, :c], expected, rtol=0, atol=2e-5 * np.abs(expected).max())


@given(places, places, boundaries)
def test_potentials_add_up_and_energies_are_mutual(first, second, boundary):
    one, other = dipole(first, boundary), dipole(second, boundary, far=0.5)
    both = one.derive(one.values + 2.0 * other.values, "sum")
    expected = gh.electrostatic_potential(one).values + 2.0 * gh.electrostatic_potential(other).values
    np.testing.assert_allclose(
        gh.electrostatic_potential(both).values, expected, rtol=0, atol=1e-12 * np.abs(expected).max()
    )
    there, back = gh.interaction_energy(one, other), gh.interaction_energy(other, one)
    assert abs(float(there.energy) - float(back.energy)) <= 1e-12 * abs(float(there.total))
    assert float(there.self_first) > 0  # of any charge that is neutral as a whole
    assert float(gh.interaction_energy(both, both).self_first) > 0
