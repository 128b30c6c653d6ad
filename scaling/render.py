"""Tables of the newest rows of results.csv, written between the marks in README.md.

python scaling/render.py          rewrite the tables
python scaling/render.py --check  fail if they are not current
"""

from __future__ import annotations

import csv
import sys
from itertools import groupby
from pathlib import Path

from rows import RESULTS

README = Path(__file__).with_name("README.md")
START, END = "<!-- tables: python scaling/render.py -->", "<!-- end of tables -->"
SHOWN = ("case", "what", "seconds", "ratio_to_peer", "error")


def newest(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """The last row of each measurement made on a clean tree, in the order of its first appearance."""
    latest: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        if row["tree"] != "clean":
            continue
        latest[tuple(row[c] for c in ("script", "size", "dtype", "case", "what", "device"))] = row
    return list(latest.values())


def tables(rows: list[dict[str, str]]) -> str:
    """Markdown, one table for each script, size, type, device and commit."""
    key = lambda row: tuple(row[c] for c in ("script", "size", "dtype", "device", "threads", "commit", "tree"))  # noqa: E731
    out = []
    for group, members in groupby(sorted(newest(rows), key=lambda r: (key(r), rows.index(r))), key=key):
        script, size, dtype, device, threads, commit, tree = group
        listed = list(members)
        out.append(f"\n`{script}`, {size} {dtype}, {device}, {threads} threads, commit {commit} ({tree})\n")
        out.append("| " + " | ".join(c.replace("_", " ") for c in SHOWN) + " |\n" + "|---" * len(SHOWN) + "|")
        out.extend("| " + " | ".join(row[c] for c in SHOWN) + " |" for row in listed)
    return "\n".join(out) + "\n"


def main() -> None:
    """Rewrite README.md, or check it."""
    with RESULTS.open(newline="") as file:
        text = tables(list(csv.DictReader(file)))
    before, rest = README.read_text().split(START)
    after = rest.split(END)[1]
    wanted = f"{before}{START}\n{text}{END}{after}"
    if "--check" in sys.argv:
        if README.read_text() != wanted:
            sys.exit("scaling/README.md is not current: run python scaling/render.py")
        return
    README.write_text(wanted)


if __name__ == "__main__":
    main()
