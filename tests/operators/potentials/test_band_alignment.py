"""Band offsets: signs, alignments, and the step from windows of one and of two periods."""

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.errors import InputError
from gpuhomog.operators.profiles.between_points import values_at


def superlattice(step=1.2, field=(0.0, 0.0), boundary="open"):
    """Period 2.4 Å below 30 Å, 3.0 Å above; the mean rises by a step, and by a field in each bulk."""
    x = np.arange(1200) * 0.05
    mean = np.where(x < 30, field[0] * (x - 30), step + field[1] * (x - 30))
    waves = np.where(x < 30, np.cos(2 * np.pi * x / 2.4), 0.7 * np.sin(2 * np.pi * x / 3.0))
    return gh.Profile(x, mean + waves, "V", "electrostatic_potential", 60.0, boundary=boundary)


def aligned(step, valence, conduction=None, **options):
    found = gh.potential_step(superlattice(step, **options), between=(15.0, 45.0), period=(2.4, 3.0))
    return gh.band_alignment(found, valence=valence, conduction=conduction)


def test_the_step_enters_with_the_sign_of_an_electron():
    """Raising the potential of a positive charge lowers the electrons' energies."""
    found = aligned(1.2, (5.0, 7.0))
    assert found.valence.value == pytest.approx(2.0 - 1.2, abs=1e-9)
    assert found.valence.unit == "eV"
    assert found.valence.uncertainty == found.step.uncertainty
    assert found.conduction is None
    assert found.alignment is None
    assert "valence" in str(found)


@pytest.mark.parametrize(
    ("step", "gaps", "expected"),
    [(0.5, (3.0, 1.0), "straddling"), (0.0, (1.0, 3.0), "staggered"), (-1.0, (1.0, 1.0), "broken"),
     (-0.5, (2.5, 2.0), "staggered"), (0.5, (1.0, 3.0), "staggered"), (2.5, (1.0, 1.0), "broken"),
     (1.5, (1.0, 3.0), "straddling")],
)  # fmt: skip
def test_alignments(step, gaps, expected):
    """The high bulk's valence band lies 1 eV - step above the low one's."""
    found = aligned(step, (5.0, 6.0), (5.0 + gaps[0], 6.0 + gaps[1]))
    assert found.alignment == expected
    edges = np.array([[0.0, gaps[0]], [float(found.valence), gaps[0] + float(found.conduction)]])
    assert edges[1, 1] - edges[1, 0] == pytest.approx(gaps[1], abs=1e-9)
    inside = (edges[0, 0] - edges[1, 0]) * (edges[0, 1] - edges[1, 1]) <= 0
    overlap = min(edges[:, 1]) - max(edges[:, 0])
    assert expected == ("broken" if overlap < 0 else "straddling" if inside else "staggered")


def test_one_window_for_each_bulk_or_two_for_both():
    """The mean over one period of each bulk is what two windows, one after another, give deep in both."""
    profile = superlattice(boundary="periodic")
    step = gh.potential_step(profile, between=(15.0, 45.0), period=(2.4, 3.0)).step.value
    both = gh.macroscopic_average(profile, (2.4, 3.0))
    low, high = values_at(both, [15.0, 45.0])
    assert step == pytest.approx(high - low, abs=1e-9)
    one = gh.macroscopic_average(profile, 2.4)
    assert values_at(one, [15.0])[0] == pytest.approx(low, abs=1e-4)
    assert abs(values_at(one, [45.7])[0] - high) > 0.1  # one window leaves the other bulk's ripple


def test_a_capacitor_is_told():
    """Fields in the bulks: the step depends on the positions, and so does the offset."""
    found = aligned(1.2, (5.0, 7.0), field=(0.02, -0.01))
    (remark,) = [r for r in found.remarks if "capacitor" in r]
    assert "dV/dx = 0.02 and -0.01 V/Å" in remark
    assert "lines carried on to the middle give 1.2 V" in remark
    assert found.step.value == pytest.approx(1.2 + 0.02 * 15 - 0.01 * 15, abs=1e-9)
    assert not [r for r in aligned(1.2, (5.0, 7.0)).remarks if "capacitor" in r]


def test_what_is_refused():
    step = gh.potential_step(superlattice(), between=(15.0, 45.0), period=(2.4, 3.0))
    with pytest.raises(InputError, match="two finite energies in eV"):
        gh.band_alignment(step, valence=(1.0,))
    with pytest.raises(InputError, match="The gaps would be -1 and 2 eV"):
        gh.band_alignment(step, valence=(1.0, 1.0), conduction=(0.0, 3.0))
    x = np.linspace(-20.0, 20.0, 801)
    slab = gh.Profile(x, 3.0 * np.tanh(2 * x), "V", "electrostatic_potential", 40.05, boundary="open")
    with pytest.raises(InputError, match="this step is that of a slab"):
        gh.band_alignment(gh.potential_step(slab), valence=(1.0, 1.0))


def test_a_step_that_does_not_exist():
    step = gh.potential_step(superlattice(), between=(0.5, 45.0), period=(2.4, 3.0))
    found = gh.band_alignment(step, valence=(1.0, 1.0), conduction=(2.0, 2.0))
    assert found.valence.value is None
    assert "leaves the box" in found.valence.reason
    assert found.alignment is None
