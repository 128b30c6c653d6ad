"""Wannier functions of minimal width: their width, and the gauge of the Bloch states that makes them.

    W = (a/2π) ∫ (<∂u|∂u> - |<u|∂u>|²) dk = (1/n_k b²) Σ_j -ln|M_j|²                one band
    Ω_I = (1/n_k) Σ_k Σ_b w_b (N - Σ_mn |M_mn(k, k + b)|²),  Σ_b w_b b b^T = 1      several bands, three dimensions

W does not depend on the phases of the states. Equation C12 as printed, (a/2π) ∫ <∂u|∂u> dk, does: it is W in the
parallel transport gauge alone, where states are not periodic in k; made periodic by spreading the Zak phase evenly it
is W + x̄², x̄ the centre, and with random phases it has no limit. What (C13) calls X is that centre, the Zak phase. Ω_I
is the part of the width of several bands that no mixing of them changes: a lower bound, which one dimension attains.

In   BlochString; u of a mesh of k.
Out  WannierWidth: Å^2; gauges: (n_k + 1, bands, bands) unitary, host.

>>> from .bloch import model_string
>>> ssh = lambda k: np.array([[0, 1 + 0.5 * np.exp(-1j * k)], [1 + 0.5 * np.exp(1j * k), 0]])
>>> found = wannier_width(model_string(ssh, 1, n_k=160, period=1.0, sites=[0.0, 0.0]))
>>> print(f"{found.width.value:.7f} {1 / 24:.7f}")
0.0416667 0.0416667
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...results import Measurement, Result, Tables
from .bloch import BlochString, Complex

Array = NDArray[np.float64]

AREA = "Å^2"
WIDTH_ROUNDING = 1e-14
"""Of -ln|M|² or of N - Σ|M|² at each k."""


@dataclass(frozen=True, eq=False)
class WannierWidth(Result):
    """Widths ∫ (x - x̄)² |w|² of the Wannier functions of a string, summed over its bands [Å^2].

    width            of one band, the least that its Wannier function can have; of several bands Ω_I
    bound            True for Ω_I of several bands: a lower bound of the sum of their widths
    c12_transport    eq. C12 as printed, in the parallel transport gauge
    c12_periodic     the same where the gauge is periodic and the phase spread evenly: the sum of W + x̄²
    c12_given        the same in the gauge in which the states came, of the links themselves
    n_k, period      of the string
    provenance       what was done

    Of an even number of k all but c12_given are extrapolated from n_k and n_k/2 (Richardson), and the uncertainty is
    the difference to n_k.
    """

    width: Measurement
    bound: bool
    c12_transport: Measurement
    c12_periodic: Measurement
    c12_given: float
    n_k: int
    period: float
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """Titles, and rows of name and text under each, as the terminal shows them."""
        name = "invariant width, a lower bound" if self.bound else "least width"
        found = (
            (name, str(self.width)),
            ("eq. C12, parallel transport", str(self.c12_transport)),
            ("eq. C12, periodic gauge", str(self.c12_periodic)),
            ("eq. C12, gauge as given", f"{self.c12_given:.6g} {AREA}"),
        )
        return (("Width of Wannier functions", found), ("How it was found", (("string", f"{self.n_k} k"),)))


def wannier_width(string: BlochString) -> WannierWidth:
    """Width of the narrowest Wannier functions of a string's bands, whatever phases its states have.

    Source: eqs. C12 and C13 of the paper, in the form that does not depend on the gauge.
    """
    several = string.n_bands > 1
    b = string.step

    def invariant(links: Complex, step: float) -> float:
        if several:
            return float(np.mean(string.n_bands - (np.abs(links) ** 2).sum(axis=(1, 2)))) / step**2
        return float(np.mean(-np.log(np.abs(links) ** 2))) / step**2

    transported = string.rotated(transport_gauge(string))
    periodic = string.rotated(transport_gauge(string, periodic=True))

    def measured(links: Complex, two: Complex | None, of: Any) -> Measurement:
        value = of(links, b)
        if two is None:
            return Measurement(value, AREA)
        change = (value - of(two, 2 * b)) / 3
        return Measurement(value + change, AREA, max(abs(change), WIDTH_ROUNDING / b**2))

    return WannierWidth(
        width=measured(string.links, string.links_two, invariant),
        bound=several,
        c12_transport=measured(transported.links, transported.links_two, printed_c12),
        c12_periodic=measured(periodic.links, periodic.links_two, printed_c12),
        c12_given=printed_c12(string.links, b),
        n_k=string.n_k,
        period=string.period,
        provenance=(*string.provenance, {"step": "width of Wannier functions", "bands": string.n_bands}),
    )


def printed_c12(links: Complex, step: float) -> float:
    """(a/2π) ∫ Σ_n <∂u_n|∂u_n> dk by differences: |u(k + b) - u(k)|² = 2 - 2 Re M."""
    diagonal = np.real(np.diagonal(links, axis1=1, axis2=2))
    return float(np.mean((2 - 2 * diagonal).sum(axis=1))) / step**2


def transport_gauge(string: BlochString, *, periodic: bool = False) -> Complex:
    """Unitary matrices (n_k + 1, bands, bands) that carry the states of a string parallel from each k to the next.

    periodic  False: overlaps of neighbours become Hermitian and positive, and the last matrix, for the image of k_0,
              holds the phases of the loop. True: these are spread evenly along the string, as maximally localized
              Wannier functions w = (1/n_k) Σ_j e^{ikr} u'(k_j) need; the last matrix is the first

    u'_n(k_j) = Σ_m u_m(k_j) gauge[j, m, n]; BlochString.rotated gives the overlaps of u'.
    """
    n = string.n_bands
    gauge = np.empty((string.n_k + 1, n, n), dtype=np.complex128)
    gauge[0] = np.eye(n)
    for j, link in enumerate(string.links):
        left, _, right = np.linalg.svd(link)
        gauge[j + 1] = (left @ right).conj().T @ gauge[j]
    if not periodic:
        return gauge
    phases, vectors = eigen_of_unitary(gauge[-1])
    share = np.arange(string.n_k + 1) / string.n_k
    return np.asarray(gauge @ (vectors * np.exp(-1j * share[:, None, None] * phases)))


def eigen_of_unitary(matrix: Complex) -> tuple[Array, Complex]:
    """Phases and orthonormal eigenvectors of a unitary matrix, equal phases included."""
    from scipy.linalg import schur

    triangle, vectors = schur(matrix, output="complex")
    return np.asarray(np.angle(np.diag(triangle))), np.asarray(vectors)
