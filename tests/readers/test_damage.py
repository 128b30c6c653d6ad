"""Damage of any kind at any place: a field of finite values, or one sentence that names the file; nothing else.

Bytes are changed, left out and cut off all over files of every kind. Whether a number that was changed is the one that
the file now holds is for the tests of each format.
"""

import json
import struct
from functools import partial

import numpy as np
import pytest
from plot_files import plot_file

import gpuhomog as gh
from gpuhomog.errors import InputError

CELL = np.array([[4.2, 0.0, 0.0], [0.5, 3.9, 0.0], [0.0, 0.3, 6.1]])
VALUES = np.random.default_rng(3).random((4, 3, 5)) + 0.01
ATOMS = gh.Structure([11, 17], [[0.0, 0.0, 0.0], [2.1, 1.9, 3.0]])
FIELD = gh.Field.from_array(VALUES, CELL, quantity="electron_density", structure=ATOMS)


def record(content):
    """Of Fortran."""
    return struct.pack("<i", len(content)) + content + struct.pack("<i", len(content))


def siesta(path):
    rows = VALUES.astype("<f4").transpose(2, 1, 0).reshape(-1, 4)
    head = record(CELL.astype("<f8").tobytes()) + record(struct.pack("<4i", *VALUES.shape, 1))
    path.write_bytes(head + b"".join(record(row.tobytes()) for row in rows))


def npy(path):
    np.save(path, VALUES)
    path.with_suffix(".json").write_text(json.dumps({"cell": CELL.tolist(), "unit": "eV"}))


def etsf(path):
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["file_format"] = np.bytes_("ETSF Nanoquanta")
        file["primitive_vectors"], file["vtrial"] = CELL, VALUES.T[None, ..., None]
        file["atom_species"], file["atomic_numbers"] = np.array([1, 2], np.int32), [11.0, 17.0]
        file["reduced_atom_positions"] = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])


def of_profile(path):
    gh.write(gh.planar_average(FIELD, 2), path)


FIELDS = {
    **{name: partial(gh.write, FIELD) for name in ("CHGCAR", "x.cube", "x.xsf", "x.h5", "x.npz")},
    "x.RHO": siesta,
    "x.npy": npy,
    "x.nc": etsf,
    "x.pp": lambda path: path.write_text(plot_file(VALUES, (10.2, 0, 0, 0, 0, 0), plot_num=11)),
}
PROFILES = dict.fromkeys(("p.csv", "p.json", "p.h5"), of_profile)


def damaged(content, n):
    """So many files that differ from one in a byte, or lack a part of it."""
    choose = np.random.default_rng(len(content))
    for i in range(n):
        at = int(choose.integers(min(len(content), (200, 1500, len(content))[i % 3])))
        byte = bytes([content[at] ^ (1 << int(choose.integers(8)))]) if i % 2 else bytes([int(choose.integers(256))])
        match i % 5:
            case 0:
                yield content[:at]
            case 1:
                yield content[:at] + content[at + int(choose.integers(1, 9)) :]
            case _:
                yield content[:at] + byte + content[at + 1 :]


@pytest.mark.filterwarnings("ignore::gpuhomog.errors.AccuracyWarning")
@pytest.mark.parametrize("name", [*FIELDS, *PROFILES])
def test_one_sentence_or_finite_values(tmp_path, name):
    path = tmp_path / name
    (FIELDS | PROFILES)[name](path)
    refused = 0
    for content in damaged(path.read_bytes(), 120):
        path.write_bytes(content)
        try:
            read = gh.read_profile(path).values if name in PROFILES else gh.read(path).to_host()
        except InputError as error:
            refused += 1
            assert name.split(".")[0] in str(error) and str(error).startswith(str(tmp_path)), error
            assert "\n" not in str(error) and len(str(error)) < len(str(path)) + 600, error
        else:
            assert np.isfinite(read).all()
    assert refused > 20
