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
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from ..averaging_kernels import Gaussian
from ..errors import GpuhomogError, InputError
from ..field import Field
from ..operators.averages.average import average
from ..operators.charge import ChargeBalance, charge_balance
from ..operators.excess.surface import SurfaceCharge, surface_charge
from ..operators.potentials.poisson import electrostatic_potential
from ..operators.potentials.potential_step import PotentialStep, potential_step
from ..operators.profiles.macroscopic import macroscopic_average
from ..operators.profiles.planar import planar_average
from ..readers import read
from ..results import Measurement, Profile, Result, plain
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


def write_report(report: dict[str, Any], path: Path) -> Path:
    """A report as indented JSON; the path."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(plain(report), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return path


@dataclass(frozen=True)
class Homogenized:
    """What was found of the slab; remarks are the warnings that its average gave."""

    density: Field
    balance: ChargeBalance
    charge: Profile
    charge_macro: Profile
    potential: Profile
    potential_macro: Profile
    surfaces: SurfaceCharge
    step: PotentialStep
    step_from_charge: PotentialStep
    smooth: Field
    remarks: tuple[str, ...]

    @classmethod
    def on(cls, device: str) -> Homogenized:
        """Everything, computed on a device."""
        density = example(DENSITY, device)
        charge = planar_average(density, "c")
        potential = planar_average(electrostatic_potential(example(POTENTIAL, device)), "c")
        with warnings.catch_warnings(record=True) as noted:
            warnings.simplefilter("always")
            smooth = average(density, Gaussian(EPS), spacing=SPACING)
        return cls(
            density,
            charge_balance(density),
            charge,
            macroscopic_average(charge),
            potential,
            macroscopic_average(potential),
            surface_charge(charge),
            potential_step(potential),
            potential_step(charge),
            smooth,
            tuple(str(warning.message) for warning in noted),
        )

    @property
    def numbers(self) -> dict[str, Measurement]:
        """Those that are known, by their names in KNOWN."""
        spacing = self.charge_macro.provenance[-1]["window_uncertainties"][0]
        surfaces, levels, by_charge = self.surfaces, self.step, self.step_from_charge
        assert surfaces.low is not None and surfaces.high is not None
        assert levels.bulk_minus_low is not None and by_charge.bulk_minus_low is not None
        return {
            "net charge": self.balance.net,
            "dipole per area": surfaces.dipole,
            "layer spacing": Measurement(self.charge_macro.periods[0], "Å", spacing),
            "σ low": surfaces.low,
            "σ high": surfaces.high,
            "bulk - vacuum (potential)": levels.bulk_minus_low,
            "bulk - vacuum (charge)": by_charge.bulk_minus_low,
            "vacuum - vacuum": levels.step,
        }

    def write_to(self, folder: Path) -> list[Path]:
        """Tables, the average and figures; their paths."""
        from ..plots import plot_profile, plot_slices, plot_step, plot_surface, save_figure

        tables: dict[str, Field | Result] = {
            "charge_planar.csv": self.charge,
            "charge_macroscopic.csv": self.charge_macro,
            "potential_planar.csv": self.potential,
            "potential_macroscopic.csv": self.potential_macro,
            "surface_charge.csv": self.surfaces,
            "potential_step.csv": self.step,
            "charge_average.h5": self.smooth,
        }
        figures = {
            "charge_profile": plot_profile(self.charge, self.charge_macro),
            "potential_profile": plot_profile(self.potential, self.potential_macro),
            "surface_charge": plot_surface(self.charge, self.surfaces),
            "potential_step": plot_step(self.potential, self.step),
            "charge_average": plot_slices(self.smooth),
        }
        outputs = [write(result, folder / name) for name, result in tables.items()]
        return outputs + [save_figure(figure, folder / f"{name}.png") for name, figure in figures.items()]


def run_demo(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Homogenize the slab, compare, write."""
    folder = values["output"]
    make_folder(folder)
    slab = Homogenized.on(values["device"])
    found, smooth = slab.numbers, slab.smooth
    wrong = [name for name, known in KNOWN.items() if not known.agrees(found[name])]
    report: dict[str, Any] = {
        "found": found,
        "known": KNOWN,
        "agrees": not wrong,
        "mesoscale": {"eps": EPS, "shape": smooth.grid.shape, "unit": smooth.unit, "remarks": slab.remarks},
        "surface_charge": slab.surfaces,
        "potential_step": slab.step,
        "potential_step_from_charge": slab.step_from_charge,
    }
    outputs = (*slab.write_to(folder), write_report(report, folder / "demo.json"))
    if wrong:
        raise GpuhomogError(
            f"The demo found other numbers than are known for {', '.join(wrong)}: see {outputs[-1]}. "
            "Please report this with your versions of NumPy and SciPy."
        )
    rows: Rows = [
        ("", "found", "known"),
        *((name, in_words(found[name]), f"{known.value:g} ± {known.tolerance:g}") for name, known in KNOWN.items()),
    ]
    about: Rows = [
        ("slab", f"NaCl(001), {len(slab.density.structure or ())} atoms, {slab.surfaces.thickness:.2f} Å thick"),
        ("grid", " × ".join(map(str, slab.density.grid.shape))),
        ("mesoscale", f"Gaussian, eps {EPS} Å, on {' × '.join(map(str, smooth.grid.shape))} points"),
    ]
    tables = (("A slab of rock salt, homogenized", about), ("Every number agrees with what is known of it", rows))
    return Outcome(report, tables, outputs=outputs)


def in_words(found: Measurement) -> str:
    """A measurement for people; one that is nothing but a small number as a power of ten."""
    if found.value and abs(found.value) < 1e-4 and (found.uncertainty or 0.0) < 1e-10:
        return f"{found.value:.1e} {found.unit}"
    return str(found)
