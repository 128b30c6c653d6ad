"""Running the command line in this process, as its entry point does."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.cli import app


@dataclass(frozen=True)
class Ran:
    """What one run of the program left."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        """Standard output as the one JSON object it must be."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        assert self.out.count("\n") == 1
        return found

    @property
    def sentence(self):
        """Standard error as the one line it must be."""
        assert self.err.startswith("gpuhomog: ") and self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.err
        return self.err.removeprefix("gpuhomog: ").strip()


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """run("info", file, "--json") → Ran; in an empty current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            app([str(a) for a in arguments])
        captured = capsys.readouterr()
        return Ran(end.value.code, captured.out, captured.err)

    return call


@pytest.fixture
def slab_profile():
    """Charge of a slab with known surface charges: +1 and -1 packets 0.3 Å apart, 40 pairs, along c (128 planes)."""
    z = np.arange(256) * 0.125
    packets = np.zeros(256)
    for n in range(20):
        packets += np.exp(-0.5 * ((z - 6 - n) / 0.25) ** 2) - np.exp(-0.5 * ((z - 6.3 - n) / 0.25) ** 2)
    return packets / (0.25 * np.sqrt(2 * np.pi))


@pytest.fixture
def slab(tmp_path, slab_profile):
    """That slab as a file, charge_density, 2 x 3 x 256 points, sigma = +0.3 and -0.3 e/Å^2 by pairs of 1 e/Å^2."""
    values = np.broadcast_to(slab_profile, (2, 3, 256)).copy()
    field = gh.Field.from_array(values, np.diag([2.0, 3.0, 32.0]), quantity="charge_density")
    path = tmp_path / "slab.h5"
    gh.write(field, path)
    return path


@pytest.fixture
def wave(tmp_path):
    """cos(2 pi x/a) + 2 on 16 x 12 x 10 points, in a cell of 16 x 6 x 5 Å, scalar, in a NumPy file."""
    x = np.arange(16)[:, None, None] / 16
    values = np.cos(2 * np.pi * x) + 2 + np.zeros((16, 12, 10))
    field = gh.Field.from_array(values, np.diag([16.0, 6.0, 5.0]))
    path = tmp_path / "wave.npz"
    gh.write(field, path)
    return path
