"""Reading speed and memory of CHGCAR and cube files, beside pymatgen, ASE and NumPy in the same run.

Each case runs in processes of its own, in turns with the others, with the page cache warm; time is the best of
several reads, memory the process's peak minus what it held before, over the size of the float64 array.
`ratio_to_peer` is the peer's seconds over ours.

    python scaling/read.py [--n 192] [--repeat 5] [--rounds 3] [--keep]
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rows import append, machine, versions

READERS = {
    "gpuhomog": "import gpuhomog\ndef read(path): return gpuhomog.read(path, device='cpu').values",
    "gpuhomog, a tenth": (
        "import gpuhomog.readers as R, numpy as np\n"
        "def read(path):\n"
        "    s = R.open_source(path); n = s.grid.shape[s.slowest_axis]\n"
        "    return s.read_planes(n // 2, n // 2 + n // 10, s.blocks[0], np.dtype(float))"
    ),
    "pymatgen": {
        "CHGCAR": (
            "from pymatgen.io.vasp.outputs import VolumetricData\n"
            "def read(path): return VolumetricData.parse_file(path)[1]['total']"
        ),
        "cube": "from pymatgen.io.common import VolumetricData\n"
        "def read(path): return VolumetricData.from_cube(path).data['total']",
    },
    "ASE": {
        "CHGCAR": "from ase.calculators.vasp import VaspChargeDensity\n"
        "def read(path): return VaspChargeDensity(path).chg[0]",
        "cube": "from ase.io.cube import read_cube\ndef read(path): return read_cube(open(path))['data']",
    },
    "numpy.fromfile": {
        "CHGCAR": "import numpy as np\ndef read(path):\n"
        "    f = open(path); [f.readline() for _ in range(11)]; return np.fromfile(f, sep=' ')",
        "cube": "import numpy as np\ndef read(path):\n"
        "    f = open(path); [f.readline() for _ in range(7)]; return np.fromfile(f, sep=' ')",
    },
}

MEASURE = """
import json, resource, sys, time, threading, warnings
warnings.simplefilter("ignore")
{reader}
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
path, small, repeat = sys.argv[1], sys.argv[2], int(sys.argv[3])
read(small)
before, best, least = resident(), 1e9, 1e9
for i in range(repeat):
    start, used = time.perf_counter(), time.process_time()
    values = read(path)
    best = min(best, time.perf_counter() - start)
    least = min(least, time.process_time() - used)
    if i == 0:
        lines = open("/proc/self/status").read().splitlines()
        peak = 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    size = values.size
    del values
print(json.dumps({{"seconds": best, "cpu_seconds": least, "memory": (peak - before) / (8 * size)}}))
"""


def mantissas(values: np.ndarray) -> list[str]:
    """Fortran's E17.11."""
    out = []
    for v in values.tolist():
        mantissa, power = f"{v:.10E}".split("E")
        out.append(f"0.{mantissa.replace('.', '')}E{int(power) + 1:+03d}")
    return out


