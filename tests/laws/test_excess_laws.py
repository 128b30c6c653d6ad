"""Laws of surface charges and potential steps, whatever the slab: hypothesis chooses it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuhomog as gh
from gpuhomog.units import COULOMB_CONSTANT

pytestmark = pytest.mark.smoke

LENGTH, PERIOD, LAYERS, FIRST = 48.0, 2.6, 11, 9.0
SPAN = PERIOD * (LAYERS - 1)


@st.composite
def slabs(draw):
    """Packets of a neutral layer: charge, place in the layer, width; and ad-layers that charge and polarize a face."""
    n = draw(st.integers(2, 4))
    part = st.floats(-1.0, 1.0, allow_nan=False)
    charges = np.array([draw(part) for _ in range(n)]) + 0.01
    charges -= charges.mean()
    if abs(charges).max() < 0.05:
        charges[0] += 0.3
        charges[1] -= 0.3
    places = np.array([0.45 * i + draw(st.floats(0.0, 0.2)) for i in range(n)])
    widths = np.array([draw(st.floats(0.3, 0.5)) for _ in range(n)])
    face = draw(st.floats(-0.3, 0.3))
    return charges, places, widths, face


def profile_of(slab, n=480, shift=0.0, mirror=False, boundary="periodic", packet=None):
    """Exact samples of the slab moved by `shift`, or mirrored about the middle of the cell."""
    x = np.arange(n) * (LENGTH / n)
    values = np.zeros(n)
    packets = [(q, FIRST + PERIOD * i + p, w) for i in range(LAYERS) for q, p, w in zip(*slab[:3], strict=True)]
    packets += [(slab[3], FIRST - 0.5, 0.4)]
    for q, centre, width in packets:
        centre = LENGTH - centre if mirror else centre
        width = width if packet is None else packet
        distance = (x - centre - shift + LENGTH / 2) % LENGTH - LENGTH / 2
        values += q * np.exp(-((distance / width) ** 2) / 2) / (width * np.sqrt(2 * np.pi))
    return gh.Profile(x, values, "e/Å^3", "charge_density", LENGTH, boundary=boundary)


def by_hand(slab):
    """σ_low: what is added at the face, less the dipole of a neutral layer over the period."""
    charges, places, _, face = slab
    return face - float((charges * places).sum()) / PERIOD


def measure(profile, shift=0.0, **options):
    """Cut between the same layers, wherever the slab went."""
    x_b = FIRST + SPAN / 2 + shift
    return gh.surface_charge(profile, period=PERIOD, x_b=x_b, bulk=(x_b - 1.0, x_b + 1.0), **options)


@settings(max_examples=12, deadline=None)
@given(slabs())
def test_the_value_by_hand(slab):
    result = measure(profile_of(slab))
    assert result.low.value == pytest.approx(by_hand(slab), abs=1e-9)
    assert result.low_kernel.value == pytest.approx(by_hand(slab), abs=4 * result.low_kernel.uncertainty + 1e-8)
    assert result.low.value + result.high.value == pytest.approx(result.total.value, abs=1e-14)
    assert result.total.value == pytest.approx(slab[3], abs=1e-9)
    elsewhere = measure(profile_of(slab), 0.9)  # cut at another place between the layers
    assert elsewhere.low.value == pytest.approx(result.low.value, abs=1e-8)
    assert elsewhere.low_dipole.value == pytest.approx(result.low_dipole.value, abs=1e-9)


@settings(max_examples=12, deadline=None)
@given(slabs(), st.floats(0.0, LENGTH))
def test_translation_by_any_amount(slab, shift):
    """Through the boundary of the cell and by fractions of a sample: nothing changes."""
    still, moved = measure(profile_of(slab)), measure(profile_of(slab, shift=shift), shift)
    assert moved.low.value == pytest.approx(still.low.value, abs=1e-9)
    assert moved.high.value == pytest.approx(still.high.value, abs=1e-9)
    assert moved.thickness == pytest.approx(still.thickness, abs=0.1)  # faces are found between samples
    apart = (moved.origin_low - still.origin_low - shift + LENGTH / 2) % LENGTH - LENGTH / 2
    expected = still.low_dipole.value - apart * still.low.value
    assert moved.low_dipole.value == pytest.approx(expected, abs=1e-9)


@settings(max_examples=12, deadline=None)
@given(slabs())
def test_mirror_swaps_the_sides(slab):
    result = measure(profile_of(slab))
    x_b = LENGTH - (FIRST + SPAN / 2)
    image = gh.surface_charge(profile_of(slab, mirror=True), period=PERIOD, x_b=x_b, bulk=(x_b - 1, x_b + 1))
    assert image.high.value == pytest.approx(result.low.value, abs=1e-8)
    assert image.low.value == pytest.approx(result.high.value, abs=1e-8)
    assert image.high_dipole.value == pytest.approx(-result.low_dipole.value, abs=1e-9)


@settings(max_examples=12, deadline=None)
@given(slabs(), slabs(), st.floats(-2.0, 2.0).filter(lambda c: abs(c) > 0.1))
def test_linear_in_the_charge(one, other, factor):
    first, second = profile_of(one), profile_of(other)
    both = gh.Profile(first.position, factor * first.values + second.values, "e/Å^3", "charge_density", LENGTH)
    options = {"eps": 3.0, "origin": 5.0}
    a, b = measure(first, **options), measure(second, **options)
    if abs(both.values).max() < 1e-3:
        return
    result = measure(both, **options)
    for name in ("low", "low_kernel", "low_dipole", "high_dipole"):
        parts = factor * getattr(a, name).value + getattr(b, name).value
        assert getattr(result, name).value == pytest.approx(parts, abs=1e-11)


@settings(max_examples=12, deadline=None)
@given(slabs(), st.integers(400, 900))
def test_any_grid_gives_the_same(slab, n):
    coarse, fine = measure(profile_of(slab)), measure(profile_of(slab, n=n))
    assert fine.low.value == pytest.approx(coarse.low.value, abs=1e-9)
    cells = measure(profile_of(slab, n=n), sampling="cell")
    assert cells.low.value == pytest.approx(coarse.low.value, abs=2e-4)  # samples are no cell averages: O(h^2)


@settings(max_examples=12, deadline=None)
@given(slabs(), st.floats(0.25, 0.6))
def test_only_the_centres_of_packets_matter(slab, width):
    """Any packet may be made wider or narrower: ∫ of the change of C vanishes."""
    assert measure(profile_of(slab, packet=width)).low.value == pytest.approx(by_hand(slab), abs=1e-9)


@settings(max_examples=10, deadline=None)
@given(slabs(), st.integers(1, 3), st.integers(1, 3), st.floats(-0.4, 0.4))
def test_two_cells_of_the_same_slab(slab, n_a, n_b, tilt):
    """n_a x n_b cells, and a cell oblique to its surface, have the same charge per area."""
    profile = profile_of(slab, n=240)
    plane = np.cos(2 * np.pi * np.arange(4) / 4)[:, None] * np.ones((4, 3))
    values = profile.values * (1 + 0.5 * plane[:, :, None])
    small = gh.Field.from_array(values, np.diag([3.0, 4.0, LENGTH]), quantity="charge_density")
    cell = np.array([[3.0 * n_a, 0, 0], [tilt * n_b, 4.0 * n_b, 0], [tilt * 5, -tilt * 3, LENGTH]])
    large = gh.Field.from_array(np.tile(values, (n_a, n_b, 1)), cell, quantity="charge_density")
    x_b = FIRST + SPAN / 2
    options = {"period": PERIOD, "x_b": x_b, "bulk": (x_b - 1, x_b + 1)}
    one, many = gh.surface_charge(small, "c", **options), gh.surface_charge(large, "c", **options)
    assert many.low.value == pytest.approx(one.low.value, abs=1e-12)
    assert many.area == pytest.approx(12.0 * n_a * n_b)


@settings(max_examples=20, deadline=None)
@given(slabs(), st.floats(0.0, LENGTH))
def test_step_is_the_dipole_and_turns_with_the_slab(slab, shift):
    """4πκ × dipole per area, of charges known by hand; the same through the boundary; reversed in a mirror."""
    charges, places, widths, _ = slab
    neutral = (charges, places, widths, 0.0)
    expected = 4 * np.pi * COULOMB_CONSTANT * LAYERS * float((charges * places).sum())
    moved = gh.potential_step(profile_of(neutral, shift=shift), period=PERIOD)
    image = gh.potential_step(profile_of(neutral, mirror=True), period=PERIOD)
    assert moved.step.value == pytest.approx(expected, abs=1e-9)
    assert image.step.value == pytest.approx(-expected, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.floats(-50.0, 50.0), st.floats(0.2, 30.0), st.floats(0.0, 1.0), st.booleans())
def test_potential_plus_a_constant(constant, scale, shift, mirror):
    """Levels move with the constant, steps do not; both scale; a mirror exchanges the sides."""
    n = 600
    x = np.arange(n) * 0.1
    inside = np.exp(-(((x - 30) / 15) ** 20))
    values = inside * (3 + np.cos(2 * np.pi * x / 2.5 + 2 * np.pi * shift))
    values += 0.4 / (1 + np.exp(-(x - 40) * 4))
    values = values[::-1] if mirror else values
    plain = gh.Profile(x, values, "V", "electrostatic_potential", 60.0, boundary="open")
    moved = gh.Profile(x, constant + scale * values, "V", "electrostatic_potential", 60.0, boundary="open")
    one, other = (gh.potential_step(p, period=2.5) for p in (plain, moved))
    assert one.step.value == pytest.approx(-0.4 if mirror else 0.4, abs=1e-9)
    assert other.step.value == pytest.approx(scale * one.step.value, abs=1e-9 * scale + 1e-10)
    assert other.low.value == pytest.approx(constant + scale * one.low.value, abs=1e-8 * scale + 1e-10)
    assert other.bulk_minus_low.value == pytest.approx(scale * one.bulk_minus_low.value, abs=1e-8 * scale + 1e-10)


@settings(max_examples=8, deadline=None)
@given(st.floats(0.25, 0.6), st.floats(0.0, 0.2))
def test_width_of_the_ions_moves_no_charge(width, offset):
    """Electrons shifted against the ions by `offset` in every layer: σ = -offset/(area a), whatever the ions' width."""
    n, layers, a = 320, 8, 3.0
    cell = np.diag([2.0, 2.0, 40.0])
    heights = 8.0 + a * np.arange(layers)
    structure = gh.Structure(np.full(layers, 3), np.array([[0.7, 1.3, z] for z in heights]))
    x = np.arange(n) * (40.0 / n)
    electrons = sum(np.exp(-(((x - z - offset) / 0.45) ** 2) / 2) for z in heights) / (0.45 * np.sqrt(2 * np.pi) * 4)
    field = gh.Field.from_array(
        np.broadcast_to(electrons, (12, 12, n)), cell, quantity="electron_density", structure=structure
    )
    density = gh.charge_density(field, {"Li": 1}, width=width)
    if abs(gh.planar_average(density, "c").values).max() < 1e-6:
        return
    result = gh.surface_charge(density, "c", period=a, x_b=18.5, bulk=(17.0, 20.0), eps=3.0)
    assert result.low.value == pytest.approx(offset / (4 * a), abs=1e-8)
