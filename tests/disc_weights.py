"""The potential on its axis of a disc of charge, eq. 70: what sums over planes of its average are compared with."""

import numpy as np


def disc_weight(radius, distance):
    """W(R, d) = √(d² + R²) - |d|, without cancellation at large d."""
    R, d = np.asarray(radius, dtype=float), np.abs(distance)
    return R * R / (np.hypot(R, d) + d)


def disc_weight_beyond_radius(radius, distance):
    """W(R, d) - R = d²/(√(d² + R²) + R) - |d|: what is left once R σ/(2ε0) is kept apart; good at any R."""
    R, d = np.asarray(radius, dtype=float), np.abs(distance)
    return d * d / (np.hypot(R, d) + R) - d
