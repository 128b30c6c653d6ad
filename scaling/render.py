"""Tables of the newest rows of results.csv, written between the marks in README.md.

Rows of the GPU: every peer of the same run stands beside ours, the strongest first, as its time over ours; targets
and predictions (targets.csv) stand beside what was measured, and so does what a plan expects (expected.py).

python scaling/render.py          rewrite the tables
python scaling/render.py --check  fail if they are not current
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from expected import comparison
from rows import RESULTS

README = Path(__file__).with_name("README.md")
TARGETS = Path(__file__).with_name("targets.csv")
START, END = "<!-- tables: python scaling/render.py -->", "<!-- end of tables -->"
SHOWN = ("case", "what", "seconds", "ratio_to_peer", "error")
ON_GPU = "gpu.py"
ON_RANKS = "mpi.py"
OURS = "gpuhomog"
Row = dict[str, str]


def newest(rows: list[Row]) -> list[Row]:
    """The last row of each measurement made on a clean tree, in the order of its first appearance."""
    latest: dict[tuple[str, ...], Row] = {}
    for row in rows:
        if row["tree"] != "clean":
            continue
        latest[tuple(row[c] for c in ("script", "size", "dtype", "case", "what", "device"))] = row
    return list(latest.values())


def line(cells: Iterable[str]) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def table(head: tuple[str, ...], lines: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    return "\n".join([line(head), "|---" * len(head) + "|", *map(line, lines)])


def tables(rows: list[Row], targets: list[Row]) -> str:
    """Markdown: targets, then one table for each script, size, type, device and commit."""
    key = lambda row: tuple(row[c] for c in ("script", "size", "dtype", "device", "threads", "commit", "tree"))  # noqa: E731
    known = newest(rows)
    out = target_tables(known, targets)
    planned = comparison(known)
    if planned:
        out.append("\nWhat `gpuhomog plan` expects of one device, beside what was measured (expected.py)\n")
        out.append(table(("case", "of", "device", "way", "expected ms", "measured ms", "measured / expected"), planned))
    for group, members in groupby(sorted(known, key=lambda r: (key(r), rows.index(r))), key=key):
        script, size, dtype, device, threads, commit, tree = group
        listed = list(members)
        if script == ON_GPU:
            out.append(f"\n`{script}`, {size} {dtype}, {device}, commit {commit} ({tree}), {listed[0]['versions']}\n")
            out.append(gpu_table(listed))
        elif script == ON_RANKS:
            about = f"{device}, ranks bound to cores where timed, commit {commit} ({tree}), {listed[0]['versions']}"
            out.append(f"\n`{script}`, {size} {dtype}, {about}\n")
            out.append(ranks_table(listed))
        else:
            out.append(f"\n`{script}`, {size} {dtype}, {device}, {threads} threads, commit {commit} ({tree})\n")
            out.append(table(tuple(c.replace("_", " ") for c in SHOWN), ([row[c] for c in SHOWN] for row in listed)))
    return "\n".join(out) + "\n"


def is_ours(row: Row) -> bool:
    """Ours, or a floor: what peers are compared with."""
    return row["what"].startswith(OURS) or (not row["ratio_to_peer"] and bool(row["fraction_of_floor"]))


def peers_of(row: Row, rows: list[Row]) -> list[tuple[float, Row]]:
    """(time over ours, row) of the peers of a row's case, size, type, device and commit, the strongest first."""
    same = ("script", "case", "size", "dtype", "device", "commit")
    others = [r for r in rows if all(r[c] == row[c] for c in same) and not is_ours(r) and r["seconds"]]
    return sorted(((float(r["seconds"]) / float(row["seconds"]), r) for r in others), key=lambda pair: pair[0])


def gpu_table(rows: list[Row]) -> str:
    """Ours with the fraction of the floor and all peers; below it what could not be measured."""
    lines = []
    for row in rows:
        if not is_ours(row) or not row["seconds"]:
            continue
        peers = "; ".join(f"{ratio:.3g} {peer['what']}" for ratio, peer in peers_of(row, rows))
        milliseconds = f"{1e3 * float(row['seconds']):.4g}"
        lines.append(
            [row["case"], row["what"], row["fraction_of_floor"], peers, milliseconds, row["error"], row["note"]]
        )
    head = ("case", "what", "fraction of floor", "peer's time over ours", "ms", "error", "note")
    failed = [f"\n{row['case']}, {row['what']}: {row['note']}" for row in rows if not row["seconds"]]
    return "\n".join([table(head, lines), *failed])


def ranks_table(rows: list[Row]) -> str:
    """Time on so many ranks, speed-up or efficiency, and what the busiest rank sends."""
    head = ("case", "ranks", "seconds", "speed-up or efficiency", "error", "bytes sent by the busiest rank", "note")
    shown = ("case", "what", "seconds", "ratio_to_peer", "error", "bytes", "note")
    return table(head, ([row[c] for c in shown] for row in rows))


def target_tables(rows: list[Row], targets: list[Row]) -> list[str]:
    """One table for each GPU that was measured; an empty one where none was."""
    devices = list(dict.fromkeys(row["device"] for row in rows if row["script"] == ON_GPU))
    head = ("case", "of", "measure", "target", "predicted [P]", "measured", "reached", "why not")
    out = []
    for device in devices or ["no GPU measured yet"]:
        out.append(f"\nTargets and predictions, {device}\n")
        here = [row for row in rows if row["script"] == ON_GPU and row["device"] == device]
        lines = []
        for target in targets:
            measured = measured_for(target, here)
            shown = "" if measured is None else f"{measured:.3g}"
            reached = "" if measured is None or not target["target"] else verdict(measured, target["target"])
            of = f"{target['size']} {target['dtype']}"
            wanted, predicted = target["target"], target["predicted"]
            lines.append([target["case"], of, target["measure"], wanted, predicted, shown, reached, target["why"]])
        out.append(table(head, lines))
    return out


def measured_for(target: Row, rows: list[Row]) -> float | None:
    """What was measured of a target's measure; None if nothing was.

    Raises ValueError for a measure that does not exist.
    """
    same = ("case", "size", "dtype", "what")
    row = next((r for r in rows if all(r[c] == target[c] for c in same) and r["seconds"]), None)
    measure = target["measure"]
    if measure not in ("fraction of floor", "ms") and not measure.startswith("ratio to "):
        raise ValueError(f"{TARGETS.name}: unknown measure {measure!r}.")
    if row is None:
        return None
    if measure == "fraction of floor":
        return float(row["fraction_of_floor"])
    if measure == "ms":
        return 1e3 * float(row["seconds"])
    name = measure.removeprefix("ratio to ")
    return next((ratio for ratio, peer in peers_of(row, rows) if peer["what"].startswith(name)), None)


def verdict(measured: float, target: str) -> str:
    """Whether a target such as ">= 0.85" is reached."""
    sign, number = target.split()
    return "yes" if (measured >= float(number) if sign == ">=" else measured <= float(number)) else "no"


def read_rows(path: Path) -> list[Row]:
    """The rows of a CSV; columns that older rows lack are empty."""
    with path.open(newline="") as file:
        return [{key: value or "" for key, value in row.items()} for row in csv.DictReader(file)]


def main() -> None:
    """Rewrite README.md, or check it."""
    text = tables(read_rows(RESULTS), read_rows(TARGETS))
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
