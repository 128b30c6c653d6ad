"""Vacuum levels and dipole corrections against slabs whose dipole is known, and against the open-axis potential."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gaussian_charges import density
from ranks import on_ranks

import gpuhomog as gh
from gpuhomog.errors import InputError
from gpuhomog.units import COULOMB_CONSTANT

DATA = Path(__file__).parents[2] / "data"
POISSON = 4 * np.pi * COULOMB_CONSTANT
DIPOLE = 0.2 * 1.5 / 16  # e/Å, of the slab below
MIDDLE = np.array([2.0, 2.0, 9.0])
UP = np.array([0.0, 0.0, 1.0])


def polar_slab(axis=2, length=24.0, **options):
    """+0.2 e in each 4 x 4 Å^2, 1.5 Å above -0.2 e, periodic; along any axis."""
    order = [(axis + 1) % 3, (axis + 2) % 3, axis]
    shape, cell = np.zeros(3, dtype=int), np.zeros((3, 3))
    shape[order] = 16, 16, round(4 * length)
    cell[np.ix_(order, order)] = np.diag([4.0, 4.0, length])
    centres = np.zeros((2, 3))
    centres[:, order] = MIDDLE + UP, MIDDLE - UP / 2
    images = np.zeros(3, dtype=int)
    images[order] = 2, 2, 1
    blobs = [(0.2, 0.5, centres[0]), (-0.2, 0.6, centres[1])]
    return density(tuple(shape), cell, blobs, "periodic", tuple(images), **options)


@pytest.fixture(scope="module")
def slab():
    return polar_slab()


class TestDipoleCorrection:
    """The periodic potential, corrected, is that of the slab alone."""

    @pytest.mark.parametrize("axis", [0, 1, 2])
    def test_against_the_kernel_with_an_open_axis(self, device, axis):
        charge = polar_slab(axis, device=device)
        boundary = ["periodic"] * 3
        boundary[axis] = "open"
        alone = gh.electrostatic_potential(charge, boundary).to_host()
        found = gh.dipole_correction(gh.electrostatic_potential(charge), axis)
        difference = np.moveaxis(found.potential.to_host() - alone, axis, 2)[:, :, :84]  # up to the jump
        assert np.ptp(difference) < 2e-7  # the images' waves in the plane, e^{-gL}
        assert found.dipole.value == pytest.approx(DIPOLE, rel=1e-8)
        assert found.removed.value == pytest.approx(-POISSON * DIPOLE / 24, rel=1e-8)
        assert found.jump == pytest.approx(9.25 + 12, abs=1.0)
        assert found.levels.step.value == pytest.approx(POISSON * DIPOLE, rel=1e-7)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_with_the_charge(self, dtype):
        """The moment of the charge, no fit; the step comes from the corrected potential's plateaus all the same."""
        charge = polar_slab(dtype=dtype)
        potential = gh.electrostatic_potential(charge)
        found = gh.dipole_correction(potential, "c", density=charge)
        assert found.from_charge
        assert found.potential.values.dtype == dtype
        assert found.dipole.value == pytest.approx(DIPOLE, rel=1e-6)
        assert found.levels.step.value == pytest.approx(POISSON * DIPOLE, rel=2e-6)
        assert abs(found.levels.field_low.value) < 1e-5
        same = gh.dipole_correction(potential, "c", density=gh.planar_average(charge, "c"))
        assert same.dipole.value == found.dipole.value

    def test_of_an_energy(self, slab):
        potential = gh.electrostatic_potential(slab)
        energy = potential.derive(-potential.values, "energy", quantity="electron_potential_energy", unit="eV")
        found = gh.dipole_correction(energy, "c", fermi_energy=-4.0)
        assert found.levels.step.value == pytest.approx(POISSON * DIPOLE, rel=1e-7)
        levels = found.levels
        difference = levels.work_function_low.value - levels.work_function_high.value
        assert difference == pytest.approx(levels.step.value, rel=1e-12)
        assert levels.work_function_low.value == pytest.approx(-levels.low.value + 4.0, rel=1e-12)
        assert "work function, high" in str(found)
        # work functions hang on where the removed field is taken to be zero, unless there was none
        (remark,) = found.remarks
        assert (
            "the Fermi energy is that of the slab in this field" in remark
            and not gh.dipole_correction(energy, "c").remarks
        )
        assert not gh.dipole_correction(found.potential, "c", fermi_energy=-4.0).remarks

    def test_ranks_find_what_one_process_finds(self, slab):
        potential = gh.electrostatic_potential(slab)
        expected = gh.dipole_correction(potential, "c")
        for axis in (0, 2):
            parts = on_ranks(potential, 3, lambda part: gh.dipole_correction(part, "c"), axis)
            found = np.concatenate([part.potential.values for part in parts], axis=axis)
            assert found == pytest.approx(expected.potential.values, abs=1e-12)
            assert {part.levels.step.value for part in parts} == {parts[0].levels.step.value}

    def test_a_flat_vacuum_stays(self):
        """NaCl: nothing to correct; what is removed is below its own uncertainty."""
        energy = gh.read(DATA / "NaCl_slab_electron_potential_energy.cube.gz", quantity="electron_potential_energy")
        found = gh.dipole_correction(energy, "c")
        assert abs(found.removed.value) <= found.removed.uncertainty
        assert found.levels.step.value == pytest.approx(0.0, abs=1e-9)

    def test_a_charged_slab_is_told(self):
        """Fields of different size on both sides: one line does not remove both."""
        x = np.arange(400) * 0.1
        values = np.where(x < 15, 0.03 * (x - 15), np.where(x > 25, -0.05 * (x - 25), 4 * np.sin(x * 3)))
        field = gh.Field.from_array(values[None, None], 40 * np.eye(3), quantity="electrostatic_potential")
        values = np.roll(values, 200)
        found = gh.dipole_correction(field, "c")
        assert "one dipole does not remove both" in found.remarks[0]

    def test_what_is_refused(self, slab):
        potential = gh.electrostatic_potential(slab)
        with pytest.raises(InputError, match=r'gh.electrostatic_potential\(field, "p,p,o"\) has no such field'):
            gh.dipole_correction(slab, "c")
        with pytest.raises(InputError, match="Axis c is open, so there is no field of a periodic cell"):
            gh.dipole_correction(gh.electrostatic_potential(slab, "p,p,o"), "c")
        charged = slab.derive(slab.values * np.where(slab.values > 0, 1.1, 1.0), "charged")
        with pytest.raises(InputError, match=r"The slab charge is .* e/Å\^2 != 0: its dipole depends"):
            gh.dipole_correction(potential, "c", density=charged)


