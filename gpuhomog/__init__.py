"""gpuhomog: macroscopic fields, profiles and excess fields of microscopic fields on grids.

    import gpuhomog as gh
    density = gh.read("CHGCAR")
    smooth = gh.average(density, gh.Gaussian(4.0), spacing=1.0)

Importing this needs NumPy and SciPy alone; `gh.plots` brings matplotlib when it is first asked for. README.md has the
map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _starting as _starting  # first: it takes care of Ctrl-C during all other imports
from ._version import __version__
from .averaging_kernels import Ball, Box, Disc, Gaussian, PowerLaw, Sampled, Stages, TopHat
from .errors import AccuracyWarning, DeviceError, FileFormatError, GpuhomogError, InputError, KernelError, UnitsError
from .field import Field
from .grid import Grid
from .operators.averages.at_points import AverageAt, average_at
from .operators.averages.average import average, average_and_variance, average_gradient, averages_and_variances
from .operators.charge import ChargeBalance, charge_balance, charge_density
from .operators.currents.berry_phase import (
    BerryPhase,
    PumpedCharge,
    berry_phase,
    pumped_charge,
    pumped_charge_of_model,
)
from .operators.currents.bloch import BlochString, bloch_string, model_string
from .operators.currents.density_series import DensityCurrent, density_current
from .operators.currents.eigenstates import EigenstateCurrent, eigenstate_current
from .operators.currents.mesh import (
    BerryPolarization,
    BlochMesh,
    InvariantSpread,
    berry_polarization,
    bloch_mesh,
    invariant_spread,
)
from .operators.currents.packets import PacketCurrent, frames_on_line, packet_current
from .operators.currents.wannier import WannierWidth, transport_gauge, wannier_width
from .operators.excess.dipole_density import dipole_density
from .operators.excess.interface import InterfaceCharge, InterfaceExcess, interface_charge, interface_excess
from .operators.excess.lines_and_points import Excess, LinesAndPoints, lines_and_points
from .operators.excess.moments import MomentDensities, Partition, moment_densities, partition
from .operators.excess.multistage import Homogenized, Stage, homogenize, stages_of
from .operators.excess.regions import Region, box_region
from .operators.excess.surface import SurfaceCharge, SurfaceExcess, surface_charge, surface_excess
from .operators.excess.surface_map import SurfaceMap, surface_map
from .operators.excess.terminations import (
    PlaneExcess,
    PolarizationQuantum,
    Termination,
    Terminations,
    plane_excess,
    polarization_quantum,
    terminations,
)
from .operators.macroscale.assumption_8 import Assumption8, attainable, attainable_throughout, physical_assumption_8
from .operators.macroscale.consistent_eps import self_consistent_eps
from .operators.macroscale.field_assumption_8 import (
    FieldAssumption8,
    attainable_in_ball,
    field_assumption_8,
    line_through,
)
from .operators.macroscale.field_intervals import FieldIntervals, field_intervals
from .operators.macroscale.interval_field import IntervalField, interval_field
from .operators.macroscale.scale_report import AtScale, ScaleReport, scale_report
from .operators.macroscale.scales import Scales, scales
from .operators.macroscale.uncertainty import Uncertainty, spectral_uncertainty, uncertainty
from .operators.points.point_charges import (
    MolecularCharge,
    PointCharges,
    PointSurfaceCharge,
    crystal_surface_charge,
    molecular_charge,
    point_surface_charge,
)
from .operators.points.point_terminations import PointTerminations, ions_on_planes, point_terminations
from .operators.points.trajectory_average import Frame, TrajectoryAverage, average_over_frames, trajectory_profile
from .operators.potentials.band_alignment import BandAlignment, band_alignment
from .operators.potentials.bethe import (
    BallCharge,
    BethePotential,
    BuildingBlock,
    GaussianCharge,
    RadialCharge,
    bethe_potential,
)
from .operators.potentials.budget import PotentialBudget, potential_budget
from .operators.potentials.cavity import LorentzCavity, lorentz_cavity
from .operators.potentials.cut import cut_in_vacuum
from .operators.potentials.cylinder_potential import (
    CylinderFields,
    CylinderPotential,
    cylinder_potential,
    cylinder_potential_field,
    disc_average,
)
from .operators.potentials.deviation_decay import DeviationDecay, deviation_decay
from .operators.potentials.inner_potential import InnerPotential, inner_potential
from .operators.potentials.interaction_energy import InteractionEnergy, interaction_energy
from .operators.potentials.planar_terms import CylinderTerms, cylinder_terms
from .operators.potentials.poisson import electric_field, electrostatic_potential
from .operators.potentials.potential_step import PotentialStep, potential_step
from .operators.potentials.trajectory_potential import TrajectoryStep, trajectory_potential, trajectory_step
from .operators.potentials.vacuum import DipoleCorrection, VacuumLevels, dipole_correction, vacuum_levels
from .operators.profiles.macroscopic import macroscopic_average
from .operators.profiles.periods import PeriodEstimate, find_periods
from .operators.profiles.planar import planar_average
from .readers import read
from .readers.ase_files import from_ase
from .readers.blocks_file import read_blocks
from .readers.frames import read_frames
from .readers.point_charges import Ions, read_point_charges
from .readers.regions_file import read_regions
from .readers.tables import read_profile, read_result
from .readers.trajectories import read_trajectory
from .results import Measurement, Profile
from .structure import Structure
from .writers import write

if TYPE_CHECKING:
    from . import plots as plots

__all__ = [
    "AccuracyWarning",
    "Assumption8",
    "AtScale",
    "AverageAt",
    "Ball",
    "BallCharge",
    "BandAlignment",
    "BerryPhase",
    "BerryPolarization",
    "BethePotential",
    "BlochMesh",
    "BlochString",
    "Box",
    "BuildingBlock",
    "ChargeBalance",
    "CylinderFields",
    "CylinderPotential",
    "CylinderTerms",
    "DensityCurrent",
    "DeviationDecay",
    "DeviceError",
    "DipoleCorrection",
    "Disc",
    "EigenstateCurrent",
    "Excess",
    "Field",
    "FieldAssumption8",
    "FieldIntervals",
    "FileFormatError",
    "Frame",
    "Gaussian",
    "GaussianCharge",
    "GpuhomogError",
    "Grid",
    "Homogenized",
    "InnerPotential",
    "InputError",
    "InteractionEnergy",
    "InterfaceCharge",
    "InterfaceExcess",
    "IntervalField",
    "InvariantSpread",
    "Ions",
    "KernelError",
    "LinesAndPoints",
    "LorentzCavity",
    "Measurement",
    "MolecularCharge",
    "MomentDensities",
    "PacketCurrent",
    "Partition",
    "PeriodEstimate",
    "PlaneExcess",
    "PointCharges",
    "PointSurfaceCharge",
    "PointTerminations",
    "PolarizationQuantum",
    "PotentialBudget",
    "PotentialStep",
    "PowerLaw",
    "Profile",
    "PumpedCharge",
    "RadialCharge",
    "Region",
    "Sampled",
    "ScaleReport",
    "Scales",
    "Stage",
    "Stages",
    "Structure",
    "SurfaceCharge",
    "SurfaceExcess",
    "SurfaceMap",
    "Termination",
    "Terminations",
    "TopHat",
    "TrajectoryAverage",
    "TrajectoryStep",
    "Uncertainty",
    "UnitsError",
    "VacuumLevels",
    "WannierWidth",
    "__version__",
    "attainable",
    "attainable_in_ball",
    "attainable_throughout",
    "average",
    "average_and_variance",
    "average_at",
    "average_gradient",
    "average_over_frames",
    "averages_and_variances",
    "band_alignment",
    "berry_phase",
    "berry_polarization",
    "bethe_potential",
    "bloch_mesh",
    "bloch_string",
    "box_region",
    "charge_balance",
    "charge_density",
    "crystal_surface_charge",
    "cut_in_vacuum",
    "cylinder_potential",
    "cylinder_potential_field",
    "cylinder_terms",
    "density_current",
    "deviation_decay",
    "dipole_correction",
    "dipole_density",
    "disc_average",
    "eigenstate_current",
    "electric_field",
    "electrostatic_potential",
    "field_assumption_8",
    "field_intervals",
    "find_periods",
    "frames_on_line",
    "from_ase",
    "homogenize",
    "inner_potential",
    "interaction_energy",
    "interface_charge",
    "interface_excess",
    "interval_field",
    "invariant_spread",
    "ions_on_planes",
    "line_through",
    "lines_and_points",
    "lorentz_cavity",
    "macroscopic_average",
    "model_string",
    "molecular_charge",
    "moment_densities",
    "packet_current",
    "partition",
    "physical_assumption_8",
    "planar_average",
    "plane_excess",
    "point_surface_charge",
    "point_terminations",
    "polarization_quantum",
    "potential_budget",
    "potential_step",
    "pumped_charge",
    "pumped_charge_of_model",
    "read",
    "read_blocks",
    "read_frames",
    "read_point_charges",
    "read_profile",
    "read_regions",
    "read_result",
    "read_trajectory",
    "scale_report",
    "scales",
    "self_consistent_eps",
    "spectral_uncertainty",
    "stages_of",
    "surface_charge",
    "surface_excess",
    "surface_map",
    "terminations",
    "trajectory_potential",
    "trajectory_profile",
    "trajectory_step",
    "transport_gauge",
    "uncertainty",
    "vacuum_levels",
    "wannier_width",
    "write",
]


def __getattr__(name: str) -> Any:
    if name == "plots":
        from importlib import import_module

        return import_module(".plots", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
