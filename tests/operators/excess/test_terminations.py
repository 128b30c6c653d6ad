"""Crystals cut along lattice planes: against real-space sums of a finite slab, by hand, and what is refused."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ranks import on_ranks

import gpuhomog as gh

FCC = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


def packets(cell, fractional, charges, std, shape, boundary="periodic", **options):
    """Gaussian packets of charge in a periodic cell."""
    atoms = gh.Structure(np.arange(3, 3 + len(charges)), np.array(fractional) @ np.array(cell))
    nothing = gh.Field.from_array(
        np.zeros(shape), cell, quantity="electron_density", structure=atoms, boundary=boundary, **options
    )
    given_charges = dict(zip(atoms.symbols, charges, strict=True))
    return gh.charge_density(nothing, given_charges, width=std, net_charge=None)


def sheets(charges, positions, std, length=3.0, n=384):
    """One period of Gaussian sheets of charge per area."""
    x = np.arange(n) * (length / n)
    values = np.zeros(n)
    for q, p in zip(charges, positions, strict=True):
        for image in range(-3, 4):
            values += q * np.exp(-(((x - p - image * length) / std) ** 2) / 2) / (std * np.sqrt(2 * np.pi))
    return gh.Profile(x, values, "e/Å^3", "charge_density", length, area=2.5)


def slab_in_real_space(cell, fractional, charges, std, hkl, x_t, layers=60):
    """σ and S1 of the lower face: projected Gaussians of a finite slab from x_t up, summed with a smooth far end."""
    reciprocal = 2 * np.pi * np.linalg.inv(cell).T
    g = np.array(hkl) @ reciprocal
    d = 2 * np.pi / np.linalg.norm(g)
    area = abs(np.linalg.det(cell)) / d
    heights = (np.array(fractional) @ np.array(hkl)) * d
    x = np.linspace(x_t, x_t + layers * d, 240_001)
    step = x[1] - x[0]
    density = np.zeros_like(x)
    one = np.linspace(0.0, d, 4001)
    profile = np.zeros_like(one)
    for q, height in zip(charges, heights, strict=True):
        for image in range(-12, 13):
            place = height % d + image * d
            profile += q * np.exp(-(((one - place) / std) ** 2) / 2) / (std * np.sqrt(2 * np.pi)) / area
    density = np.interp(x % d, one, profile)
    weights = np.full(len(x), step)
    weights[[0, -1]] = step / 2
    from scipy.special import erfc

    eps = layers * d / 6
    tail = 0.5 * erfc(np.sqrt(2) * (x - x_t - layers * d / 2) / eps)
    return float((density * tail * weights).sum()), float((density * tail * weights * (x - x_t)).sum())


@pytest.mark.filterwarnings("ignore:.*slices packets")
@pytest.mark.parametrize("hkl", [(1, 0, 0), (1, 1, 0), (1, -1, 2), (0, 2, 1)])
def test_against_a_finite_slab_in_a_triclinic_cell(triclinic, hkl):
    """The series in the reciprocal coefficients is the face of a slab that was summed in real space."""
    fractional = [[0.1, 0.2, 0.3], [0.62, 0.41, 0.77], [0.35, 0.85, 0.05]]
    charges = [2.0, -1.5, -0.5]
    field = packets(triclinic, fractional, charges, 0.45, (48, 48, 60))
    for x_t in (0.37, 1.0, -2.2):
        found = gh.plane_excess(field, hkl, x_t)
        sigma, moment = slab_in_real_space(triclinic, fractional, charges, 0.45, hkl, x_t)
        assert found.charge.value == pytest.approx(sigma, abs=1e-6)
        assert found.dipole.value == pytest.approx(moment, abs=1e-6)
        assert found.dipole.value == pytest.approx(-found.m2.value / 2, abs=1e-15)


@pytest.mark.filterwarnings("ignore:.*slices packets")
def test_rounding_to_float32_is_in_the_uncertainty():
    """Layers that are alike are rounded alike, and nothing of it cancels: at most half a digit of each value."""
    x = np.arange(64) / 64
    wave = np.cos(2 * np.pi * 3 * x + 0.2)
    for values, mean in ((wave, 0.0), (1e3 + wave, 1e3)):  # a potential has a level beside its waves
        whole, rounded = (
            gh.plane_excess(
                gh.Field.from_array(values.astype(kept) * np.ones((4, 4, 1), kept), np.diag([2.0, 3.0, 8.0])),
                "c",
                2.5,
                reference=mean,
            )
            for kept in (np.float64, np.float32)
        )
        for name in ("charge", "m2", "dipole"):
            exact, found = getattr(whole, name), getattr(rounded, name)
            assert abs(found.value - exact.value) <= 2 * found.uncertainty
            assert 1e-9 < found.uncertainty < 1e-4 * (1 + mean) and exact.uncertainty < 1e-11 * (1 + mean)


def test_the_face_of_a_slab_that_was_cut_there():
    """surface_charge of the same crystal with vacuum, cut in a gap, finds σ and S1 of the cut."""
    one = sheets([0.1, -0.1], [1.0, 1.6], 0.05)
    slab = gh.Profile(
        np.arange(384 * 16) * (3.0 / 384), np.r_[np.zeros(768), np.tile(one.values, 12), np.zeros(768)],
        "e/Å^3", "charge_density", 48.0,
    )  # fmt: skip
    surface = gh.surface_charge(slab, period=3.0, origin=6.0)
    for position, q in ((0.0, 0.02), (0.2, 0.02), (2.5, 0.02), (3.2, 0.02), (1.3, -0.08), (4.3, -0.08)):
        found = gh.plane_excess(one, position=position)
        assert found.charge.value == pytest.approx(q, abs=1e-9)
    assert surface.low.value == pytest.approx(0.02, abs=1e-9)
    assert gh.plane_excess(one, position=0.0).dipole.value == pytest.approx(surface.low_dipole.value, abs=1e-8)


layers = st.lists(st.tuples(st.floats(-1, 1), st.floats(0.0, 2.9)), min_size=2, max_size=4)


@pytest.mark.filterwarnings("ignore:.*slices packets")
@settings(max_examples=20)
@given(layers, st.floats(0, 3), st.floats(-1.5, 1.5))
def test_laws(given_layers, position, shift):
    """Periodic; the two faces of a cut add up to nothing; moved with the crystal; dσ/dx_t = -ρ̄."""
    charges = np.array([q for q, _ in given_layers])
    charges -= charges.mean()
    if abs(charges).max() < 0.05:
        return
    places = [p for _, p in given_layers]
    one, mirrored = sheets(charges, places, 0.2), sheets(charges, [-p for p in places], 0.2)
    moved = sheets(charges, [p + shift for p in places], 0.2)
    here = gh.plane_excess(one, position=position)
    assert gh.plane_excess(one, position=position + 6.0).charge.value == pytest.approx(here.charge.value, abs=1e-12)
    other = gh.plane_excess(mirrored, position=-position)  # the upper face of the same cut, looked at from above
    assert here.charge.value + other.charge.value == pytest.approx(0.0, abs=1e-12)
    assert other.m2.value == pytest.approx(here.m2.value, abs=1e-12)
    along = gh.plane_excess(moved, position=position + shift)
    assert along.charge.value == pytest.approx(here.charge.value, abs=1e-9)
    scan = gh.terminations(one)
    slope = np.gradient(np.r_[scan.charge.values, scan.charge.values[:2]], scan.charge.spacing)[1:-1]
    assert slope[:-1] == pytest.approx(-scan.density.values[1:], abs=2e-2 * np.abs(one.values).max())
    assert scan.charge.mean() == pytest.approx(0.0, abs=1e-13)
    for neutral in scan.neutral:
        assert gh.plane_excess(one, position=neutral).charge.value == pytest.approx(0.0, abs=1e-9)


class TestTerminations:
    """Gaps, neutral cuts, polar or not, by hand."""

    def test_zincblende(self):
        """(111): +3/4 and -1/4 of a charge in the gaps, the same modulo the quantum. (1 -1 0): neutral planes."""
        field = packets(4.0 * FCC, [[0, 0, 0], [0.25, 0.25, 0.25]], [1.0, -1.0], 0.08, (72, 72, 72))
        found = gh.terminations(field, (1, 1, 1))
        per_cell = [float(cut.charge) * found.area for cut in found.cuts]
        assert per_cell == pytest.approx([-0.25, 0.75], abs=5e-4)  # the narrow gap is 3.6 deviations wide either side
        assert found.polar is True and not any(cut.neutral for cut in found.cuts)
        assert [cut.modulo * found.area for cut in found.cuts] == pytest.approx([-0.25, -0.25], abs=5e-4)
        assert found.quantum * found.area == pytest.approx(1.0)
        assert gh.terminations(field, (1, 1, 1), paired=True).quantum == pytest.approx(2 * found.quantum)
        assert [cut.sliced for cut in found.cuts] == [False, True]
        assert "slice packets" in found.remarks[0]
        assert found.cuts[0].position == pytest.approx(1.5 * found.spacing / 4, abs=0.05)
        assert found.cuts[0].charge.uncertainty < 1e-6
        neutral = gh.terminations(field, (1, -1, 0))
        assert neutral.polar is False and "each plane is neutral" in neutral.remarks[0]
        assert not neutral.charge.values.any()
        assert "every position" in str(neutral)

    def test_a_neutral_gap_is_not_polar(self):
        """Symmetric triple layers (Tasker's type 2), +1 between two -1/2: of three gaps the wide one is neutral."""
        found = gh.terminations(sheets([-0.05, 0.1, -0.05], [1.0, 1.5, 2.0], 0.06))
        assert [cut.neutral for cut in found.cuts] == [False, False, True]
        assert [float(cut.charge) for cut in found.cuts] == pytest.approx([0.05, -0.05, 0.0], abs=1e-4)
        assert found.polar is False
        # symmetric about the middle sheet: neutral in the sheet as well, and in the middle of the gap
        assert any(abs(x - 1.5) < 1e-6 for x in found.neutral) and any(x % 3.0 < 1e-6 for x in found.neutral)
        assert found.cuts[2].start < 3.0 < found.cuts[2].stop

    def test_without_gaps_nothing_is_said_of_polar(self):
        x = np.arange(64) / 16
        found = gh.terminations(gh.Profile(x, np.cos(np.pi * x / 2), "e/Å^3", "charge_density", 4.0))
        assert found.polar is None and found.cuts == () and found.quantum is None
        assert found.neutral == pytest.approx([0.0, 2.0])
        assert "no gap" in found.remarks[0] and "not known" in str(found)

    def test_a_sign_change_is_no_gap(self):
        """Silicon: electrons everywhere between the ions."""
        from pathlib import Path

        electrons = gh.read(Path(__file__).parents[2] / "data" / "Si_CHGCAR.gz")
        density = gh.charge_density(electrons, ion_charges={"Si": 4})
        found = gh.terminations(density, (1, 1, 1))
        assert found.cuts == () and found.polar is None
        middle = 3 / 8 * found.spacing  # inversion through the middle of the bond
        assert min(abs(x - middle) for x in found.neutral) < 1e-3 or len(found.neutral) >= 2

    def test_another_quantity_needs_its_mean(self):
        x = np.arange(64) / 16
        profile = gh.Profile(x, 2.0 + np.cos(np.pi * x / 2), "V", "electrostatic_potential", 4.0)
        with pytest.raises(gh.InputError, match=r"gh\.charge_density"):
            gh.terminations(profile)
        found = gh.terminations(profile, reference=2.0)
        assert found.quantum is None and found.charge.unit == "V*Å"
        with pytest.raises(gh.InputError, match=r"reference=2"):
            gh.terminations(profile, reference=1.5)

    def test_ranks_find_what_one_process_finds(self):
        field = packets(4.0 * FCC, [[0, 0, 0], [0.25, 0.25, 0.25]], [1.0, -1.0], 0.3, (20, 21, 22))
        whole = gh.terminations(field, (1, 1, 1))
        for axis in range(3):
            for size in (2, 5):
                for found in on_ranks(field, size, lambda part: gh.terminations(part, (1, 1, 1)), axis=axis):
                    assert found.charge.values == pytest.approx(whole.charge.values, abs=1e-13)
                    assert found.neutral == pytest.approx(whole.neutral, abs=1e-10)
                    assert found.polar == whole.polar

    def test_written(self):
        found = gh.terminations(sheets([0.1, -0.1], [1.0, 1.6], 0.05))
        record = json.loads(found.to_json())
        assert record["cuts"][0]["charge"]["unit"] == "e/Å^2" and record["polar"] is True
        assert record["charge"]["values"] == found.charge.values.tolist()
        text = str(found)
        assert "Terminations" in text and "quantum" in text
        assert "matter above" in str(gh.plane_excess(sheets([0.1, -0.1], [1.0, 1.6], 0.05), position=0.2))


class TestQuantum:
    """e/A and e a/Ω of the cell."""

    def test_oblique_cell(self):
        cell = np.array([[3.0, 0, 0], [1.0, 4.0, 0], [0.5, -0.7, 5.0]])
        found = gh.polarization_quantum(cell, "c")
        assert (found.volume, found.area, found.spacing) == pytest.approx((60.0, 12.0, 5.0))
        assert found.along_normal == pytest.approx(1 / 12)
        assert found.vectors == pytest.approx(cell / 60)
        assert gh.polarization_quantum(cell, "c", paired=True).vectors == pytest.approx(cell / 30)
        field = gh.Field.from_array(np.zeros((4, 4, 4)), cell)
        assert gh.polarization_quantum(field.grid, (1, 1, 0)).spacing == pytest.approx(
            2 * np.pi / np.linalg.norm(np.array([1, 1, 0]) @ field.grid.reciprocal)
        )

    def test_every_lattice_vector_changes_p_by_whole_quanta(self, triclinic):
        for hkl in ((1, 0, 0), (1, 1, 0), (1, -1, 2)):
            found = gh.polarization_quantum(triclinic, hkl)
            normal = np.array(hkl) @ np.linalg.inv(triclinic).T
            along = found.vectors @ (normal / np.linalg.norm(normal)) / found.along_normal
            assert along == pytest.approx(np.array(hkl), abs=1e-12)


class TestRefused:
    """One sentence each: what is wrong and what to do."""

    def test_no_planes(self):
        field = packets(3 * np.eye(3), [[0, 0, 0], [0.5, 0.5, 0.5]], [1.0, -1.0], 0.5, (12, 12, 12))
        with pytest.raises(gh.InputError, match="no normal"):
            gh.plane_excess(field, (0, 0, 0), 0.0)
        with pytest.raises(gh.InputError, match="too coarse"):
            gh.terminations(field, (3, 1, 0))
        with pytest.raises(gh.InputError, match="finite position"):
            gh.plane_excess(field, (1, 0, 0), np.nan)
        with pytest.raises(gh.InputError, match="axis is missing"):
            gh.terminations(field)
        with pytest.raises(gh.InputError, match="finite mean"):
            gh.terminations(field, "a", reference=np.inf)

    def test_common_divisor_is_reduced(self):
        field = packets(3 * np.eye(3), [[0, 0, 0], [0.4, 0.5, 0.5]], [1.0, -1.0], 0.3, (24, 24, 24))
        with pytest.warns(gh.AccuracyWarning, match=r"\(2 2 0\) are taken as \(1 1 0\)"):
            reduced = gh.terminations(field, (2, 2, 0))
        assert reduced.spacing == pytest.approx(gh.terminations(field, (1, 1, 0)).spacing)

    def test_charged_crystal(self):
        field = packets(3 * np.eye(3), [[0, 0, 0], [0.5, 0.5, 0.5]], [1.0, -0.5], 0.3, (24, 24, 24))
        with pytest.raises(gh.InputError, match=r"not neutral.*reference="):
            gh.plane_excess(field, (1, 0, 0), 0.7)
        found = gh.terminations(field, (1, 0, 0), reference=0.5 / 27)
        assert found.reference == pytest.approx(0.5 / 27)

    def test_open_axis(self):
        field = packets(3 * np.eye(3), [[0.3, 0, 0.5], [0.6, 0.5, 0.5]], [1, -1], 0.2, (24, 24, 24), ("p", "p", "o"))
        with pytest.raises(gh.InputError, match="open boundary"):
            gh.terminations(field, "c")
        with pytest.raises(gh.InputError, match="open"):
            gh.terminations(field, (1, 0, 1))

    def test_electrons_alone(self):
        field = gh.Field.from_array(np.ones((8, 8, 8)), np.eye(3), quantity="electron_density")
        with pytest.raises(gh.InputError, match="Add the ions first"):
            gh.plane_excess(field, "c", 0.0)

    def test_a_cut_through_packets_is_said(self):
        """Gaussian sheets of 0.02 Å, 3.3 deviations away: .74954 instead of .75 (the theory's example)."""
        one = sheets([1.0, -1.0], [0.0, 0.75], 0.02, length=1.0, n=512)
        with pytest.warns(gh.AccuracyWarning, match="slices packets"):
            found = gh.plane_excess(one, position=1.0 - 3.3 * 0.02)
        assert found.sliced and 4e-3 < found.density < 5e-3
        assert found.charge.value == pytest.approx(0.75 - 0.000483, abs=2e-6)
        assert not gh.plane_excess(one, position=0.875).sliced

    def test_a_cut_through_packets_whose_charges_cancel_there_is_said(self):
        """Halfway between sheets of +1 and -1 that reach each other ρ̄ is 0, and 2 Φ(-3.3) of σ = 1/2 is missing."""
        one = sheets([1.0, -1.0], [0.0, 0.5], 0.25 / 3.3, length=1.0, n=512)
        with pytest.warns(gh.AccuracyWarning, match="slices packets"):
            found = gh.plane_excess(one, position=0.25)
        assert found.sliced and found.density < 1e-9
        assert abs(found.charge.value) == pytest.approx(0.5 - 2 * 0.000483, abs=2e-6)
