"""Figures: profiles, slices, charges and potentials, drawn at the size in which they are printed.

    plot_profile         planar average, macroscopic average, uncertainty band, atoms, vacuum, windows
    plot_surface         cumulative charge, bulk window, surface charges; plot_interface: of an interface
    plot_terminations    charge of a crystal's cut at every position
    plot_corners         excesses of edges and corners where they are
    plot_step            potential with the levels of vacuum and bulk
    plot_inner_potential  the mean of a slab's potential, with what theory says of it
    plot_cavity          charge and field of spheres around a point, by their radius
    plot_vacuum_levels   potential with the plateaus of both vacua
    plot_cylinder        maps of a plane: potential of a cylinder, its disc average's part, the rest
    plot_budget          terms of the macroscopic potential up to their sum, and its order of limits
    plot_decay           what lies beyond the disc average, by the radius
    plot_interval_field  the interval-valued average, a band about its midpoint
    plot_field_intervals  the width of a field's intervals in the ball, as slices; plot_assumption_8: what passes
    plot_moments         moment densities and dipole density of a bulk; plot_homogenized: a profile stage by stage
    plot_surface_map     charge of a slab's two faces as maps
    plot_point_charges   point charges and their cumulative charge; plot_point_terminations, plot_molecules
    plot_current         current density in time, and the charge that has passed
    plot_scales          power by wavevector, with the gap between the scales
    plot_scale_report    the same above the widths of averages at several scales
    plot_slices          three planes of a 3D field in true geometry, one colour scale
    save_figure          .png, .pdf or .svg, written beside and then renamed

Every point is drawn at the position it has: voxels are centred on their grid points, profiles on their planes,
and a periodic curve is closed at the end of its period.

In   Profile, Field and results of the operators.
Out  matplotlib.figure.Figure, 3.4 inches (a column) or 7 inches (a page) wide.

>>> import numpy as np
>>> import gpuhomog as gh
>>> z = np.arange(32) * 0.25
>>> figure = plot_profile(gh.Profile(z, np.cos(np.pi * z), "V", "electrostatic_potential", 8.0))
>>> [axes.get_ylabel() for axes in figure.axes]
['potential (V)']
"""

from .charges import plot_molecules, plot_point_charges, plot_point_terminations, plot_surface_map
from .corners import plot_corners
from .currents import plot_current
from .cylinder import plot_budget, plot_cylinder, plot_decay
from .excess import plot_interface, plot_surface, plot_terminations
from .inner import plot_cavity, plot_inner_potential
from .moments import plot_homogenized, plot_moments
from .potentials import plot_step, plot_vacuum_levels
from .profiles import plot_profile
from .scales import (
    plot_assumption_8,
    plot_field_intervals,
    plot_interval_field,
    plot_scale_report,
    plot_scales,
)
from .slices import plot_slices
from .style import save_figure

__all__ = [
    "plot_assumption_8",
    "plot_budget",
    "plot_cavity",
    "plot_corners",
    "plot_current",
    "plot_cylinder",
    "plot_decay",
    "plot_field_intervals",
    "plot_homogenized",
    "plot_inner_potential",
    "plot_interface",
    "plot_interval_field",
    "plot_molecules",
    "plot_moments",
    "plot_point_charges",
    "plot_point_terminations",
    "plot_profile",
    "plot_scale_report",
    "plot_scales",
    "plot_slices",
    "plot_step",
    "plot_surface",
    "plot_surface_map",
    "plot_terminations",
    "plot_vacuum_levels",
    "save_figure",
]
