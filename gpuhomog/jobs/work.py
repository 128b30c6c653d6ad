"""Work: what each command does with its field, as costs, files and what it keeps; from shapes and options alone.

Whoever plans asks the code that a run asks: the way of an average, the padding of a potential, the modes of a cylinder.

In   Field without values (an array of one number, repeated), checked option values.
Out  Work. InputError for a field of which a run would say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ..field import Field
from ..grid import OPEN, axis_index
from ..operators.averages.average import plan_average
from ..operators.averages.ways import ByAllModes
from ..operators.charge import check_makes_charge, ions_by_planes
from ..operators.costs import (
    Cost,
    average_cost,
    busiest_bytes,
    filter_cost,
    gradient_cost,
    held,
    ions_cost,
    kept_on_disk,
    planar_cost,
    poisson_cost,
    read_once,
    report_cost,
    shifted_cost,
    streamed,
    times,
)
from ..operators.excess.charge_profile import check_charge
from ..operators.macroscale.field_intervals import BALL_PER_EPS
from ..operators.macroscale.scales import MOST_LOW_MODES
from ..operators.potentials.cylinder import Cylinder
from ..operators.potentials.inner_potential import check_is_charge, check_needs_density
from ..operators.potentials.interaction_energy import check_interacts
from ..operators.potentials.poisson import check_makes_potential
from ..operators.potentials.potential_step import check_asks_for_vacuum, check_shows_vacuum, check_steps
from ..operators.potentials.truncated import padded_grid
from ..streaming.memory import SLACK
from ..units import POTENTIALS
from .commands.averages import along_xyz
from .commands.common import check_says_density, kernel_of
from .commands.cylinder import check_sums

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Work:
    """What a command does with its field.

    cost    on the busiest rank
    fields  written: file, shape
    way     of an average
    kept    bytes of results beside values that are read some planes at a time (--max-memory); None: it needs all at
            once
    spectra bytes that spectra on the disk take beside such values
    """

    cost: Cost
    fields: tuple[tuple[Path | None, Shape], ...] = ()
    way: str | None = None
    kept: int | None = 0
    spectra: int = 0


def info_work(field: Field, values: Mapping[str, Any]) -> Work:
    """Its numbers."""
    return Work(Cost() if values["header"] else report_cost(busiest_bytes(field)))


def convert_work(field: Field, values: Mapping[str, Any]) -> Work:
    """With others added and subtracted, in another unit, and the numbers."""
    n_bytes, n_others = busiest_bytes(field), len(values["plus"] or ()) + len(values["less"] or ())
    other_unit = Cost() if values["to_unit"] is None else read_once(n_bytes, n_bytes)
    joined = times(n_others, read_once(2 * n_bytes, n_bytes))
    work = joined.beside(other_unit).beside(report_cost(n_bytes))
    return Work(work, ((values["output"], field.grid.shape),), kept=None if n_others else 0)


def average_work(field: Field, values: Mapping[str, Any]) -> Work:
    """Averages, variances and gradients, and their numbers; about points sums of values and squares, read once."""
    if values["point"] is not None:
        return Work(read_once(2 * busiest_bytes(field)))
    with_variance, with_gradient = values["variance"] is not None, values["gradient"] is not None
    if with_variance:
        field = replace(field, values=np.broadcast_to(np.float64(0), field.values.shape))
    plan, way = plan_average(
        field, kernel_of(dict(values)), values["spacing"], values["sampling"], "auto", values["padded"]
    )
    by_planes = streamed(plan)
    if by_planes is not None and values.get("max_memory") is not None:
        way = by_planes[-1]
    total = average_cost(plan, way)
    if with_variance or values["outside"] != 0:
        total = shifted_cost(field, total)
    if with_variance:
        total = total.beside(total)
    if with_gradient:
        total = total.beside(gradient_cost(plan, way))
    paths = [values["output"], *([values["variance"]] if with_variance else [])]
    paths += along_xyz(values["gradient"]) if with_gradient else ()
    out = held(plan.n_out, field.slab.axis, field.comm.size) * field.values.dtype.itemsize
    n_results = 1 + with_variance + 3 * with_gradient
    if n_results > 1 and by_planes is not None and isinstance(by_planes[-1], ByAllModes):
        by_planes = None  # a spectrum on the disk gives one result
    return Work(
        total.beside(report_cost(len(paths) * out)),
        tuple((path, plan.n_out) for path in paths),
        way.name,
        *((None,) if by_planes is None else (n_results * by_planes[0], by_planes[1])),
    )


def profile_work(field: Field, values: Mapping[str, Any]) -> Work:
    """Sums over planes; what is made of them is small."""
    return Work(planar_cost(field, values["axis"] or "c"))


def charge_work(field: Field, values: Mapping[str, Any]) -> Work:
    """Sums over planes of a charge density; of any quantity where a reference is subtracted."""
    if values.get("reference") is None:
        check_made(field, values, "A charge per area")
    return profile_work(field, values)


def made_quantity(field: Field, values: Mapping[str, Any]) -> str | None:
    """Quantity of what the options make of the input; None if its header does not tell: no file yet, or another block.

    Raises InputError where a run could not make it.
    """
    if not values["file"].exists() or values.get("block") is not None:
        return None
    with_ions, wanted = values.get("ion_charges") is not None, values.get("to_quantity")
    if with_ions or wanted == "charge_density":
        check_makes_charge(field.quantity, with_ions)
        return "charge_density"
    if wanted is not None:
        check_makes_potential(field.quantity)
    return wanted or field.quantity


def check_made(field: Field, values: Mapping[str, Any], wanted: str) -> None:
    """InputError where what is made of the input is no charge density; a file that is not there yet may be one."""
    made = made_quantity(field, values)
    if made is not None:
        check_charge(made, wanted)


def step_work(field: Field, values: Mapping[str, Any]) -> Work:
    """Sums over planes of what has a potential."""
    made = made_quantity(field, values)
    if made is not None:
        check_steps(made)
    return profile_work(field, values)


def current_work(field: Field, values: Mapping[str, Any]) -> Work:
    """Sums over planes of every frame; ions are added to one after another."""
    total = planar_cost(field, values["axis"])
    for _ in values["files"][1:]:
        total = total.beside(planar_cost(field, values["axis"])).beside(making_work(field, values).cost)
    return Work(total)


def macro_work(field: Field, values: Mapping[str, Any]) -> Work:
    """Sums over planes, or an average on a coarse grid."""
    if not values["ball"]:
        return profile_work(field, values)
    kernel = kernel_of(dict(values))
    spacing = values["spacing"] or (values["eps_x"] or kernel.eps) / BALL_PER_EPS
    plan, way = plan_average(field, kernel, spacing, values["sampling"], "auto", False)
    by_planes = streamed(plan)
    kept, spectra = (None, 0) if by_planes is None else by_planes[:2]
    return Work(average_cost(plan, way), way=way.name, kept=kept, spectra=spectra)


def scales_work(field: Field, values: Mapping[str, Any]) -> Work:
    """Sums over planes, or a transform of the whole; a few low modes where that is read some planes at a time."""
    if values["axis"] is not None:
        return profile_work(field, values)
    modes = [min(2 * MOST_LOW_MODES + 1, n) for n in field.grid.shape]
    return Work(filter_cost(field, field.grid.shape), kept=3 * 8 * prod(modes))


def corners_work(field: Field, values: Mapping[str, Any]) -> Work:
    """Weighted sums over windows; each value is read once, on the host."""
    return Work(read_once(busiest_bytes(field)))


def potential_work(field: Field, values: Mapping[str, Any]) -> Work:
    """Poisson's equation, unless the field is a potential: that changes its sign; or a cylinder's sums."""
    if values["radius"] is not None:
        return cylinder_work(field, values)
    made, wanted = made_quantity(field, {**values, "to_quantity": None}), values["to_quantity"]
    if made is not None:
        check_makes_charge(made, False) if wanted == "charge_density" else check_makes_potential(made)
    n_bytes, shape = busiest_bytes(field), field.grid.shape
    paths = (
        along_xyz(values["output"])
        if values["to_quantity"] == "electric_field" and values["output"]
        else (values["output"],)
    )
    if field.quantity in POTENTIALS and values["to_quantity"] == "electrostatic_potential":
        return Work(read_once(n_bytes, n_bytes).beside(report_cost(n_bytes)), ((values["output"], shape),))
    ions = Cost() if values["ion_charges"] is None else ions_cost(field)
    n_results = 3 if values["to_quantity"] == "electric_field" else 1
    solved = ions.beside(poisson_cost(field, n_results)).beside(report_cost(n_results * n_bytes))
    spectra = kept_on_disk(field, padded_grid(field.grid).shape) + (n_results - 1) * SLACK  # each leaves some behind
    return Work(solved, tuple((path, shape) for path in paths), spectra=spectra)


def energy_work(field: Field, values: Mapping[str, Any]) -> Work:
    """The potentials of both densities, one after another, and sums of products."""
    made = made_quantity(field, values)
    if made is not None:
        check_interacts(made)
    ions = Cost() if values["ion_charges"] is None else ions_cost(field).beside(ions_cost(field))
    both = poisson_cost(field).beside(poisson_cost(field))
    work = ions.beside(both).beside(read_once(8 * busiest_bytes(field)))
    return Work(work, spectra=2 * kept_on_disk(field, padded_grid(field.grid).shape))


def cylinder_work(field: Field, values: Mapping[str, Any]) -> Work:
    """A cylinder's sums at all points, or a spectrum of each plane that is asked for, of both sides and both parts."""
    values = {**values, "to_quantity": None}
    made = made_quantity(field, values)
    if made is not None:
        check_sums(made)
    check_made(field, values, "A cylinder potential")
    if values["at"] is None and values["point"] is None:
        once, shape = filter_cost(field, field.grid.shape), field.grid.shape
        return Work(
            once.beside(once).beside(report_cost(3 * busiest_bytes(field))), ((values["output"], shape),), kept=None
        )
    normal = axis_index(values["axis"] or "c")
    n_1, n_2 = Cylinder(field.grid, normal, values["radius"], values["edge"]).padded
    return spectra_work(field, normal, 4 * 16 * len(values["at"] or (0,)) * n_1 * (n_2 // 2 + 1))


def decay_work(field: Field, values: Mapping[str, Any]) -> Work:
    """What the modes of each plane add at a point: at most one number a mode, where no two are of one wavelength."""
    check_made(field, values, "The decay of a potential")
    normal = axis_index(values["axis"])
    n_1, n_2 = (n for axis, n in enumerate(field.grid.shape) if axis != normal)
    return spectra_work(field, normal, 8 * field.grid.shape[normal] * n_1 * (n_2 // 2 + 1))


def spectra_work(field: Field, normal: int, kept: int) -> Work:
    """Spectra of a few planes of an axis at a time, which go to the host; of planes in turn those of that axis only."""
    work = read_once(busiest_bytes(field)).beside(report_cost(busiest_bytes(field)))
    return Work(work, kept=kept if normal == field.slab.axis else None)


def cavity_work(field: Field, values: Mapping[str, Any]) -> Work:
    """A transform of the whole, whose rows go to the host, and sums over planes."""
    check_made(field, values, "A Lorentz cavity")
    work = filter_cost(field, field.grid.shape).beside(report_cost(busiest_bytes(field)))
    return Work(work, spectra=kept_on_disk(field, field.grid.shape))


def values_beside(command: str, values: Mapping[str, Any], option: str, file: Path) -> dict[str, Any]:
    """How another file is read that an option names, as a run would."""
    if option == "other":
        return {**values, "file": file}
    same = {name: values.get(name) for name in ("boundary", "dtype", "max_memory")}
    return {**same, "file": file, "quantity": "charge_density" if command == "inner-potential" else None}


def check_beside(command: str, field: Field, values: Mapping[str, Any], option: str, second: Field) -> None:
    """InputError where a run would refuse the quantity of the other file, or the other file beside the input's."""
    if option == "other":
        made = made_quantity(second, values)
        if made is not None:
            check_interacts(made)
    if option != "density":
        return
    made = made_quantity(field, {**values, "to_quantity": None} if command == "potential" else values)
    if command == "inner-potential":
        if made is not None:
            check_needs_density(made)
        check_is_charge(second.quantity)
        return
    check_says_density(values["density"], second.quantity)
    if command == "step" and made is not None:
        check_asks_for_vacuum(made, values["between"])
    check_shows_vacuum(second.quantity)


WORK: dict[str, Callable[[Field, Mapping[str, Any]], Work]] = {
    "info": info_work,
    "convert": convert_work,
    "average": average_work,
    "profile": profile_work,
    "macro": macro_work,
    "scales": scales_work,
    "surface": charge_work,
    "interface": charge_work,
    "step": step_work,
    "corners": corners_work,
    "moments": profile_work,
    "homogenize": profile_work,
    "surface-map": charge_work,
    "potential": potential_work,
    "energy": energy_work,
    "inner-potential": step_work,
    "cavity": cavity_work,
    "budget": charge_work,
    "decay": decay_work,
    "current": current_work,
}


def making_work(field: Field, values: Mapping[str, Any]) -> Work:
    """Ions added, or another quantity made of the input, which stays."""
    if values["ion_charges"] is not None:
        return Work(ions_cost(field), kept=0 if ions_by_planes(field) else None)
    if values["to_quantity"] == "charge_density":
        by_planes = OPEN not in field.grid.boundary
        spectra = kept_on_disk(field, field.grid.shape) if by_planes else 0
        return Work(filter_cost(field, field.grid.shape), kept=0 if by_planes else None, spectra=spectra)
    n_bytes = busiest_bytes(field)
    return Work(Cost() if values["to_quantity"] is None else read_once(n_bytes, n_bytes))
