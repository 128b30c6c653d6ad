"""The job that the tests submit: a small field, averaged and profiled."""

import numpy as np

import gpuhomog as gh

TASKS = """
[input]
file = "field.h5"

[[task]]
command = "average"
kernel = "gaussian"
eps = 1
spacing = 1
output = "smooth.h5"

[[task]]
command = "profile"
period = "none"
output = "profile.csv"
"""


def write_field(folder):
    """A field on 6 x 5 x 40 points, with no symmetry."""
    values = np.random.default_rng(7).normal(size=(6, 5, 40))
    gh.write(gh.Field.from_array(values, np.diag([6.0, 5.0, 20.0])), folder / "field.h5")
