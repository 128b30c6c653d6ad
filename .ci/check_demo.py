"""Fail unless the demo's numbers are the known ones and its figures are pictures."""

import json
import math
import sys
from pathlib import Path

# Known by another route: double integration of the planar average on the original grid, and the atoms' positions.
KNOWN = {
    "net charge": (0.0, 2e-8),
    "dipole per area": (0.0, 2e-8),
    "layer spacing": (2.8200016, 2e-4),
    "σ low": (0.0, 2e-5),
    "σ high": (0.0, 2e-5),
    "bulk - vacuum (potential)": (5.832, 2e-3),
    "bulk - vacuum (charge)": (5.832, 2e-3),
    "vacuum - vacuum": (0.0, 2e-3),
}

folder = Path(sys.argv[1])
report = json.loads((folder / "demo.json").read_text())
wrong = []
for name, (value, tolerance) in KNOWN.items():
    found = report["found"].get(name, {}).get("value")
    if found is None or not math.isclose(found, value, rel_tol=0, abs_tol=tolerance):
        wrong.append(f"{name}: {found}, known {value} ± {tolerance}")
figures = sorted(folder.glob("*.png"))
wrong += [f"{f.name} is no picture" for f in figures if not f.read_bytes().startswith(b"\x89PNG")]
wrong += [f"{f.name} is empty" for f in folder.iterdir() if f.stat().st_size == 0]
if len(figures) < 5:
    wrong.append(f"{len(figures)} figures, expected at least 5")
if wrong:
    sys.exit("the demo is not right:\n  " + "\n  ".join(wrong))
print(f"demo: {len(KNOWN)} known numbers, {len(figures)} figures")
