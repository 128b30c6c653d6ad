"""Commands: what each does with its options, as calls of the package; the table that all others are made from.

Every function takes Inputs and checked option values and returns an Outcome. No physics lives here.

>>> list(COMMANDS)[:3]
['info', 'convert', 'average']
"""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..averaging_kernels import AveragingKernel, Box, Stages
from ..device import choose_device
from ..device.fftw import tune
from ..errors import InputError
from ..field import Field
from ..operators.average import average, average_and_variance, average_gradient
from ..operators.charge import charge_balance, charge_density, electrostatic_potential
from ..operators.excess import SurfaceExcess, surface_charge, surface_excess
from ..operators.interface import InterfaceExcess, interface_charge
from ..operators.interval_field import field_intervals, interval_field, physical_assumption_8
from ..operators.lines_and_points import lines_and_points, plane_across
from ..operators.macroscopic import macroscopic_average
from ..operators.planar import planar_average
from ..operators.potential_step import PotentialStep, potential_step
from ..operators.regions import Region, box_region
from ..operators.scales import scales
from ..operators.terminations import PlaneExcess, Terminations, plane_excess, terminations
from ..operators.trajectory_average import trajectory_profile
from ..operators.uncertainty import uncertainty
from ..readers import inspect_file
from ..readers.regions_file import read_regions
from ..readers.trajectories import read_trajectory
from ..results import Measurement, Profile, Result
from ..streaming import Unread, together
from ..units import times_length
from ..writers.tables import Compared
from ..writers.text import strip_compression
from . import options as o
from .demo import check_folder, run_demo
from .devices import run_devices
from .task import RUN_WIDE, Command, Inputs, Outcome, Rows


def shown(value: float, unit: str | None = None) -> str:
    """A number for people, with its unit."""
    return f"{value:.8g}{' ' + unit if unit and unit != '1' else ''}"


def words(name: str) -> str:
    """A field name of a result as people read it."""
    return name.replace("_", " ")


def rows_of(result: Result, skip: tuple[str, ...] = ("provenance",)) -> Rows:
    """Name and value of everything in a result that fits on one line."""
    rows: Rows = []
    for item in fields(result):  # type: ignore[arg-type]
        value = getattr(result, item.name)
        if not item.repr or item.name in skip or value is None or isinstance(value, Profile):
            continue
        if isinstance(value, Measurement | str):
            rows.append((words(item.name), str(value)))
        elif isinstance(value, bool | np.bool_):
            rows.append((words(item.name), "yes" if value else "no"))
        elif isinstance(value, int | float | np.number):
            rows.append((words(item.name), f"{value:.8g}"))
        elif isinstance(value, tuple) and value and all(isinstance(x, str) for x in value):
            rows += [("note", x) for x in value]
        elif isinstance(value, tuple) and value and all(isinstance(x, int | float | np.number) for x in value):
            rows.append((words(item.name), ", ".join(f"{x:.6g}" for x in value)))
    return rows


def grid_rows(field: Field) -> Rows:
    """Points, cell and boundary of a field."""
    grid = field.grid
    rows: Rows = [("points", " × ".join(map(str, grid.shape)))]
    for name, vector, n in zip("abc", grid.cell, grid.shape, strict=True):
        length = float(np.linalg.norm(vector))
        rows.append((name, f"({', '.join(f'{x:.6f}' for x in vector)}) Å, step {length / n:.4f} Å"))
    rows.append(("volume", shown(grid.volume, "Å^3")))
    rows.append(("boundary", ", ".join(grid.boundary)))
    return rows


def grid_report(field: Field) -> dict[str, Any]:
    """The same for JSON."""
    grid = field.grid
    return {
        "shape": grid.shape,
        "cell": grid.cell,
        "origin": grid.origin,
        "boundary": grid.boundary,
        "volume": grid.volume,
        "steps": grid.lengths / np.array(grid.shape),
        "plane_spacing": [grid.plane_spacing(axis) for axis in range(3)],
    }


def value_report(field: Field) -> dict[str, Any]:
    """What the values are, and their size."""
    low, high = field.extrema()
    return {
        "quantity": field.quantity,
        "unit": field.unit,
        "dtype": str(field.values.dtype),
        "mean": field.mean(),
        "minimum": low,
        "maximum": high,
        "integral": field.integral(),
    }


def value_rows(report: dict[str, Any]) -> Rows:
    """The same for people."""
    unit = report["unit"]
    return [
        ("quantity", report["quantity"].replace("_", " ")),
        ("unit", unit or "not stated by the file"),
        ("mean", shown(report["mean"], unit)),
        ("smallest, largest", f"{shown(report['minimum'])}, {shown(report['maximum'], unit)}"),
        ("integral over the cell", shown(report["integral"], times_length(unit, 3))),
    ]


def structure_report(field: Field) -> dict[str, Any] | None:
    """Atoms for JSON."""
    structure = field.structure
    if structure is None:
        return None
    return {
        "formula": structure.formula,
        "symbols": structure.symbols,
        "positions": structure.positions,
        "charges": structure.charges,
    }


