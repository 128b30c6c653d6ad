"""Demo: a real slab that comes with the package, homogenized in every way, against what is known of it.

NaCl(001), six layers: its charge density and potential (examples/README.md) go through the same calls as any
file of a user. What is known was found by an independent route: double integration of the planar average on the
original file's own grid, and the layer spacing that the atoms were put at.

In   folder to write to.
Out  Outcome: a table of what was found and what is known; CSV, JSON and figures in the folder.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from .. import average, charge_balance, macroscopic_average, planar_average, potential_step, read, surface_charge
from .. import electrostatic_potential as potential_of
from ..averaging_kernels import Gaussian
from ..errors import GpuhomogError, InputError
from ..field import Field
from ..results import Measurement, plain
from ..writers import write
from ..writers.atomic import replacing
from .task import Inputs, Outcome, Rows

DENSITY, POTENTIAL = "NaCl_slab_charge_density.h5", "NaCl_slab_electron_potential_energy.h5"
EPS, SPACING = 2.82, 0.25  # Å: one layer; points of the mesoscale field


@dataclass(frozen=True)
class Known:
    """A number that the demo must reproduce: value ± tolerance, in a unit, and why it is known."""

    value: float
    tolerance: float
    unit: str
    why: str

    def agrees(self, found: Measurement) -> bool:
        """True if the number found lies within the tolerance."""
        return found.value is not None and abs(found.value - self.value) <= self.tolerance


KNOWN = {
    "net charge": Known(0.0, 2e-8, "e", "the slab is neutral"),
    "dipole per area": Known(0.0, 2e-8, "e/Å", "the slab is symmetric"),
    "layer spacing": Known(2.82, 1e-3, "Å", "where the atoms stand"),
    "σ low": Known(0.0, 2e-5, "e/Å^2", "both surfaces are uncharged"),
    "σ high": Known(0.0, 2e-5, "e/Å^2", "both surfaces are uncharged"),
    "bulk - vacuum (potential)": Known(5.832, 0.002, "V", "mean over whole central layers"),
    "bulk - vacuum (charge)": Known(5.832, 0.002, "V", "mean over whole central layers"),
    "vacuum - vacuum": Known(0.0, 0.002, "V", "the slab is symmetric"),
}


def example(name: str, device: str) -> Field:
    """A field that comes with the package."""
    with as_file(files("gpuhomog") / "examples" / name) as path:
        return read(path, device=device)


def check_folder(values: dict[str, Any]) -> None:
    """The folder can be made or used."""
    folder = values["output"]
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file. Name a folder with -o.")
    if not folder.exists() and not folder.parent.is_dir():
        raise InputError(f"{folder}: the folder {folder.parent} does not exist. Create it, or choose another with -o.")


def make_folder(folder: Path) -> None:
    """The folder, made if it is not there."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror}). Choose another folder with -o.") from None


def run_demo(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Homogenize the slab, compare, write."""
    from ..plots import plot_profile, plot_slices, plot_step, plot_surface, save_figure

    folder = values["output"]
    make_folder(folder)
    density = example(DENSITY, values["device"])
    potential = potential_of(example(POTENTIAL, values["device"]))

    balance = charge_balance(density)
    charge_profile, potential_profile = planar_average(density, "c"), planar_average(potential, "c")
    charge_macro, potential_macro = macroscopic_average(charge_profile), macroscopic_average(potential_profile)
    surfaces = surface_charge(charge_profile)
    from_potential, from_charge = potential_step(potential_profile), potential_step(charge_profile)
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        smooth = average(density, Gaussian(EPS), spacing=SPACING)
    remarks = [str(warning.message) for warning in noted]

    spacing = Measurement(charge_macro.periods[0], "Å", charge_macro.provenance[-1]["window_uncertainties"][0])
    assert surfaces.low is not None and surfaces.high is not None
    assert from_potential.bulk_minus_low is not None and from_charge.bulk_minus_low is not None
    found = {
        "net charge": balance.net,
        "dipole per area": surfaces.dipole,
        "layer spacing": spacing,
        "σ low": surfaces.low,
        "σ high": surfaces.high,
        "bulk - vacuum (potential)": from_potential.bulk_minus_low,
        "bulk - vacuum (charge)": from_charge.bulk_minus_low,
        "vacuum - vacuum": from_potential.step,
    }

    tables: dict[str, Any] = {
        "charge_planar.csv": charge_profile,
        "charge_macroscopic.csv": charge_macro,
        "potential_planar.csv": potential_profile,
        "potential_macroscopic.csv": potential_macro,
        "surface_charge.csv": surfaces,
        "potential_step.csv": from_potential,
        "charge_average.h5": smooth,
    }
    figures: dict[str, Callable[[], Any]] = {
        "charge_profile": lambda: plot_profile(charge_profile, charge_macro),
        "potential_profile": lambda: plot_profile(potential_profile, potential_macro),
        "surface_charge": lambda: plot_surface(charge_profile, surfaces),
        "potential_step": lambda: plot_step(potential_profile, from_potential),
        "charge_average": lambda: plot_slices(smooth),
    }
    outputs = [write(result, folder / name) for name, result in tables.items()]
    outputs += [save_figure(draw(), folder / f"{name}.png") for name, draw in figures.items()]

    wrong = [name for name, known in KNOWN.items() if not known.agrees(found[name])]
    report: dict[str, Any] = {
        "found": found,
        "known": KNOWN,
        "agrees": not wrong,
        "mesoscale": {"eps": EPS, "shape": smooth.grid.shape, "unit": smooth.unit, "remarks": remarks},
        "surface_charge": surfaces,
        "potential_step": from_potential,
        "potential_step_from_charge": from_charge,
    }
    with replacing(folder / "demo.json") as temporary:
        temporary.write_text(json.dumps(plain(report), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    outputs.append(folder / "demo.json")
    if wrong:
        raise GpuhomogError(
            f"The demo found other numbers than are known for {', '.join(wrong)}: see {folder / 'demo.json'}. "
            "Please report this with your versions of NumPy and SciPy."
        )
    rows: Rows = [
        ("", "found", "known"),
        *((name, in_words(found[name]), f"{known.value:g} ± {known.tolerance:g}") for name, known in KNOWN.items()),
    ]
    about: Rows = [
        ("slab", f"NaCl(001), {len(density.structure or ())} atoms, {surfaces.thickness:.2f} Å thick"),
        ("grid", " × ".join(map(str, density.grid.shape))),
        ("mesoscale", f"Gaussian, eps {EPS} Å, on {' × '.join(map(str, smooth.grid.shape))} points"),
    ]
    return Outcome(
        report,
        (("A slab of rock salt, homogenized", about), ("Every number agrees with what is known of it", rows)),
        outputs=tuple(outputs),
    )


def in_words(found: Measurement) -> str:
    """A measurement for people; one that is nothing but a small number as a power of ten."""
    if found.value and abs(found.value) < 1e-4 and (found.uncertainty or 0.0) < 1e-10:
        return f"{found.value:.1e} {found.unit}"
    return str(found)
