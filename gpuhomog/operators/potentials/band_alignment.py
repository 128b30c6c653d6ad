"""Band alignment across an interface: the potential step, and the band edges of each bulk.

    ΔE = E_2 - E_1 - e ΔV          E_i a band edge of bulk i, counted from the mean potential energy of its electrons
                                   ΔV = V_high - V_low, the potential step from bulk 1 (low) to bulk 2 (high)

Two calculations of bulks give the edges, one of the interface the step; all that they have in common is the mean
potential of each bulk. An electron's potential energy is -e V, so the step enters with a minus sign.

In   PotentialStep across an interface [V], edges [eV].
Out  BandAlignment [eV].

>>> import gpuhomog as gh
>>> x = np.arange(1200) * 0.05
>>> wave = np.where(x < 30, np.cos(2 * np.pi * x / 3), 1.5 + np.cos(np.pi * x))
>>> profile = gh.Profile(x, wave, "V", "electrostatic_potential", 60.0)
>>> step = gh.potential_step(profile, between=(15, 45), period=(3, 2))
>>> aligned = gh.band_alignment(step, valence=(5.0, 7.0), conduction=(6.4, 9.0))
>>> aligned.alignment, round(aligned.valence.value, 9), round(aligned.conduction.value, 9)
('staggered', 0.5, 1.1)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InputError
from ...results import Measurement, Result, Tables, weighted_sum
from ...units import ENERGY
from .potential_step import PotentialStep


@dataclass(frozen=True, eq=False)
class BandAlignment(Result):
    """Band offsets across an interface.

    valence     edge of the valence bands in the high bulk less that in the low one [eV]
    conduction  the same of the conduction bands; None where they were not given
    gaps        of the two bulks, low and high [eV]; None without conduction bands
    alignment   "straddling" (one gap within the other), "staggered" or "broken"; None without conduction bands
    step        the potential step that was used [V]
    edges       the edges that were given, valence low and high, conduction low and high [eV]
    remarks     what a reader should know, one sentence each
    provenance  what was read and done, step by step
    """

    valence: Measurement
    conduction: Measurement | None
    gaps: tuple[float, float] | None
    alignment: str | None
    step: Measurement
    edges: tuple[float, ...]
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """Titles, and rows of name and text under each, as the terminal shows them."""
        rows = [("valence", str(self.valence))]
        if self.conduction is not None and self.gaps is not None and self.alignment is not None:
            rows += [
                ("conduction", str(self.conduction)),
                ("gaps", f"{self.gaps[0]:.6g} eV low, {self.gaps[1]:.6g} eV high"),
                ("alignment", self.alignment),
            ]
        return ("Band alignment, high against low", tuple(rows)), (
            "From",
            (("step", str(self.step)), *(("note", remark) for remark in self.remarks)),
        )


def band_alignment(
    step: PotentialStep, *, valence: Sequence[float], conduction: Sequence[float] | None = None
) -> BandAlignment:
    """Band offsets from the potential step across an interface and the band edges of the two bulks.

    step        of gh.potential_step(field, axis, between=(x_1, x_2))
    valence     top of the valence bands in the bulk at x_1 and in that at x_2 [eV], each counted from the mean
                electron potential energy of that bulk's own calculation
    conduction  bottom of the conduction bands likewise, or None

    The uncertainty is that of the step. Raises InputError for a step of a slab, for edges that are not two finite
    numbers, and for a conduction band below the valence band.
    """
    if step.periods is None:
        raise InputError(
            "Bands are aligned across an interface, and this step is that of a slab: make it with "
            "gh.potential_step(field, axis, between=(x_1, x_2))."
        )
    pairs = [tuple(float(edge) for edge in pair) for pair in (valence, conduction) if pair is not None]
    if any(len(pair) != 2 or not np.isfinite(pair).all() for pair in pairs):
        raise InputError("Band edges are two finite energies in eV, of the low and of the high bulk: give both.")
    gaps, alignment = None, None
    offsets = [weighted_sum(ENERGY, (-1.0, step.step), shift=pair[1] - pair[0]) for pair in pairs]
    if len(pairs) == 2:
        gaps = pairs[1][0] - pairs[0][0], pairs[1][1] - pairs[0][1]
        if min(gaps) < 0:
            raise InputError(
                f"The gaps would be {gaps[0]:.6g} and {gaps[1]:.6g} eV: give the valence bands' top and the conduction "
                "bands' bottom, low bulk first."
            )
        if all(offset.value is not None for offset in offsets):
            alignment = _alignment(float(offsets[0]), float(offsets[1]), gaps)
    return BandAlignment(
        offsets[0],
        offsets[1] if len(offsets) == 2 else None,
        gaps,
        alignment,
        step.step,
        tuple(edge for pair in pairs for edge in pair),
        step.remarks,
        (*step.provenance, {"step": "band alignment", "edges": [list(pair) for pair in pairs]}),
    )


def _alignment(valence: float, conduction: float, gaps: tuple[float, float]) -> str:
    """Of two gaps: where the low bulk's valence band ends at 0, the other's are at these offsets above its edges."""
    if conduction + gaps[0] < 0 or valence > gaps[0]:
        return "broken"
    return "straddling" if valence * conduction <= 0 else "staggered"