def run_info(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """What a file holds."""
    choices = {name: values[name] for name in ("kind", "quantity", "frame")}
    header = inspect_file(values["file"], **choices)
    if values["header"]:
        return header_only(values, header)
    field = inputs.field(values)
    numbers = value_report(field)
    about = {name: header[name] for name in ("format", "blocks", "frames", "remarks")}
    report = {**about, **grid_report(field), **numbers}
    report |= {"structure": structure_report(field), "provenance": field.provenance}
    balance: list[tuple[str, Rows]] = []
    if values["ion_charges"] is not None:
        result = charge_balance(field, ion_charges=values["ion_charges"], net_charge=values["net_charge"])
        report["charge_balance"] = result.to_dict()
        balance.append(("Charge balance", rows_of(result)))
    rows: Rows = [("format", header["format"])]
    if len(header["blocks"]) > 1:
        rows.append(("blocks", ", ".join(header["blocks"])))
    if (header["frames"] or 1) > 1:
        rows.append(("frames", str(header["frames"])))
    if field.structure is not None:
        rows.append(("atoms", f"{len(field.structure)} ({field.structure.formula})"))
    remarks: Rows = [("note", remark) for remark in header["remarks"]]
    tables = ((str(values["file"]), [*rows, *grid_rows(field)]), ("", [*value_rows(numbers), *remarks]), *balance)
    return Outcome(report, tables)


def header_only(values: dict[str, Any], header: dict[str, Any]) -> Outcome:
    """What the header of a file says; no value is read."""
    rows: Rows = [("format", header["format"]), ("blocks", ", ".join(header["blocks"]))]
    if header["n_atoms"]:
        rows.append(("atoms", f"{header['n_atoms']} ({header['formula']})"))
    rows += [
        ("points", " × ".join(map(str, header["shape"]))),
        ("lengths", ", ".join(f"{length:.6f}" for length in header["lengths"]) + " Å"),
        ("volume", shown(header["volume"], "Å^3")),
        ("quantity", (header["quantity"] or "not stated by the file").replace("_", " ")),
        ("unit", header["unit"] or "not stated by the file"),
        *[("note", remark) for remark in header["remarks"]],
    ]
    return Outcome(header, ((str(values["file"]), rows),))


def run_convert(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """The same field in another file."""
    field = made(inputs, values)
    if values["to"] is not None:
        field = field.to(values["to"])

    def told() -> Outcome:
        numbers = value_report(field)
        rows = (("Written", value_rows(numbers)),)
        return Outcome({**grid_report(field), **numbers}, rows, {values["output"]: field})

    return Outcome({}, (), {values["output"]: field}, later=told) if isinstance(field.values, Unread) else told()


def made(inputs: Inputs, values: dict[str, Any]) -> Field:
    """The input, with ions added or turned into another quantity where the options say so."""
    field = inputs.field(values)
    if values["ion_charges"] is not None:
        return charge_density(
            field, ion_charges=values["ion_charges"], width=values["ion_width"], net_charge=values["net_charge"]
        )
    if values["to_quantity"] == "charge_density":
        return charge_density(field)
    return electrostatic_potential(field) if values["to_quantity"] else field


def check_making(values: dict[str, Any]) -> None:
    """Options that make a charge density fit together."""
    if values["ion_charges"] is None and values["ion_width"] is not None:
        raise InputError("--ion-width belongs to --ion-charges: give the charge of each element's ion too.")
    if values["ion_charges"] is not None and values["to_quantity"] is not None:
        raise InputError("--ion-charges makes a charge density already: leave --to-quantity out.")


def kernel_of(values: dict[str, Any]) -> AveragingKernel:
    """The averaging kernel that the options name; several sizes are stages, applied one after another."""
    name, eps, width = values["kernel"], values["eps"], values["width"]
    if name == "box":
        if width is None or eps is not None:
            raise InputError("A box is given by its full width: --width X or X,Y,Z in Å (a tophat by --eps).")
        return Box(width)
    if eps is None or width is not None:
        raise InputError(f"A {name} kernel is given by --eps in Å, twice its standard deviation (--width is for box).")
    stages = [o.KERNELS[name](size) for size in (eps if isinstance(eps, tuple) else (eps,))]
    return stages[0] if len(stages) == 1 else Stages(*stages)


def check_average(values: dict[str, Any]) -> None:
    """Kernel and size fit together; something is asked for."""
    check_making(values)
    kernel_of(values)
    if all(values[name] is None for name in ("output", "variance", "gradient", "plot")):
        raise InputError("Nothing to write: name the result with -o OUT, or a figure with --plot FILE.")
    if values["variance"] is not None and values["padded"]:
        raise InputError("--variance is known inside the cell only: leave --padded out, or ask for it in a second run.")


def run_average(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Mesoscale average."""
    kernel = kernel_of(values)
    field = made(inputs, values)
    how = {name: values[name] for name in ("spacing", "sampling", "outside")}

    def means() -> tuple[Field, ...]:
        if values["variance"] is None:
            return (average(field, kernel, **how, padded=values["padded"]),)
        return average_and_variance(field, kernel, **how)

    def slopes() -> tuple[Field, ...]:
        return () if values["gradient"] is None else average_gradient(field, kernel, **how, padded=values["padded"])

    (result, *spread), gradient = together(field.values, means, slopes)
    slopes_to = along_xyz(values["gradient"]) if gradient else ()
    writes: dict[Path | None, Field | Result] = {values["output"]: result}
    writes |= dict(zip([values["variance"]] * len(spread), spread, strict=True))
    writes |= dict(zip(slopes_to, gradient, strict=True))
    unread = [field.values for field in (result, *gradient) if isinstance(field.values, Unread)]
    if unread and values["plot"] is not None:
        unread[0].refuse("A figure", "give a larger spacing")
    pictured = None if values["plot"] is None else result.on_first_rank()  # which draws

    def draw() -> Any:
        from ..plots import plot_slices

        assert pictured is not None
        return plot_slices(pictured, at=values["at"], width=values["figure_width"] or "page")

    def told() -> Outcome:
        more: dict[str, Any] = {}
        tables: list[tuple[str, Rows]] = []
        for variance in spread:
            more["variance"] = value_report(variance)
            unit = None if field.unit is None else f"({field.unit})^2"
            tables.append(("Local variance", spread_rows(more["variance"], unit)))
        if gradient:
            more["gradient"] = {name: value_report(part) for name, part in zip("xyz", gradient, strict=True)}
            for name, part in zip("xyz", gradient, strict=True):
                tables.append((f"Gradient along {name}", spread_rows(more["gradient"][name], part.unit)))
        numbers = value_report(result)
        report = {**grid_report(result), **numbers, "kernel": kernel.describe(), "provenance": result.provenance}
        rows: Rows = [("points", " × ".join(map(str, result.grid.shape))), *value_rows(numbers)]
        option = "eps" if values["width"] is None else "width"
        given = np.atleast_1d(values[option])
        size = (", then " if option == "eps" else " × ").join(f"{length:g}" for length in given)
        title = f"Average, {values['kernel']}, {option} {size} Å"
        return Outcome(report | more, ((title, rows), *tables), writes, draw)

    return Outcome({}, (), writes, later=told) if unread else told()


def spread_rows(report: dict[str, Any], unit: str | None) -> Rows:
    """Mean, smallest and largest of one of several fields."""
    return [
        ("mean", shown(report["mean"], unit)),
        ("smallest, largest", f"{shown(report['minimum'])}, {shown(report['maximum'], unit)}"),
    ]


def along_xyz(path: Path) -> tuple[Path, ...]:
    """Names for the three components of a field.

    >>> [str(path) for path in along_xyz(Path("slope.cube.gz"))]
    ['slope_x.cube.gz', 'slope_y.cube.gz', 'slope_z.cube.gz']
    """
    name, compression = strip_compression(path.name)
    stem, suffix = Path(name).stem, Path(name).suffix
    return tuple(path.with_name(f"{stem}_{x}{suffix}{compression}") for x in "xyz")


def run_profile(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Planar average and its macroscopic average."""
    field = made(inputs, values)
    planar = planar_average(field, values["axis"])
    macroscopic = None
    if values["periods"] is not None:
        more = {name: values[name] for name in ("passes", "outside", "padded")}
        try:
            macroscopic = macroscopic_average(planar, values["periods"], **more)
        except InputError as error:
            if values["periods"] == "auto":
                raise InputError(f"{error} For the planar average alone give --periods none.") from None
            raise
    rows: Rows = [
        ("direction", f"normal to planes {planar.planes}, {planar.length:.6f} Å, {len(planar.values)} planes"),
        ("quantity", planar.quantity.replace("_", " ")),
        ("mean", shown(planar.mean(), planar.unit)),
        ("smallest, largest", f"{shown(planar.values.min())}, {shown(planar.values.max(), planar.unit)}"),
    ]
    tables: list[tuple[str, Rows]] = [("Planar average", rows)]
    if macroscopic is not None:
        step = macroscopic.provenance[-1]
        windows = ", ".join(f"{period:.6g} Å" for period in macroscopic.periods)
        tables.append(
            (
                "Macroscopic average",
                [
                    ("windows", f"{windows} ({step['chosen']}), applied {times(step['passes'])}"),
                    *[("diagnosis", text) for text in step["diagnosis"]],
                    (
                        "smallest, largest",
                        f"{shown(macroscopic.values.min())}, {shown(macroscopic.values.max(), macroscopic.unit)}",
                    ),
                    ("residual ripple", f"{macroscopic.ripple:.2g} {macroscopic.unit or ''} {step['ripple_measured']}"),
                ],
            )
        )

    def draw() -> Any:
        from ..plots import plot_profile

        return plot_profile(planar, macroscopic, origin=field.grid.origin, width=values["figure_width"] or "column")

    report = {"planar": planar, "macroscopic": macroscopic}
    both = planar if macroscopic is None else Compared(macroscopic, planar)
    return Outcome(report, tuple(tables), {values["output"]: both, values["planar"]: planar}, draw)


def times(n: int) -> str:
    """Once, twice, or n times."""
    return {1: "once", 2: "twice"}.get(n, f"{n} times")


SIGNED = "charge density, electrons negative, ions included"


def excess_outcome(
    plot: str,
    field: Field,
    profile: Profile,
    result: SurfaceExcess | InterfaceExcess | PotentialStep,
    values: dict[str, Any],
) -> Outcome:
    """A result along a profile: its numbers, its tables, its file, and the figure that `plot` of plots.py draws."""

    def draw() -> Any:
        from .. import plots

        return getattr(plots, plot)(profile, result, origin=field.grid.origin, width=values["figure_width"] or "column")

    return Outcome(result.to_dict(), result.tables(), {values["output"]: result}, draw)


def run_surface(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Surface charges of a slab."""
    field = made(inputs, values)
    if cuts_a_crystal(values):
        return run_cut(field, values)
    profile = planar_average(field, values["axis"])
    how = {name: values[name] for name in OF_A_SLAB}
    if values["reference"] is None:
        result: SurfaceExcess = surface_charge(profile, **how)
    else:
        result = surface_excess(profile, reference=values["reference"], x_surface=values["x_surface"], **how)
    return excess_outcome("plot_surface", field, profile, result, values)


OF_A_SLAB = ("side", "x_b", "eps", "period", "bulk", "origin", "sampling")
"""Options of a surface that a crystal without one does not have."""


def cuts_a_crystal(values: dict[str, Any]) -> bool:
    """True if a bulk is to be cut, rather than the surfaces of a slab found."""
    return values["hkl"] is not None or values["scan"] or values["cut"] is not None


def run_cut(field: Field, values: dict[str, Any]) -> Outcome:
    """Charge of a bulk crystal's cut, at one position or at every one."""
    planes = values["axis"] if values["hkl"] is None else values["hkl"]
    reference = field.mean() if values["reference"] == "bulk" else values["reference"]
    scan = cut = None
    if values["cut"] is not None:
        cut = plane_excess(field, planes, values["cut"], reference=reference)
    if cut is None or values["plot"] is not None:
        scan = terminations(field, planes, reference=reference, paired=values["paired"])

    def draw() -> Any:
        from ..plots import plot_terminations

        assert scan is not None
        return plot_terminations(scan, cut, origin=field.grid.origin, width=values["figure_width"] or "column")

    result: Terminations | PlaneExcess = cut or scan  # type: ignore[assignment]
    target = values["output"]
    as_table = cut is None and target is not None and target.suffix == ".csv"  # the curve; other formats hold it all
    written = result.charge if as_table and isinstance(result, Terminations) else result
    return Outcome(result.to_dict(), result.tables(), {target: written}, draw)


def check_surface(values: dict[str, Any]) -> None:
    """Options of a slab and of a crystal are not mixed."""
    check_making(values)
    if cuts_a_crystal(values):
        defaults = {option.key: option.default for option in COMMANDS["surface"].options}
        given = [name for name in (*OF_A_SLAB, "x_surface") if values[name] != defaults[name]]
        if given:
            raise InputError(
                f"--{given[0].replace('_', '-')} belongs to the surfaces of a slab, and --hkl, --scan and --cut cut a "
                "bulk crystal: leave one of them out."
            )
        if values["scan"] and values["cut"] is not None:
            raise InputError("--scan finds the charge at every position of the cut: leave --cut out.")
    elif values["paired"]:
        raise InputError("--paired belongs to --scan: it says what the quantum is.")
    if not cuts_a_crystal(values) and values["x_surface"] is not None and values["reference"] is None:
        raise InputError("--x-surface belongs to --reference: give the bulk value that is subtracted between them.")


def run_step(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Potential step across a slab or an interface."""
    field = made(inputs, values)
    profile = planar_average(field, values["axis"])
    density = None
    if values["density"] is not None:
        same = {name: values[name] for name in ("boundary", "dtype", "device", *RUN_WIDE)}
        density = planar_average(inputs.field({"file": values["density"], **same}), values["axis"])
    result = potential_step(
        profile,
        density=density,
        between=values["between"],
        period=values["period"],
        x_b=values["x_b"],
        sampling=values["sampling"],
    )
    return excess_outcome("plot_step", field, profile, result, values)


def run_interface(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Charge of an interface."""
    field = made(inputs, values)
    profile = planar_average(field, values["axis"])
    result = interface_charge(
        profile,
        between=values["between"],
        periods=values["periods"],
        eps=values["eps"],
        origin=values["origin"],
        sampling=values["sampling"],
    )
    return excess_outcome("plot_interface", field, profile, result, values)


def run_macro(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """The macroscopic field as an interval."""
    field = made(inputs, values)
    kernel = kernel_of(values)
    how = {name: values[name] for name in ("eps_x", "spacing", "outside", "sampling")}
    if values["ball"]:
        found = field_intervals(field, kernel, **how)
        return Outcome(found.to_dict(), found.tables(), {values["output"]: found})
    profile = planar_average(field, values["axis"])
    result = interval_field(profile, kernel, **how)
    report: dict[str, Any] = result.to_dict()
    tables: list[tuple[str, Any]] = list(result.tables())
    more = {name: values[name] for name in ("outside", "sampling")}
    try:
        relation = uncertainty(profile, kernel, **more)
        report["uncertainty"] = relation.to_dict()
        tables += relation.tables()
    except InputError as error:  # a short or open profile has intervals all the same
        report["uncertainty"] = None
        tables.append(("Uncertainty relation", [("not known", str(error))]))
    if values["at"] is not None:
        how.pop("spacing")
        decided = physical_assumption_8(profile, values["at"], values["up_to"], kernel, **how)
        report["assumption_8"] = decided.to_dict()
        tables.append(("Physical Assumption 8", rows_of(decided)))

    def draw() -> Any:
        from ..plots import plot_interval_field

        return plot_interval_field(profile, result, origin=field.grid.origin, width=values["figure_width"] or "column")

    return Outcome(report, tables, {values["output"]: result}, draw)


def check_macro(values: dict[str, Any]) -> None:
    """Kernel and size fit together, and so do the options of what is checked."""
    check_making(values)
    kernel_of(values)
    if (values["at"] is None) != (values["up_to"] is None):
        raise InputError(
            "--at X and --up-to A belong together: Physical Assumption 8 at X, for averages narrower than A."
        )
    if values["ball"] and (values["at"] is not None or values["plot"] is not None):
        raise InputError("--at and --plot are for profiles: leave --ball out.")


def run_scales(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Microscale, macroscale and exponent of a field."""
    field = made(inputs, values)
    how = {name: values[name] for name in ("between", "window", "tau")}
    result = scales(field, values["axis"], **how)

    def draw() -> Any:
        from ..plots import plot_scales

        return plot_scales(result, width=values["figure_width"] or "column")

    return Outcome(result.to_dict(), result.tables(), {values["output"]: result}, draw)


def check_scales(values: dict[str, Any]) -> None:
    """A window is one of a profile."""
    check_making(values)
    if values["window"] is not None and values["axis"] is None:
        raise InputError("--window belongs to a profile: give --axis a, b, c or h,k,l with it.")


def regions_of(values: dict[str, Any]) -> list[Region]:
    """The regions that the options name."""
    if (values["regions"] is None) == (values["box"] is None):
        raise InputError(
            "Positions of edges and corners have no default: give --box X0,X1,Y0,Y1 (,Z0,Z1) in Å, or --regions FILE."
        )
    if values["box"] is None:
        return read_regions(values["regions"])
    return [box_region(values["box"][::2], values["box"][1::2], values["reference"])]


def check_corners(values: dict[str, Any]) -> None:
    """The regions are given, once."""
    check_making(values)
    if values["regions"] is None or values["box"] is not None or values["regions"].exists():
        regions_of(values)


def run_corners(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Excesses of edges and corners."""
    field = made(inputs, values)
    result = lines_and_points(
        field,
        regions_of(values),
        eps=values["eps"],
        rho=values["rho"],
        axis=values["axis"],
        sampling=values["sampling"],
    )
    plane = None if result.axis is None or values["plot"] is None else plane_across(field, result.axis)

    def draw() -> Any:
        from ..plots import plot_corners

        return plot_corners(result, plane, width=values["figure_width"])

    return Outcome(result.to_dict(), result.tables(), {values["output"]: result}, draw)


def run_trajectory(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Mean charge profile of a trajectory."""
    frames = read_trajectory(
        values["file"],
        values["topology"],
        charges=values["charges"],
        cell=None if values["cell"] is None else np.reshape(values["cell"], (3, 3)),
        start=values["start"],
        step=values["every"],
        format=values["format"],
        atom_style=values["atom_style"],
    )
    result = trajectory_profile(frames, values["spacing"], axis=values["axis"])
    step = result.provenance[-1]
    time, spread = step["correlation_time"]
    errors = result.uncertainty if result.uncertainty is not None else np.zeros(1)
    rows: Rows = [
        ("frames", f"{step['frames']}, blocks of {step['block']}"),
        ("correlation time", f"{time:.3g} ± {spread:.2g} frames"),
        ("direction", f"along {result.planes}, {result.length:.6f} Å, {len(result.values)} cells"),
        ("smallest, largest", f"{shown(result.values.min())}, {shown(result.values.max(), result.unit)}"),
        ("standard error", f"{np.sqrt(np.mean(errors**2)):.2g} {result.unit}, root mean square"),
    ]
    if not step["converged"]:
        rows.append(("note", "too few frames for their memory: the errors are lower bounds"))

    def draw() -> Any:
        from ..plots import plot_profile

        return plot_profile(result, width=values["figure_width"] or "column")

    return Outcome({"profile": result}, (("Mean over frames", rows),), {values["output"]: result}, draw)


def run_tune(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Plan the transforms of a file's grid."""
    field = inputs.field(values)
    device: Any = choose_device("cpu")
    shape, dtype = field.grid.shape, str(field.values.dtype)
    stored = tune(shape, dtype, device.threads)
    report = {"shape": shape, "dtype": dtype, "threads": device.threads, "wisdom": str(stored)}
    rows: Rows = [("points", " × ".join(map(str, shape))), ("threads", str(device.threads)), ("stored in", str(stored))]
    return Outcome(report, (("Fourier transforms planned", rows),))


FIELD_OUTSIDE = o.Option(
    "outside",
    o.number,
    "V",
    "Open axes: value of the field beyond the cell, in its unit.",
    default=0.0,
    panel=o.METHOD,
)
AT = o.Option(
    "at",
    o.point,
    "X,Y,Z",
    "Fractional position of the point that the slices of the figure go through. Default: where the result differs most "
    "from its mean.",
    panel=o.OUTPUT,
)
TO = o.Option("to", o.unit, "U", "Convert the values to this unit, such as e/bohr^3 or meV.", panel=o.OUTPUT)


PLANAR = o.Option(
    "planar",
    o.path,
    "OUT",
    "Write the planar average alone here: .csv, .json or .h5.",
    panel=o.OUTPUT,
    names=o.RESULT_FILE,
)


VARIANCE = o.Option(
    "variance",
    o.path,
    "OUT",
    "Write the local variance here: the mean of the square less the square of the mean, under the same kernel.",
    panel=o.OUTPUT,
    names=o.FIELD_FILE,
)
GRADIENT = o.Option(
    "gradient",
    o.path,
    "OUT",
    "Write the gradient of the average here, per Å, as three files: OUT with _x, _y and _z before the suffix.",
    panel=o.OUTPUT,
    names=o.FIELD_FILE,
    files=along_xyz,
)
HEADER = o.Option(
    "header", o.flag, "", "Only what the header says; the values are not read.", default=False, panel=o.METHOD
)
DENSITY = o.Option(
    "density",
    o.path,
    "FILE",
    "Electron or charge density on the same planes, such as the CHGCAR: the vacuum is then where it is empty too.",
    panel=o.INPUT,
    names=o.INPUT_FILE,
)
STEP_BETWEEN = "two positions in Å, one deep in the bulk on each side."
STEP_PERIOD = o.Option(
    "period",
    o.two_periods,
    "P[,P2]",
    "Period of the bulk in Å, or two for two bulks; auto finds it, none leaves the level of the bulk undefined.",
    default="auto",
    panel=o.METHOD,
)


SCALES_AXIS = replace(
    o.AXIS,
    help="Analyse the profile across the planes of axis a, b or c, or of the lattice planes h,k,l. Default: the whole "
    "field, by shells of |k|.",
    default=None,
)
MACRO_AT = o.Option(
    "at",
    o.number,
    "X",
    "Decide Physical Assumption 8 at this position in Å: have all positions that coincide with it these averages?",
    panel=o.METHOD,
)
UP_TO = o.Option("up-to", o.length, "A", "Widest average considered by --at, in Å.", panel=o.METHOD)
EPS_X = o.Option(
    "eps-x",
    o.length,
    "X",
    "Distance in Å below which positions coincide. Default: the width of a box, the eps of other kernels.",
    panel=o.METHOD,
)
BALL = o.Option(
    "ball",
    o.flag,
    "",
    "The whole field instead of a profile: ranges along a, b and c, and within a ball.",
    default=False,
    panel=o.METHOD,
)
TAU = o.Option(
    "tau", o.number, "T", "Largest power in the gap, over that above and below it.", default=0.01, panel=o.METHOD
)


DEMO_FOLDER = o.Option(
    "output",
    o.path,
    "FOLDER",
    "Write here; the folder is made if need be. Default: gpuhomog-demo.",
    default=Path("gpuhomog-demo"),
    short="o",
    panel=o.OUTPUT,
    names=o.FOLDER,
)


def result_out(what: str) -> o.Option:
    """The option -o of a command that writes a result."""
    return replace(
        o.OUT, help=f"Write {what} here; the suffix chooses the format: .csv, .json or .h5.", names=o.RESULT_FILE
    )


def required(option: o.Option, help: str | None = None) -> o.Option:
    """The same option, which must be given."""
    return replace(option, required=True, help=help or option.help)


_TABLE = (
    Command(
        "info",
        "Show what a file holds: grid, cell, atoms, quantity, unit, mean and integral.",
        "Use it first on a new file: the integral of an electron density must be the number of electrons, that of a "
        "charge density the net charge. With --ion-charges it is checked against the ions.",
        (
            "gpuhomog info CHGCAR",
            "gpuhomog info density.cube --quantity electron_density --json",
            "gpuhomog info CHGCAR --ion-charges Na=1,Cl=7",
        ),
        (
            HEADER,
            *o.READING,
            o.ION_CHARGES,
            replace(o.NET_CHARGE, help="Charge in e that the cell should have."),
            *o.READING_COMMON,
        ),
        run_info,
        python=("gh.charge_balance",),
    ),
    Command(
        "convert",
        "Write a field to another file format.",
        "Reads any supported file and writes HDF5, Zarr, NumPy or cube. With --ion-charges an electron density becomes "
        "a charge density: electrons negative, each ion a Gaussian of its charge.",
        (
            "gpuhomog convert CHGCAR -o density.h5",
            "gpuhomog convert CHGCAR --ion-charges Na=1,Cl=7 -o charge.h5",
            "gpuhomog convert LOCPOT --to Ha -o potential.cube",
        ),
        (*o.READING, *o.MAKING, required(o.OUT), TO, *o.READING_COMMON),
        run_convert,
        check_making,
    ),
    Command(
        "average",
        "Average a field with a smooth kernel: the mesoscale field.",
        "Each point of the result is the mean of the input around it, weighted by the kernel. With --spacing the "
        "result has only as many points as a smooth field needs, and is the same there, point for point.",
        (
            "gpuhomog average CHGCAR --kernel gaussian --eps 6 --spacing 1 -o smooth.h5",
            "gpuhomog average LOCPOT --kernel gaussian --eps 6 --plot smooth.pdf",
            "gpuhomog average LOCPOT --kernel box --width 4,4,5.6 -o box.h5",
            "gpuhomog average CHGCAR --kernel gaussian --eps 2,5 --variance spread.h5 --gradient slope.h5",
        ),
        (
            *o.READING,
            *o.MAKING,
            o.KERNEL,
            o.EPS,
            o.WIDTH,
            o.SPACING,
            o.SAMPLING,
            FIELD_OUTSIDE,
            o.PADDED,
            o.OUT,
            VARIANCE,
            GRADIENT,
            o.PLOT,
            AT,
            o.FIGURE_WIDTH,
            *o.READING_COMMON,
        ),
        run_average,
        check_average,
    ),
    Command(
        "profile",
        "Average over planes, and over the period of the layers: the macroscopic profile.",
        "The planar average is the mean over each plane normal to the chosen direction. Its running mean over exactly "
        "one layer spacing, or over one of each of two materials, removes the microscopic oscillation; what is left of "
        "it is reported as ripple, with an uncertainty for each value.",
        (
            "gpuhomog profile LOCPOT --axis c -o profile.csv --plot profile.pdf",
            "gpuhomog profile LOCPOT --periods 2.82,3.10 -o macro.csv --planar planar.csv",
            "gpuhomog profile LOCPOT --axis 1,1,0 --periods none --json",
        ),
        (
            *o.READING,
            *o.MAKING,
            o.AXIS,
            o.PERIODS,
            o.PASSES,
            o.OUTSIDE,
            o.PADDED,
            result_out("the planar average and the macroscopic one, side by side,"),
            PLANAR,
            o.PLOT,
            o.FIGURE_WIDTH,
            *o.READING_COMMON,
        ),
        run_profile,
        check_making,
    ),
    Command(
        "macro",
        "Give the macroscopic field as an interval: the averages of all positions that coincide.",
        "A macroscopic position is one to within eps_x, so that the field there is a range of averages, of a width "
        "eps_V. It is given with and without the slope of the field, and eps_p for its derivative. With --at the "
        "assumption that all coincident positions have these averages is decided: yes, no, or undecided.",
        (
            "gpuhomog macro LOCPOT --width 5.64 --axis c --plot interval.pdf",
            "gpuhomog macro CHGCAR --width 5.64 --at 12 --up-to 6 --json",
            "gpuhomog macro LOCPOT --kernel ball --eps 4 --ball",
        ),
        (
            *o.READING,
            *o.MAKING,
            o.AXIS,
            replace(o.KERNEL, required=False, default="box"),
            o.EPS,
            o.WIDTH,
            EPS_X,
            replace(
                o.SPACING,
                parse=o.length,
                metavar="D",
                help="Largest distance in Å between points of the macroscopic grid. Default: an eighth of eps_x.",
            ),
            BALL,
            MACRO_AT,
            UP_TO,
            o.SAMPLING,
            FIELD_OUTSIDE,
            result_out("the intervals"),
            o.PLOT,
            o.FIGURE_WIDTH,
            *o.READING_COMMON,
        ),
        run_macro,
        check_macro,
    ),
    Command(
        "scales",
        "Find at which scales a field is microscopic and macroscopic, and what that permits.",
        "The power of the field's waves is looked through for the widest gap: below it lies what is macroscopic, above "
        "it the microscopic structure. Recommended is the eps of an averaging kernel in between. How the power grows "
        "in the gap (alpha) says whether surface charges and potential steps exist for such a field.",
        (
            "gpuhomog scales CHGCAR --plot scales.pdf",
            "gpuhomog scales LOCPOT --axis c --window 10,30 --json",
        ),
        (
            *o.READING,
            *o.MAKING,
            SCALES_AXIS,
            o.WINDOW,
            o.GAP,
            TAU,
            result_out("the result, with the spectrum,"),
            o.PLOT,
            o.FIGURE_WIDTH,
            *o.READING_COMMON,
        ),
        run_scales,
        check_scales,
    ),
    Command(
        "surface",
        "Charge per area of the surfaces of a slab, with its uncertainty.",
        f"Needs a {SIGNED}: for an electron density (CHGCAR) give --ion-charges. Three estimates are made: the mean "
        "of the cumulative charge over one period of the bulk, a smooth kernel, and a partition into neutral "
        "intervals; each with the spread over where the bulk is cut. Where a surface charge does not exist, the reason "
        "is given. With --hkl or --scan a bulk crystal is cut along lattice planes instead, and nothing moves: the "
        "charge of every termination, and which are neutral.",
        (
            "gpuhomog surface charge.cube --quantity charge_density --axis c --plot surface.pdf",
            "gpuhomog surface CHGCAR --ion-charges Na=1,Cl=7 --axis c --side low --json",
            "gpuhomog surface crystal.h5 --hkl 1,1,0 --scan --plot terminations.pdf",
            "gpuhomog surface CHGCAR --axis c --reference bulk --x-surface 5.2,22.8",
        ),
        (
            *o.READING,
            *o.MAKING,
            o.AXIS,
            o.SIDE,
            o.X_B,
            o.PERIOD,
            o.SURFACE_EPS,
            o.BULK,
            o.ORIGIN,
            o.BULK_VALUE,
            o.X_SURFACE,
            o.SAMPLING,
            o.HKL,
            o.SCAN,
            o.CUT,
            o.PAIRED,
            result_out("the result"),
            o.PLOT,
            o.FIGURE_WIDTH,
            *o.READING_COMMON,
        ),
        run_surface,
        check_surface,
        python=("gh.surface_charge",),
    ),
    Command(
        "interface",
        "Charge per area of the interface between two materials, with its uncertainty.",
        f"Needs a {SIGNED}: for an electron density (CHGCAR) give --ion-charges. On a periodic axis the interface is "
        "what lies going up from X1 to X2, through the end of the cell if need be.",
        (
            "gpuhomog interface charge.h5 --axis c --between 6,18 --plot interface.pdf",
            "gpuhomog interface CHGCAR --ion-charges Na=1,Cl=7 --between 6,18 --periods 2.82,3.1",
        ),
        (
            *o.READING,
            *o.MAKING,
            o.AXIS,
            o.BETWEEN,
            o.BULK_PERIODS,
            o.SURFACE_EPS,
            replace(o.ORIGIN, help="Origin of the dipole in Å. Default: the middle between the two positions."),
            o.SAMPLING,
            result_out("the result"),
            o.PLOT,
            o.FIGURE_WIDTH,
            *o.READING_COMMON,
        ),
        run_interface,
        check_making,
        python=("gh.interface_charge", "interface_charge"),
    ),
    Command(
        "step",
        "Step of the potential across a slab or an interface, with the vacuum levels and the bulk's.",
        "Takes a potential (LOCPOT), or a charge density, from which the potential follows. The vacuum is where the "
        "potential is straight, on each side; the bulk's level is the mean over exactly one period. All levels are "
        "those of a positive charge, in V: for an electron's energy in eV change the sign.",
        (
            "gpuhomog step LOCPOT --axis c --plot step.pdf",
            "gpuhomog step LOCPOT --axis c --between 6,18 --period 2.82,3.10 --json",
        ),
        (
            *o.READING,
            *o.MAKING,
            o.AXIS,
            replace(o.BETWEEN, required=False, help="Across an interface instead of a slab: " + STEP_BETWEEN),
            STEP_PERIOD,
            DENSITY,
            replace(o.X_B, help="Where the level of the bulk is taken, in Å. Default: the middle of the slab."),
            o.SAMPLING,
            result_out("the result"),
            o.PLOT,
            o.FIGURE_WIDTH,
            *o.READING_COMMON,
        ),
        run_step,
        check_making,
    ),
    Command(
        "corners",
        "Charge (or any excess) of the edges and corners of a structure, with closure residual and uncertainty.",
        "Where regions end they carry an excess: faces per area, edges per length, corners each their own. The "
        "positions have no default, since the values depend on them unless the field is zero inside on average. "
        "Corners (x, y) are those of a structure that is uniform along --axis, such as a wire; (x, y, z) of any.",
        (
            "gpuhomog corners wire.h5 --box 8,32,8,30 --plot corners.pdf",
            "gpuhomog corners CHGCAR --ion-charges Na=1,Cl=7 --box 5,25,5,25,5,25 --json",
            "gpuhomog corners charge.cube --quantity charge_density --regions regions.toml --eps 2 -o corners.json",
        ),
        (
            *o.READING,
            *o.MAKING,
            o.REGIONS,
            o.BOX,
            o.REFERENCE,
            o.WINDOW_EPS,
            o.RHO,
            o.UNIFORM_AXIS,
            o.SAMPLING,
            result_out("the result"),
            o.PLOT,
            o.FIGURE_WIDTH,
            *o.READING_COMMON,
        ),
        run_corners,
        check_corners,
    ),
    Command(
        "trajectory",
        "Mean charge profile of a molecular dynamics trajectory, with standard errors.",
        "Reads what MDAnalysis reads (LAMMPS, GROMACS, XYZ and others), one frame at a time. The errors take into "
        "account how long frames remember each other, and say so where the run is too short to know.",
        (
            "gpuhomog trajectory run.xtc --topology run.tpr --spacing 0.2 -o profile.csv --plot profile.pdf",
            "gpuhomog trajectory run.xyz --charges Na=1,Cl=-1 --cell 20,0,0,0,20,0,0,0,60 --spacing 0.5",
        ),
        (
            o.TOPOLOGY,
            o.CHARGES,
            o.CELL_ROWS,
            o.TRAJECTORY_FORMAT,
            o.ATOM_STYLE,
            o.START,
            o.EVERY,
            replace(o.UNIFORM_AXIS, help="Along which the profile is: a, b or c."),
            o.BIN,
            result_out("the profile"),
            o.PLOT,
            o.FIGURE_WIDTH,
            o.JSON,
            o.QUIET,
        ),
        run_trajectory,
        alone=True,
    ),
    Command(
        "demo",
        "Homogenize a real slab that comes with the package, and compare with what is known of it.",
        "Six layers of NaCl(001) from a DFT calculation: profiles, surface charges, potential levels and a mesoscale "
        "average, as numbers and figures in a folder. Needs no input and no network, and takes some seconds.",
        ("gpuhomog demo", "gpuhomog demo -o slab --json"),
        (DEMO_FOLDER, *o.COMMON),
        run_demo,
        check_folder,
        reads=False,
        alone=True,
    ),
    Command(
        "devices",
        "List where this installation can compute.",
        "Threads, GPUs with their memory and versions, or the reason why there is none. The environment variable "
        "GPUHOMOG_DEVICE says what --device auto is; otherwise it is the first GPU (of several ranks on a node each "
        "takes the next), else the CPU. Under mpiexec also what each rank computes on, how arrays get from rank to "
        "rank, and why not faster; GPUHOMOG_TRANSPORT=ipc, nccl, mpi or staged chooses.",
        ("gpuhomog devices",),
        (o.JSON, o.QUIET),
        run_devices,
        reads=False,
    ),
    Command(
        "tune",
        "Plan the fast Fourier transforms of a file's grid, once, so that later runs on grids of that size are faster.",
        "Planning takes some seconds. The plan is stored for this user and used by every later command.",
        ("gpuhomog tune CHGCAR",),
        (*o.READING, *o.COMMON),
        run_tune,
        alone=True,
    ),
)

COMMANDS = {command.name: command for command in _TABLE}

__all__ = ["COMMANDS"]
