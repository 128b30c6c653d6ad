"""The layout is the architecture: imports point down, and each optional library has one room."""

import ast
from pathlib import Path

import gpuhomog

ROOT = Path(gpuhomog.__file__).parent

# Higher number: higher room. A module may import rooms below its own, and its own.
ROOMS = {
    "__main__": 11,
    "cli": 10,
    "jobs": 9,
    "paper": 8.5,
    "__init__": 8,
    "plots": 7,
    "report": 7,
    "readers": 6,
    "writers": 6,
    "operators": 5,
    "averaging_kernels": 4,
    "field": 3,
    "results": 3,
    "fft": 2,
    "streaming": 2.7,
    "reduction": 2.5,
    "device": 1,
    "parallel": 1,
    "grid": 0,
    "memory_order": 0,
    "structure": 0,
    "units": 0,
    "errors": 0,
    "progress": 0,
    "_version": 0,
    "_starting": 0,
}

# library: the files that may import it
ONLY_IN = {
    "cupy": ("device/",),
    "mpi4py": ("parallel/mpi.py",),
    "matplotlib": ("plots/",),
    "numba": ("device/cpu/compiled.py",),
    "pyfftw": ("device/fftw.py",),
    "ducc0": ("device/cpu/transforms.py",),
    "typer": ("cli.py", "cli/"),
    "rich": ("cli.py", "cli/"),
}


def imports_of(source: str, package: tuple[str, ...]):
    """Absolute dotted names of everything that a module imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0:
                yield node.module
            else:
                base = package[: len(package) - node.level + 1]
                head = ".".join((*base, *([node.module] if node.module else [])))
                yield from (f"{head}.{alias.name}" for alias in node.names) if node.module is None else (head,)


def violations(path: Path, source: str):
    relative = path.relative_to(ROOT)
    room = relative.parts[0].removesuffix(".py")
    package = ("gpuhomog", *relative.parts[:-1])
    for name in imports_of(source, package):
        top, *rest = name.split(".")
        if top == "gpuhomog":
            target = rest[0] if rest else "__init__"
            if target not in ROOMS:
                target = "__init__"
            below = ROOMS[target] < ROOMS[room] or ROOMS[target] == 0
            if target != room and not below:
                yield f"{relative} imports {name}: {room} does not lie above {target}"
        elif top in ONLY_IN and not str(relative).startswith(ONLY_IN[top]):
            yield f"{relative} imports {top}, which belongs in {', '.join(ONLY_IN[top])} alone"


def test_every_module_has_a_room():
    rooms = {p.relative_to(ROOT).parts[0].removesuffix(".py") for p in ROOT.rglob("*.py")}
    assert rooms <= ROOMS.keys()


def test_imports_point_down():
    files = sorted(ROOT.rglob("*.py"))
    assert len(files) > 15
    found = [v for path in files for v in violations(path, path.read_text())]
    assert found == []


def test_an_upward_import_is_found():
    planted = {
        "device/cpu.py": "from ..field import Field",
        "operators/averages/average.py": "from ...readers import read",
        "grid.py": "import gpuhomog.results",
        "field.py": "import matplotlib.pyplot",
        "parallel/comm.py": "from mpi4py import MPI",
        "units.py": "from . import field",
        "readers/cube.py": "from .. import read",
    }
    for name, source in planted.items():
        assert list(violations(ROOT / name, source)), name


def test_the_core_needs_only_numpy_and_scipy():
    """`import gpuhomog` works on bare GPU nodes and is quick: it imports no optional library and no part of SciPy."""
    import subprocess
    import sys

    code = (
        "import sys; import gpuhomog;"
        "found = {m if m.startswith('scipy.') else m.split('.')[0] for m in sys.modules} & "
        "{'cupy','mpi4py','matplotlib','pyfftw','ducc0','typer','rich','ase','h5py','sisl','zarr','xarray','pymatgen','MDAnalysis',"
        "'numba','scipy.fft','scipy.special','scipy.optimize','scipy.linalg','scipy.interpolate','scipy.sparse'};"
        "print(','.join(sorted(found)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == ""


def test_nothing_slow_is_imported_before_it_is_needed():
    """Every command begins with this import: SciPy's parts take longer than all of the package."""
    import subprocess
    import sys

    code = "import sys; import gpuhomog; print(*(m for m in ('scipy.optimize', 'scipy.special') if m in sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == ""
