"""gpuhomog: macroscopic fields, profiles and excess fields of microscopic fields on grids.

    import gpuhomog as gh
    density = gh.read("CHGCAR")
    smooth = gh.average(density, gh.Gaussian(4.0), spacing=1.0)

Importing this needs NumPy and SciPy alone; README.md has the map.
"""

from ._version import __version__
from .averaging_kernels import Ball, Box, Disc, Gaussian, PowerLaw, Sampled, Stages, TopHat
from .errors import AccuracyWarning, DeviceError, FileFormatError, GpuhomogError, InputError, KernelError, UnitsError
from .field import Field
from .grid import Grid
from .operators.average import average, average_and_variance, average_gradient, averages_and_variances
from .operators.charge import ChargeBalance, charge_balance, charge_density, electrostatic_potential
from .operators.excess import InterfaceCharge, SurfaceCharge, cut_charge, interface_charge, surface_charge
from .operators.interval_field import (
    Assumption8,
    FieldIntervals,
    IntervalField,
    attainable,
    attainable_throughout,
    field_intervals,
    interval_field,
    physical_assumption_8,
    self_consistent_eps,
)
from .operators.macroscopic import macroscopic_average
from .operators.periods import PeriodEstimate, find_periods
from .operators.planar import planar_average
from .operators.potential_step import PotentialStep, potential_step
from .operators.scales import Scales, scales
from .readers import read
from .readers.ase_files import from_ase
from .readers.tables import read_profile, read_result
from .results import Measurement, Profile
from .structure import Structure
from .writers import write

__all__ = [
    "AccuracyWarning",
    "Assumption8",
    "Ball",
    "Box",
    "ChargeBalance",
    "DeviceError",
    "Disc",
    "Field",
    "FieldIntervals",
    "FileFormatError",
    "Gaussian",
    "GpuhomogError",
    "Grid",
    "InputError",
    "InterfaceCharge",
    "IntervalField",
    "KernelError",
    "Measurement",
    "PeriodEstimate",
    "PotentialStep",
    "PowerLaw",
    "Profile",
    "Sampled",
    "Scales",
    "Stages",
    "Structure",
    "SurfaceCharge",
    "TopHat",
    "UnitsError",
    "__version__",
    "attainable",
    "attainable_throughout",
    "average",
    "average_and_variance",
    "average_gradient",
    "averages_and_variances",
    "charge_balance",
    "charge_density",
    "cut_charge",
    "electrostatic_potential",
    "field_intervals",
    "find_periods",
    "from_ase",
    "interface_charge",
    "interval_field",
    "macroscopic_average",
    "physical_assumption_8",
    "planar_average",
    "potential_step",
    "read",
    "read_profile",
    "read_result",
    "scales",
    "self_consistent_eps",
    "surface_charge",
    "write",
]