class TestVacuumLevels:
    """Two sides, each with its slope."""

    def test_by_three_routes(self, slab):
        """From the charge, from the potential with an open axis, from a corrected one."""
        step = POISSON * DIPOLE
        charge, alone = gh.vacuum_levels(slab, "c"), gh.vacuum_levels(gh.electrostatic_potential(slab, "p,p,o"), "c")
        assert [float(charge.low), float(charge.high)] == pytest.approx([0.0, step], rel=1e-7)
        assert [float(alone.low), float(alone.high)] == pytest.approx([-step / 2, step / 2], rel=1e-10)
        for found in (charge, alone):
            assert found.dipole.value == pytest.approx(DIPOLE, rel=1e-7)
            assert found.dipole.unit == "e/Å"
            assert found.work_function_low is None
            assert abs(found.field_high.value) < 1e-9

    def test_salt_by_charge_and_by_the_file(self):
        """GPAW's potential, and that of its charge density by our own kernel: 0.3 mV in every plane."""
        energy = gh.read(
            DATA / "NaCl_slab_electron_potential_energy.cube.gz",
            quantity="electron_potential_energy",
            boundary="p,p,o",
        )
        charge = gh.read(DATA / "NaCl_slab_charge_density.cube.gz", quantity="charge_density", boundary="p,p,o")
        solved = gh.electrostatic_potential(charge)
        theirs = gh.planar_average(gh.electrostatic_potential(energy), "c").values
        ours = gh.planar_average(solved, "c").values
        assert np.abs(ours - theirs).max() < 3e-4
        step = gh.potential_step(solved, "c")
        assert step.bulk_minus_low.value == pytest.approx(5.832, abs=0.002)
        assert step.bulk_minus_high.value == pytest.approx(5.832, abs=0.002)

    def test_graphene_by_charge_and_by_the_file(self):
        """VASP: electrons of the CHGCAR and Gaussian ions have the potential of the LOCPOT wherever the ions are not.

        What their width adds is the same everywhere: 2πκ Σ q width²/Ω.
        """
        theirs = gh.planar_average(gh.electrostatic_potential(gh.read(DATA / "graphene_LOCPOT.gz")), "c").values
        electrons = gh.read(DATA / "graphene_CHGCAR.gz")
        outside = slice(20, -20)  # 2 Å from the carbon
        levels = []
        for width in (0.25, 0.35):
            charge = gh.charge_density(electrons, {"C": 4}, width=width)
            ours = gh.planar_average(gh.electrostatic_potential(charge), "c").values
            levels.append((ours - theirs)[outside])
            assert np.ptp(levels[-1]) < 1e-3  # of which most alternates from plane to plane in the file
        added = 2 * np.pi * COULOMB_CONSTANT * 8 * (0.35**2 - 0.25**2) / electrons.grid.volume
        assert levels[1].mean() - levels[0].mean() == pytest.approx(added, rel=5e-7)
        assert not [r for r in gh.potential_step(gh.electrostatic_potential(charge), "c").remarks if "carries" in r]

    def test_a_slope_is_no_plateau(self, slab):
        periodic = gh.electrostatic_potential(slab)
        with pytest.raises(InputError, match=r"No vacuum plateau on the low side \(slope -0\.141 V/Å > 0\.1 V/Å\)"):
            gh.vacuum_levels(periodic, "c")
        with pytest.raises(InputError, match="fermi_energy = nan"):
            gh.vacuum_levels(periodic, "c", fermi_energy=float("nan"))

    def test_printed_and_written(self, slab):
        found = gh.vacuum_levels(slab, "c", fermi_energy=-5.0)
        assert "step, high - low" in str(found)
        plain = found.to_dict()
        assert plain["step"]["unit"] == "V"
        assert plain["provenance"][-1] == {"step": "vacuum levels", "fermi_energy": -5.0}
        corrected = gh.dipole_correction(gh.electrostatic_potential(slab), "c")
        assert "potential" not in corrected.to_dict()
        assert str(corrected).startswith("Dipole correction\n  dipole")


