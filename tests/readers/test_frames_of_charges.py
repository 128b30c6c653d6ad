"""Frames of charges by ASE and MDAnalysis: the same frames, charges that change, files that cannot be read."""

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.errors import FileFormatError, InputError
from gpuhomog.readers.frames import frames_of_files

CELL = np.diag([3.0, 4.0, 5.0])
POSITIONS = np.random.default_rng(6).uniform(0, 3, (5, 4, 3)).round(6)


@pytest.fixture
def xyz(tmp_path):
    frames = [
        ["4", "frame", *(f"{name} {x} {y} {z}" for name, (x, y, z) in zip(("Na", "Cl") * 2, frame, strict=True))]
        for frame in POSITIONS
    ]
    path = tmp_path / "run.xyz"
    path.write_text("\n".join(line for frame in frames for line in frame) + "\n")
    return path


@pytest.mark.parametrize(("start", "stop", "every"), [(0, None, 1), (1, 3, 2), (3, 100, 5)])
def test_both_libraries_give_the_same_frames(xyz, start, stop, every):
    how = {"charges": {"Na": 1.0, "Cl": -1.0}, "cell": CELL, "start": start, "stop": stop, "every": every}
    by_ase = list(gh.read_frames(xyz, **how))
    pytest.importorskip("MDAnalysis")
    trajectory = gh.read_frames(xyz, **how, kind="XYZ")
    by_other = list(trajectory)
    trajectory._universe.trajectory.close()  # or it is found open when the garbage is collected
    assert len(by_ase) == len(by_other) == len(POSITIONS[start:stop:every])
    for one, other, known in zip(by_ase, by_other, POSITIONS[start:stop:every], strict=True):
        assert one.positions == pytest.approx(known, abs=1e-9)
        assert other.positions == pytest.approx(known, abs=1e-5)  # MDAnalysis keeps float32
        assert (one.charges == other.charges).all() and (one.cell == other.cell).all()


def test_atoms_with_names_of_their_own_are_read_by_the_other_library(xyz):
    pytest.importorskip("MDAnalysis")
    xyz.write_text(xyz.read_text().replace("Na ", "OW1 ").replace("Cl ", "HW1 "))
    frames = gh.read_frames(xyz, charges={"OW1": -0.8, "HW1": 0.8}, cell=CELL)
    found = list(frames)
    frames._universe.trajectory.close()
    assert len(found) == len(POSITIONS) and (found[0].charges == [-0.8, 0.8, -0.8, 0.8]).all()
    assert found[-1].positions == pytest.approx(POSITIONS[-1], abs=1e-5)


def test_charges_that_change_from_frame_to_frame(tmp_path):
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write

    frames = []
    for n in range(3):
        atoms = Atoms("NaCl", positions=[[0, 0, 1], [0, 0, 2]], cell=CELL, pbc=True)
        atoms.calc = SinglePointCalculator(atoms, charges=[0.9 - 0.1 * n, -0.9 + 0.1 * n])
        frames.append(atoms)
    write(tmp_path / "run.traj", frames)
    found = list(gh.read_frames(tmp_path / "run.traj"))
    assert [frame.charges[0] for frame in found] == pytest.approx([0.9, 0.8, 0.7])
    assert (found[0].cell == CELL).all() and found[0].time is None
    current = gh.packet_current(found, time_step=1.0)
    assert current.J[1] == pytest.approx(-0.1 * (1.0 - 2.0) / 60) and "charges change" in current.remarks[0]


def test_refusals(xyz, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        gh.read_frames(tmp_path / "gone.xyz")
    with pytest.raises(InputError, match="frame 0 states no charges"):
        list(gh.read_frames(xyz, cell=CELL))
    with pytest.raises(InputError, match="states no cell"):
        list(gh.read_frames(xyz, charges={"Na": 1, "Cl": -1}))
    for frames in ({"every": 0}, {"start": -1}):
        with pytest.raises(InputError, match="start from 0 on"):
            gh.read_frames(xyz, **frames)
    with pytest.raises(InputError, match="start = 2, stop = 2: no frame"):
        gh.read_frames(xyz, start=2, stop=2)
    with pytest.raises(InputError, match="three rows of three finite numbers"):
        gh.read_frames(xyz, cell=[4.0, 4.0, 60.0])
    broken = tmp_path / "broken.xyz"
    broken.write_text("1\nframe\nNa 0 0 zero\n")
    with pytest.raises(FileFormatError, match=r"ASE cannot read all frames of it .*: take it off"):
        list(gh.read_frames(broken, charges={"Na": 1}, cell=CELL))
    table = tmp_path / "table.csv"
    table.write_text("0,0,0,1\n0,0,1,-1\n")
    with pytest.raises(InputError, match="states no cell"):
        list(frames_of_files([table]))
