"""Options: every option of every command once, for the command line and for job files alike.

An Option turns what was typed (text) or what a job file holds (a TOML value) into the value a command uses
(parsing.py), with the same checks and the same sentence where it cannot.

In   raw values by option name.
Out  values by Python name (dashes become underscores). InputError names the option and says what it wants.

>>> EPS.read("4"), EPS.read("2,5")
(4.0, (2.0, 5.0))
>>> EPS.read("four")
Traceback (most recent call last):
gpuhomog.errors.InputError: --eps "four": give a positive number in Å, such as 4.0, or several as 2,5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..averaging_kernels import Ball, Box, Gaussian, PowerLaw, TopHat
from ..device import choose_device
from ..errors import InputError, nearest_known
from ..grid import parse_boundary
from ..streaming import parse_bytes
from ..units import QUANTITIES
from .parsing import (
    Unusable,
    box,
    bulk_value,
    cell,
    checked,
    count,
    flag,
    interval,
    ion_charges,
    length,
    lengths,
    named_charges,
    net_charge,
    number,
    one_period,
    outside,
    path,
    periods,
    place,
    planes,
    positive,
    radii,
    reference,
    sizes,
    text,
    time_step,
    two_wavevectors,
    unit,
    word,
)


@dataclass(frozen=True)
class Option:
    """One option of a command.

    name      as typed after the dashes, and as a job file's key
    parse     raw value → value; raises Unusable
    metavar   what stands for the value in the help
    help      what it means, with the unit: of one name the same in all commands
    here      what else holds in this command: words it takes, what it is without the option
    default   value if it is not given (already parsed)
    required  True if the command cannot do without
    short     one-letter form
    panel     heading under which the help lists it
    names     what file it names: INPUT_FILE, FIELD_FILE, RESULT_FILE, FIGURE_FILE or FOLDER; "" if none
    files     the files that a name, or several, stand for, where it is not that one
    python    what messages for scripts say → what follows the option's name here (wording.py)
    """

    name: str
    parse: Callable[[Any], Any]
    metavar: str
    help: str
    default: Any = None
    required: bool = False
    short: str | None = None
    panel: str = "Options"
    names: str = ""
    files: Callable[[Any], tuple[Path, ...]] = lambda path: (path,)
    python: Mapping[str, str] = field(default_factory=dict)
    here: str = ""

    @property
    def told(self) -> str:
        """All that the help of a command says of it."""
        goes_on = self.here[:1].islower()  # with the words that it takes
        return f"{self.help[:-1]}: {self.here}" if goes_on else f"{self.help} {self.here}".strip()

    @property
    def key(self) -> str:
        """Name in Python."""
        return self.name.replace("-", "_")

    @property
    def words(self) -> tuple[str, ...]:
        """The words that it takes, where it takes words."""
        known: tuple[str, ...] = getattr(self.parse, "known", ())
        return known

    @property
    def is_flag(self) -> bool:
        """True if it takes no value on the command line."""
        return self.parse is flag

    def read(self, raw: Any, where: str = "") -> Any:
        """The value of a raw one; InputError with the place (of a job file, or the option itself)."""
        try:
            return self.parse(raw)
        except Unusable as problem:
            shown = f'"{raw}"' if isinstance(raw, str) else str(raw)
            name = f"{where}{self.name} =" if where else f"--{self.name}"
            raise InputError(f"{name} {shown}: {problem}{'' if str(problem).endswith('?') else '.'}") from None


INPUT, METHOD, OUTPUT, GENERAL = "Input", "What to compute", "Output", "General"
INPUT_FILE, FIELD_FILE, RESULT_FILE, FIGURE_FILE, FOLDER = "input", "field", "result", "figure", "folder"
KERNELS = {"gaussian": Gaussian, "tophat": TopHat, "box": Box, "ball": Ball, "powerlaw": PowerLaw}

QUANTITY = Option(
    "quantity",
    word(*QUANTITIES),
    "Q",
    "What the file holds: charge_density, electron_density, electrostatic_potential, electron_potential_energy or "
    "scalar. Needed for cube files and arrays, which do not say; values are then converted from atomic units.",
    panel=INPUT,
)
BOUNDARY = Option(
    "boundary",
    checked(parse_boundary),
    "p,p,o",
    "Boundary along a, b, c: p (periodic) or o (open: nothing beyond the cell). Default: what the file says, else "
    "periodic.",
    panel=INPUT,
)
DTYPE = Option(
    "dtype",
    word("float32", "float64"),
    "T",
    "Precision of the values in memory: float64, or float32 for half the memory. Default: float64.",
    panel=INPUT,
)
ION_CHARGES = Option(
    "ion-charges",
    ion_charges,
    "Na=1,Cl=7",
    "Turn an electron density into a charge density by adding the ions, with these charges in e "
    "(nucleus less core electrons: the valence charge of the pseudopotential); file takes those the file states.",
    panel=INPUT,
    python={
        "gh.charge_density(field, ion_charges": "Na=1,Cl=7",
        "gh.charge_density": "",
        "ion_charges": "",
    },
)
ION_WIDTH = Option(
    "ion-width",
    length,
    "W",
    "Standard deviation in Å of the Gaussians that stand for the ions. Default: two grid spacings.",
    panel=INPUT,
)
NET_CHARGE = Option(
    "net-charge",
    net_charge,
    "Q",
    "Charge in e that the cell should have, ions included.",
    here="Any other is refused; any accepts whatever it has.",
    default=0.0,
    panel=INPUT,
    python={"net_charge": "", "net_charge (None:": "(any:"},
)
TO_QUANTITY = Option(
    "to-quantity",
    word("charge_density", "electrostatic_potential"),
    "Q",
    "Turn the input into this quantity.",
    here="charge_density (e/Å^3, of a potential) or electrostatic_potential (V, of an electron's potential energy).",
    panel=INPUT,
    python={"gh.charge_density(potential": "charge_density"},
)
KIND = Option(
    "kind",
    text,
    "K",
    "Kind of file, where its name and content are not to decide.",
    here="CHGCAR, LOCPOT, cube, …",
    panel=INPUT,
)
BLOCK = Option(
    "block",
    text,
    "B",
    "Which field of a file with several: magnetization, down, … (gpuhomog info lists them). Default: the first.",
    panel=INPUT,
)
FRAME = Option(
    "frame", count(0, 10**9), "N", "Which of several structures in the file, from 0 on.", default=0, panel=INPUT
)
FILE_UNIT = Option(
    "unit",
    unit,
    "U",
    "Unit of the file's values, such as e/bohr^3 or eV, where the file does not say it. Default, with --quantity, for "
    "cube files and arrays: atomic units; none for potentials that pp.x, ABACUS or ASE wrote, which use Ry and eV.",
    panel=INPUT,
)
REPRODUCIBLE = Option(
    "reproducible",
    flag,
    "",
    "Add up planes in one fixed order: sums, profiles and averages with box or tophat have the same bits on any number "
    "of ranks. Slower.",
    default=False,
    panel=INPUT,
)
READING = (QUANTITY, FILE_UNIT, BOUNDARY, KIND, BLOCK, FRAME, DTYPE, REPRODUCIBLE)

KERNEL = Option(
    "kernel",
    word(*KERNELS),
    "K",
    "Shape of the averaging kernel.",
    here="gaussian, tophat, ball or powerlaw (size by --eps), or box (size by --width).",
    required=True,
    panel=METHOD,
)
EPS = Option(
    "eps",
    sizes,
    "X[,Y,…]",
    "Size of the averaging kernel in Å: twice its standard deviation along each Cartesian axis.",
    here="Several are applied one after another: the average of the average.",
    panel=METHOD,
)
WIDTH = Option(
    "width",
    lengths,
    "X[,Y,Z]",
    "Full width of the averaging window in Å.",
    here="Of a box, along all axes of the cell, or along a, b and c.",
    panel=METHOD,
)
SPACING = Option(
    "spacing",
    lengths,
    "D[,E,F]",
    "Largest distance in Å between the points of the result.",
    here="Along all axes, or along a, b and c. Default: the points of the input.",
    panel=METHOD,
)
SAMPLING = Option(
    "sampling",
    word("bandlimited", "cell"),
    "S",
    "What the input's values are: bandlimited (samples of a smooth field, as every DFT code writes) or cell "
    "(averages over the voxels, for cleaved or partitioned data). Default: bandlimited.",
    panel=METHOD,
)

AXIS = Option(
    "axis",
    planes,
    "A",
    "Direction across the planes: a, b or c.",
    here="Lattice planes h,k,l, such as 1,1,0, as well.",
    default="c",
    panel=METHOD,
)
CELL_AXIS = replace(AXIS, parse=word("a", "b", "c"), here="")
PASSES = Option("passes", count(1, 4), "N", "How often each window is applied, 1 to 4.", default=1, panel=METHOD)
OUTSIDE = Option(
    "outside",
    outside,
    "V[,W]",
    "Open axes: value beyond the cell, in the unit of the field.",
    here="One for both ends or two, or edge to continue the values there.",
    default=0.0,
    panel=METHOD,
)
PADDED = Option(
    "padded",
    flag,
    "",
    "Open axes: extend the result beyond the cell by the reach of the average, so that it holds the whole integral.",
    default=False,
    panel=METHOD,
)
SIDE = Option(
    "side",
    word("low", "high", "both"),
    "S",
    "What counts: the side below (low), above (high), or both.",
    default="both",
    panel=METHOD,
)
X_B = Option(
    "x-b",
    number,
    "X",
    "Position in the bulk, in Å along the normal: where it is cut, or its level taken.",
    here="Default: the middle of the slab.",
    panel=METHOD,
)
PERIOD = Option(
    "period",
    one_period,
    "P",
    "Period of the layers in Å along the normal.",
    here="auto finds it, none uses the kernel alone.",
    default="auto",
    panel=METHOD,
)
TWO_PERIODS = replace(PERIOD, parse=periods, metavar="P[,P2]")
WINDOWS = replace(
    TWO_PERIODS,
    python={"periods=…": "…", 'periods="auto"': "auto"},
    here="Of an interface both: these are the averaging windows; auto finds them, none gives the planar average alone.",
)
BULK = Option(
    "bulk",
    interval,
    "LOW,HIGH",
    "Positions in Å between which the bulk lies.",
    here="Default: found from the period.",
    panel=METHOD,
)
ORIGIN = Option(
    "origin",
    number,
    "X",
    "Position in Å that dipoles (first moments) are counted from.",
    here="Default: the face of each surface.",
    panel=METHOD,
)
ONE_EPS = replace(EPS, parse=length, metavar="X", here="")
SURFACE_EPS = replace(ONE_EPS, here="Of the kernel estimate. Default: a fifth of the thickness.")
BULK_VALUE = Option(
    "reference",
    bulk_value,
    "V",
    "Macroscopic value inside, which is subtracted, in the unit of the field.",
    here="Or bulk, the mean around the cut: then the excess of any quantity is found. Default: 0, for a neutral charge "
    "density.",
    panel=METHOD,
)
AT = Option("at", number, "X", "Position that is looked at, in Å along the normal.", panel=METHOD)
POINT = Option("point", place, "X,Y,Z", "Point that is looked at, Cartesian, in Å.", panel=METHOD)
RADIUS = Option(
    "radius",
    length,
    "R",
    "Radius in Å of the cylinder, normal to the planes, within which charge counts.",
    here="Default: infinite.",
    panel=METHOD,
)
RADII = Option("radii", radii, "R[,…]", "Radii in Å: one, several, or FROM:TO:STEP such as 30:60:0.5.", panel=METHOD)
LENGTH = Option(
    "length", length, "L", "Mesoscopic length in Å over which the charge density is averaged.", panel=METHOD
)
EPS_RHO = Option(
    "eps-rho",
    positive,
    "E",
    "Precision of a macroscopic charge density in e/Å^3: gives D_L/(E L^2), whether L resolves the surface's dipole.",
    panel=METHOD,
)
DENSITY = Option(
    "density",
    path,
    "FILE",
    "Density of the same slab, on the same planes, beside its potential.",
    panel=INPUT,
    python={"density out": "out"},
    names=INPUT_FILE,
)
X_SURFACE = Option(
    "x-surface",
    interval,
    "LOW,HIGH",
    "Dividing surfaces in Å, needed with --reference: the excess depends on them.",
    panel=METHOD,
)
HKL = Option(
    "hkl",
    planes,
    "H,K,L",
    "Cut a periodic crystal along these lattice planes: no slab is needed.",
    here="At --cut, or at every position.",
    panel=METHOD,
)
SCAN = Option(
    "scan",
    flag,
    "",
    "The charge of the cut at every position over one spacing of the planes (of --axis without --hkl): terminations, "
    "neutral cuts, polar or not, the polarization quantum.",
    default=False,
    panel=METHOD,
)
CUT = Option(
    "cut",
    number,
    "X",
    "Where the crystal is cut, in Å along the normal from the plane through the first grid point; matter above.",
    panel=METHOD,
)
PAIRED = Option(
    "paired",
    flag,
    "",
    "Electrons come in pairs: the polarization quantum is 2e per area.",
    here="With --scan or --hkl.",
    default=False,
    panel=METHOD,
)
BETWEEN = Option(
    "between",
    interval,
    "X1,X2",
    "Positions in Å, one deep in the bulk below the interface, one deep in the bulk above it.",
    required=True,
    panel=METHOD,
)
GAP = Option(
    "gap",
    two_wavevectors,
    "KL,KA",
    "Wavevectors in 1/Å between which the gap is. Default: the widest gap that keeps the scales apart.",
    panel=METHOD,
)

REGIONS = Option(
    "regions",
    path,
    "FILE",
    "TOML file of the regions: under each [[region]] its corners in Å (or box = two opposite ones), its reference and "
    "name.",
    panel=METHOD,
    names=INPUT_FILE,
)
BOX = Option(
    "box",
    box,
    "X0,X1,Y0,Y1[,Z0,Z1]",
    "Instead of --regions one rectangle or cuboid, from X0 to X1, Y0 to Y1 (and Z0 to Z1) in Å.",
    panel=METHOD,
)
REFERENCE = replace(
    BULK_VALUE,
    parse=reference,
    here="In the --box; constant or linear fits it deep inside.",
    default=0.0,
)
WINDOW_EPS = replace(ONE_EPS, here="That smooths the windows. Default: the largest that fits the regions.")
WINDOW_RADIUS = Option(
    "window-radius",
    length,
    "R",
    "Radius in Å of the windows around points and lines, at least 4 eps. Default: 4 eps.",
    panel=METHOD,
)
UNIFORM_AXIS = Option(
    "uniform-axis",
    word("a", "b", "c"),
    "A",
    "Regions of two dimensions: the axis along which the structure is uniform; x is along the next axis (a for c), y "
    "across it.",
    default="c",
    panel=METHOD,
)

TOPOLOGY = Option(
    "topology",
    path,
    "FILE",
    "File with the atoms, and their charges if it states them: .tpr, .psf, .gro, LAMMPS .data. Default: the input.",
    panel=INPUT,
    names=INPUT_FILE,
)
CHARGES = Option(
    "charges",
    named_charges,
    "Na=1,Cl=-1",
    "Charge in e of each element, atom name or type.",
    here="Default: what the files state.",
    panel=INPUT,
)
CELL = Option(
    "cell",
    cell,
    "A,B,C",
    "Cell in Å: three lengths of an orthogonal one, or three vectors as nine numbers, one after another.",
    here="Default: what the file states.",
    panel=INPUT,
)
TRAJECTORY_KIND = replace(KIND, here="As MDAnalysis names its formats: XYZ, LAMMPSDUMP, …")
ATOM_STYLE = Option(
    "atom-style", text, "S", 'Columns of a LAMMPS data file, such as "id type charge x y z".', panel=INPUT
)
START = Option("start", count(0, 10**9), "N", "First frame, from 0 on.", default=0, panel=INPUT)
STOP = Option(
    "stop",
    count(1, 10**9),
    "N",
    "Frame to end before: of --start 100 --stop 200 a hundred. Default: none.",
    panel=INPUT,
)
TIME_STEP = Option(
    "time-step",
    time_step,
    "T",
    "Time between the frames of the input with its unit, such as 0.5fs or 2ps; results are in that unit. Default: fs.",
    required=True,
    panel=INPUT,
)
EVERY = Option("every", count(1, 10**9), "N", "Take every Nth frame.", default=1, panel=INPUT)
BIN = replace(SPACING, parse=length, metavar="D", here="They are cells of that width.", required=True)

OUT = Option(
    "output",
    path,
    "OUT",
    "Write the result here.",
    here="The suffix chooses the format: .h5, .zarr, .npz, .cube or .xsf; a name that begins with CHGCAR or LOCPOT "
    "writes that.",
    short="o",
    panel=OUTPUT,
    names=FIELD_FILE,
)
PLOT = Option("plot", path, "FILE", "Draw a figure here: .png, .pdf or .svg.", panel=OUTPUT, names=FIGURE_FILE)
FIGURE_WIDTH = Option(
    "figure-width",
    word("column", "page"),
    "W",
    "Printed width of the figure: column (3.4 inches) or page (7 inches).",
    panel=OUTPUT,
)

DEVICE = Option(
    "device",
    checked(choose_device),
    "D",
    "Where to compute: auto, cpu or gpu:N.",
    default="auto",
    panel=GENERAL,
)
MAX_MEMORY = Option(
    "max-memory",
    checked(parse_bytes),
    "8GB",
    "Memory that each process may take: the input is then read some planes at a time, in one pass, and what was found "
    "is kept, so that the same command goes on after an interruption.",
    panel=GENERAL,
    python={"max_memory": ""},
)
FRESH = Option(
    "fresh",
    flag,
    "",
    "With --max-memory: begin anew, and discard what an interrupted run has kept.",
    default=False,
    panel=GENERAL,
    python={"fresh=True": ""},
)
JSON = Option("json", flag, "", "Print one JSON object on standard output.", default=False, panel=GENERAL)
QUIET = Option("quiet", flag, "", "No progress bars and no tables.", default=False, short="q", panel=GENERAL)
DRY_RUN = Option("dry-run", flag, "", "Print the script of the job and submit nothing.", default=False, panel=GENERAL)
MAKING = (ION_CHARGES, ION_WIDTH, NET_CHARGE, TO_QUANTITY)
COMMON = (DEVICE, JSON, QUIET)
READING_COMMON = (DEVICE, MAX_MEMORY, FRESH, JSON, QUIET)
FROM_FILE = (*READING, *MAKING)
"""Of commands on the field of a file, or on what is made of it."""
DRAWN = (PLOT, FIGURE_WIDTH, *READING_COMMON)
"""Of those that draw what they found."""


FORMER = {
    "at": ("point",),
    "axis": ("uniform-axis",),
    "between": ("gap",),
    "cylinder-radius": ("radius",),
    "device": ("machine",),
    "format": ("kind",),
    "l": ("length",),
    "memory": ("memory-per-node",),
    "order": ("end-weights",),
    "partition": ("queue",),
    "periods": ("period",),
    "point": ("in-plane",),
    "rho": ("window-radius",),
    "stages": ("eps",),
    "step": ("every",),
    "to": ("to-unit", "to-quantity"),
    "window": ("bulk", "width", "period"),
    "within": ("bulk",),
}
"""Names that options had, or that others give them → what they are called where a command has that option."""


COMMANDS_OF_OTHERS = {
    "align": "step",
    "alignment": "step",
    "band-alignment": "step",
    "difference": "convert",
    "dipole": "potential",
    "field": "potential",
    "macroscopic": "profile",
    "macroscopic-average": "profile",
    "planar": "profile",
    "planar-average": "profile",
    "poisson": "potential",
    "smooth": "average",
    "subtract": "convert",
    "vacuum": "potential",
    "vacuum-level": "potential",
    "vacuum-levels": "potential",
    "workfunction": "potential",
    "work-function": "potential",
}
"""What other programs call what a command does → the command."""


def as_option(key: str) -> str:
    """How an option is typed that has this name in Python.

    >>> as_option("x_b")
    '--x-b'
    """
    return f"--{key.replace('_', '-')}"


def renamed(name: str, known: Iterable[str]) -> str | None:
    """The option that is meant by a former name, if it is among the known ones.

    >>> renamed("cylinder_radius", ["axis", "radius"])
    'radius'
    """
    return next((now for now in FORMER.get(name.replace("_", "-"), ()) if now in known), None)


def read_values(options: Sequence[Option], raw: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Values by Python name: given ones parsed, the others at their default.

    Raises InputError for an unknown name (with the nearest known), an unusable value, a required one missing.
    """
    known = {option.key: option for option in options}
    values = {option.key: option.default for option in options}
    for name, value in raw.items():
        option = known.get(name.replace("-", "_"))
        if option is None:
            names = [o.name for o in options]
            if now := renamed(name, names):
                raise InputError(f'{where}unknown key "{name}": it is called "{now}".')
            raise InputError(f'{where}unknown key "{name}": {nearest_known(name, names)}')
        if value is not None:
            values[option.key] = option.read(value, where)
    for option in options:
        if option.required and values[option.key] is None:
            name, written = (option.name, f"{option.name} =") if where else (f"--{option.name}", f"--{option.name}")
            what = option.help[0].lower() + option.help[1:]
            raise InputError(f"{where}{name} is missing: write {written} {option.metavar}, {what}")
    return values