class TestSteps:
    """What potential_step says of fields on both sides."""

    def test_a_charged_slab(self):
        """Fields of -σ/2ε0 and σ/2ε0 beside an open slab."""
        x = np.arange(600) * 0.1
        sigma = 1e-3
        away = np.where(x < 20, 20 - x, np.where(x > 40, x - 40, 0.0))
        values = -POISSON * sigma / 2 * away + np.where((x > 20) & (x < 40), 3 * np.sin(np.pi * (x - 20) / 2) ** 2, 0)
        profile = gh.Profile(x, values, "V", "electrostatic_potential", 60.0, boundary="open")
        (remark,) = [r for r in gh.potential_step(profile, period=2.0).remarks if "carries" in r]
        assert "the slab carries 0.001 e/Å^2" in remark
        flat = replace(profile, values=np.where(away > 0, 0.0, values))
        assert not [r for r in gh.potential_step(flat, period=2.0).remarks if "carries" in r]


class TestCut:
    """A slab across the cell's boundary, in the order that an open axis needs."""

    @pytest.mark.parametrize("axis", [0, 1, 2])
    def test_the_potential_does_not_know_where_the_cell_begins(self, device, axis):
        whole = polar_slab(axis)
        rolled = gh.Field.from_array(
            np.roll(whole.values, 61, axis), whole.grid.cell, quantity="charge_density", device=device
        )
        boundary = ["periodic"] * 3
        boundary[axis] = "open"
        with pytest.raises(InputError, match=rf"gh.cut_in_vacuum\(field, '{'abc'[axis]}'\)"):
            gh.electrostatic_potential(rolled, boundary)
        cut = gh.cut_in_vacuum(rolled, axis)
        assert cut.grid.boundary == tuple(boundary)
        found = gh.electrostatic_potential(cut)
        expected = gh.electrostatic_potential(gh.cut_in_vacuum(whole, axis)).values
        assert found.to_host() == pytest.approx(expected, abs=1e-9)
        step = round(float(np.linalg.norm(cut.grid.origin)) / 0.25)
        assert np.roll(cut.to_host(), step, axis) == pytest.approx(rolled.to_host())  # points stay where they were
        levels = gh.vacuum_levels(found, axis)
        assert levels.step.value == pytest.approx(POISSON * DIPOLE, rel=1e-10)

    def test_atoms_go_along(self):
        """Graphene at the end of its cell: in the middle, at the same places in space but for whole cells."""
        electrons = gh.read(DATA / "graphene_CHGCAR.gz")
        charge = gh.charge_density(electrons, {"C": 4})
        cut = gh.cut_in_vacuum(charge, "c")
        fractional = cut.grid.fractional(cut.structure.positions)
        assert fractional[:, 2] == pytest.approx(0.5, abs=0.02)
        moved = (cut.structure.positions - charge.structure.positions) @ np.linalg.inv(charge.grid.cell)
        assert moved == pytest.approx(np.round(moved), abs=1e-9)
        levels = gh.vacuum_levels(gh.electrostatic_potential(cut), "c")
        assert abs(levels.step.value) < 0.01

    def test_ranks_find_what_one_process_finds(self):
        charge = polar_slab()
        charge = charge.derive(np.roll(charge.values, 30, 2), "rolled")
        expected = gh.cut_in_vacuum(charge, "c").values
        for axis in (0, 2):
            parts = on_ranks(charge, 5, lambda part: gh.cut_in_vacuum(part, "c"), axis)
            assert np.array_equal(np.concatenate([part.values for part in parts], axis=axis), expected)

    def test_where_it_was_said(self, slab):
        potential = gh.electrostatic_potential(slab)
        cut = gh.cut_in_vacuum(potential, "c", position=21.3)
        assert np.array_equal(cut.values, np.roll(potential.values, -85, 2))
        with pytest.raises(InputError, match="does not show where there is no matter: give position"):
            gh.cut_in_vacuum(potential, "c")
        with pytest.raises(InputError, match="No vacuum along a"):
            gh.cut_in_vacuum(slab, "a")
        with pytest.raises(InputError, match="position = inf"):
            gh.cut_in_vacuum(slab, "c", position=float("inf"))