def write_chgcar(path: Path, n: int) -> None:
    """A density in the middle of a cell whose vacuum falls to 1e-12; the same rows again and again."""
    rng = np.random.default_rng(1)
    z = np.linspace(-6, 6, 40 * n)
    values = 40 * np.exp(-(z**2)) * rng.uniform(0.5, 1.5, z.size) + 1e-12 * rng.uniform(1, 2, z.size)
    words = mantissas(values)
    rows = ["".join(" " + w for w in words[i : i + 5]) + "\n" for i in range(0, len(words), 5)]
    full, rest = divmod(n**3, 5)
    with path.open("w") as file:
        file.write("benchmark\n1.0\n20 0 0\n0 20 0\n0 0 20\nU\n1\nDirect\n0 0 0\n\n")
        file.write(f"{n:5d}{n:5d}{n:5d}\n")
        text = "".join(rows)
        for _ in range(full // len(rows)):
            file.write(text)
        file.write("".join(rows[: full % len(rows)]))
        if rest:
            file.write("".join(" " + w for w in words[:rest]) + "\n")


def write_cube(path: Path, n: int) -> None:
    """The same values in rows of six, a new row after each run along c."""
    rng = np.random.default_rng(1)
    z = np.linspace(-6, 6, 8 * n * n)
    values = 40 * np.exp(-(z**2)) * rng.uniform(-0.5, 1.5, z.size) + 1e-12
    lines = []
    for run in values.reshape(-1, n):
        words = [f"{v:13.5E}" for v in run]
        lines += ["".join(words[i : i + 6]) + "\n" for i in range(0, n, 6)]
    text = "".join(lines)
    with path.open("w") as file:
        file.write("benchmark\nc fastest\n    1    0.0 0.0 0.0\n")
        for axis in range(3):
            file.write(f"{n:5d}" + "".join(f"{0.2 * (axis == i):12.6f}" for i in range(3)) + "\n")
        file.write("   92   92.0  0.0 0.0 0.0\n")
        for _ in range(n // 8):
            file.write(text)


def measure(reader: str, path: Path, small: Path, repeat: int) -> dict[str, float] | None:
    """Seconds and memory of one reader, in a process of its own; None if it fails."""
    code = MEASURE.format(reader=reader)
    answer = subprocess.run([sys.executable, "-c", code, path, small, str(repeat)], capture_output=True, text=True)
    if answer.returncode:
        print(answer.stderr.strip().splitlines()[-1], file=sys.stderr)
        return None
    return json.loads(answer.stdout)


def fastest(kind: str, target: Path, small: Path, rounds: int, repeat: int) -> dict[str, dict[str, float]]:
    """The least of every reader, in turns, so that other load on the machine meets all alike; slow ones go once."""
    found: dict[str, dict[str, float]] = {}
    for turn in range(rounds):
        for reader, code in READERS.items():
            slow = reader in ("ASE", "numpy.fromfile")
            if slow and (target.suffix == ".gz" or turn):
                continue
            source = code if isinstance(code, str) else code[kind]
            once = measure(source, target, small, 1 if slow else repeat)
            if once:
                least = found.setdefault(reader, once)
                found[reader] = {key: min(least[key], once[key]) for key in once}
    return found


def main() -> None:
    """Write the files, measure every reader on each, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=192, help="points per axis, a multiple of 8")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3, help="processes a reader, in turns with the others")
    parser.add_argument("--keep", action="store_true", help="append the rows to results.csv")
    options = parser.parse_args()
    n = options.n
    if n % 8:
        parser.error("--n must be a multiple of 8")
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, write, name in (("CHGCAR", write_chgcar, "CHGCAR"), ("cube", write_cube, "x.cube")):
            path, small = Path(folder, name), Path(folder, "small" + name)
            write(path, n)
            write(small, 8)
            packed = Path(folder, name + ".gz")
            with gzip.open(packed, "wb", compresslevel=4) as file:
                file.write(path.read_bytes())
            for target, label in ((path, kind), (packed, f"{kind}.gz")):
                found = fastest(kind, target, small, options.rounds, options.repeat)
                known = {"script": "read.py", "case": label, "size": f"{n}^3", "dtype": "float64", **machine()}
                known["versions"] = versions("pymatgen-core", "ase")
                rows += [{**known, "what": reader, **measured} for reader, measured in found.items()]
    ours = {row["case"]: row["seconds"] for row in rows if row["what"] == "gpuhomog"}
    for row in rows:
        memory = row.pop("memory")
        print(f"{row['case']:10} {row['what']:28} peak {memory:5.2f} x array, {row.pop('cpu_seconds'):6.3f} s of CPU")
        row["what"] += f", peak {memory:.2f} x array"
        row["ratio_to_peer"] = round(row["seconds"] / ours[row["case"]], 2)
        row["seconds"] = round(row["seconds"], 4)
    append(rows, options.keep)


if __name__ == "__main__":
    main()
