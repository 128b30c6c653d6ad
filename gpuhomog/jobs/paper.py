"""Paper: its figures recomputed from densities, their key numbers against theory and against what the paper says.

In   numbers of figures; folder to write to.
Out  Outcome: a table of key numbers; for each figure a PDF, a PNG and the numbers behind it; paper.json with all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import GpuhomogError
from ..paper import FIGURES, FigureNumbers
from ..writers import write
from .demo import make_folder, write_report
from .parsing import Unusable, split
from .task import Inputs, Outcome, Rows


def figure_numbers(raw: Any) -> tuple[int, ...]:
    """Numbers of figures that are in the table, each once, in its order.

    >>> figure_numbers("8,7")
    (7, 8)
    """
    if raw == "all":
        return tuple(FIGURES)
    try:
        wanted = {int(str(part)) for part in split(raw)}
    except ValueError:
        wanted = set()
    if not wanted or not wanted <= FIGURES.keys():
        raise Unusable(f'give "all", or numbers out of {", ".join(map(str, FIGURES))}')
    return tuple(number for number in FIGURES if number in wanted)


def run_paper(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Compute and compare; then draw and write."""
    from ..plots import save_figure
    from ..plots.style import styled

    folder, width = values["output"], values["figure_width"] or "page"
    make_folder(folder)
    found = [FIGURES[number].compute(values["device"]) for number in values["figure"]]
    refuse_wrong(found)
    outputs = []
    for numbers in found:
        name = f"figure_{numbers.figure}"
        figure = styled(FIGURES[numbers.figure].draw)(numbers, width)
        outputs += [save_figure(figure, folder / f"{name}{suffix}") for suffix in (".pdf", ".png")]
        outputs.append(write(numbers, folder / f"{name}.h5"))
    report = {"figures": {str(numbers.figure): described(numbers) for numbers in found}}
    outputs.append(write_report(report, folder / "paper.json"))
    tables = [table for numbers in found for table in tables_of(numbers)]
    return Outcome(report, tables, outputs=tuple(outputs))


def refuse_wrong(found: Iterable[FigureNumbers]) -> None:
    """Raise GpuhomogError if a number is not the one that is known by another route."""
    wrong = [(numbers.figure, finding) for numbers in found for finding in numbers.findings if not finding.agrees]
    if wrong:
        told = ", ".join(f"{f.name} (Fig. {n}): {f.found}, expected {f.expected:g}" for n, f in wrong)
        raise GpuhomogError(
            f"Other numbers were found than theory gives: {told}. Please report this with your versions of NumPy and "
            "SciPy."
        )


def described(numbers: FigureNumbers) -> dict[str, Any]:
    """What a figure shows, and its key numbers."""
    return {"shows": FIGURES[numbers.figure].sentence, "findings": numbers.findings, "parameters": numbers.parameters}


def tables_of(numbers: FigureNumbers) -> list[tuple[str, Rows]]:
    """Key numbers of one figure, and where the paper is wrong about them."""
    rows: Rows = [("", "found", "theory", "eq.", "the paper")]
    rows += [finding.row() for finding in numbers.findings]
    tables = [(f"Figure {numbers.figure}. {FIGURES[numbers.figure].sentence}", rows)]
    wrong: Rows = [(finding.name, finding.wrong) for finding in numbers.findings if finding.wrong]
    if wrong:
        tables.append(("Where the paper is wrong", wrong))
    return tables
