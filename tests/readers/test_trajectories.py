"""Trajectories of LAMMPS, GROMACS and XYZ: what the text of each says, frame by frame."""

import sys
import warnings

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.errors import FileFormatError, GpuhomogError, InputError

CELL = np.diag([10.0, 11.0, 12.0])
POSITIONS = np.random.default_rng(6).uniform(0.5, 9.5, size=(5, 4, 3)).round(3)


def xyz(path):
    """Two ion pairs, five frames."""
    lines = []
    for frame in POSITIONS:
        lines += ["4", "a comment"]
        lines += [
            f"{name} {x:.3f} {y:.3f} {z:.3f}" for name, (x, y, z) in zip("Na Cl Na Cl".split(), frame, strict=True)
        ]
    path.write_text("\n".join(lines) + "\n")
    return path


def lammps(folder):
    """A dump, and a data file with the charges."""
    lines = []
    for t, frame in enumerate(POSITIONS):
        lines += ["ITEM: TIMESTEP", str(100 * t), "ITEM: NUMBER OF ATOMS", "4", "ITEM: BOX BOUNDS pp pp pp"]
        lines += [f"0.0 {edge}" for edge in np.diag(CELL)]
        lines += ["ITEM: ATOMS id type x y z"]
        lines += [f"{i + 1} {i % 2 + 1} {x:.3f} {y:.3f} {z:.3f}" for i, (x, y, z) in enumerate(frame)]
    dump = folder / "run.lammpstrj"
    dump.write_text("\n".join(lines) + "\n")
    atoms = [f"{i + 1} {i % 2 + 1} {(1.5, -1.5)[i % 2]} 0.0 0.0 0.0" for i in range(4)]
    text = ["LAMMPS data file", "", "4 atoms", "2 atom types", ""]
    text += [f"0.0 {edge} {a}lo {a}hi" for edge, a in zip(np.diag(CELL), "xyz", strict=True)]
    text += ["", "Masses", "", "1 22.99", "2 35.45", "", "Atoms # charge", "", *atoms]
    topology = folder / "system.data"
    topology.write_text("\n".join(text) + "\n")
    return dump, topology


def gromacs(folder):
    """A .gro and an .xtc of the same atoms, written by MDAnalysis."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import MDAnalysis

        universe = MDAnalysis.Universe.empty(4, trajectory=True)
        universe.add_TopologyAttr("names", "Na Cl Na Cl".split())
        universe.add_TopologyAttr("resnames", ["ION"])
        universe.dimensions = [10, 11, 12, 90, 90, 90]
        universe.atoms.positions = POSITIONS[0]
        universe.atoms.write(str(folder / "start.gro"))
        with MDAnalysis.Writer(str(folder / "run.xtc"), 4) as writer:
            for frame in POSITIONS:
                universe.atoms.positions = frame
                writer.write(universe.atoms)
    return folder / "run.xtc", folder / "start.gro"


def check_frames(trajectory, charges, tolerance=1e-5):
    found = list(trajectory)
    assert len(found) == len(trajectory) == 5
    for frame, expected in zip(found, POSITIONS, strict=True):
        np.testing.assert_allclose(frame.positions, expected, atol=tolerance)
        np.testing.assert_allclose(frame.cell, CELL, atol=1e-4)
        np.testing.assert_allclose(frame.charges, charges)


def test_xyz(tmp_path):
    path = xyz(tmp_path / "run.xyz")
    trajectory = gh.read_trajectory(path, charges={"Na": 1, "Cl": -1}, cell=CELL)
    check_frames(trajectory, [1, -1, 1, -1])
    check_frames(trajectory, [1, -1, 1, -1])  # once more from the beginning
    some = gh.read_trajectory(path, charges={"Na": 1, "Cl": -1}, cell=CELL, start=1, every=2)
    np.testing.assert_allclose([frame.positions[0, 0] for frame in some], POSITIONS[[1, 3], 0, 0], atol=1e-5)
    few = gh.read_trajectory(path, charges={"Na": 1, "Cl": -1}, cell=CELL, start=1, stop=3)
    np.testing.assert_allclose([frame.positions[0, 0] for frame in few], POSITIONS[[1, 2], 0, 0], atol=1e-5)
    profile = gh.trajectory_profile(trajectory, 1.0)
    heights = POSITIONS[:, :, 2].ravel()
    counted, _ = np.histogram(heights, 12, (0, 12), weights=np.tile([1.0, -1.0], 10))
    np.testing.assert_allclose(profile.values, counted / 5 / 110, atol=1e-12)


def test_lammps(tmp_path):
    dump, topology = lammps(tmp_path)
    check_frames(gh.read_trajectory(dump, topology, atom_style="id type charge x y z"), [1.5, -1.5, 1.5, -1.5])
    by_type = gh.read_trajectory(dump, charges={"1": 1, "2": -1})
    check_frames(by_type, [1, -1, 1, -1])


def test_gromacs(tmp_path):
    run, start = gromacs(tmp_path)
    check_frames(gh.read_trajectory(run, start, charges={"Na": 0.9, "Cl": -0.9}), [0.9, -0.9, 0.9, -0.9], 0.006)


def test_times_are_those_that_files_state(tmp_path):
    """A step of LAMMPS was taken for 1 ps, and so was a frame of XYZ: rates were off by whatever a step is."""
    dump, topology = lammps(tmp_path)
    run, start = gromacs(tmp_path)
    ions, moving = {"Na": 1, "Cl": -1}, 0.001 * POSITIONS[:, :, 2] + np.arange(4)
    timeless = [
        gh.read_trajectory(dump, topology, atom_style="id type charge x y z"),
        gh.read_trajectory(dump, charges={"1": 1, "2": -1}),
        gh.read_trajectory(xyz(tmp_path / "run.xyz"), charges=ions, cell=CELL),
    ]
    for trajectory in timeless:
        assert [frame.time for frame in trajectory] == [None] * 5
    assert None not in [frame.time for frame in gh.read_trajectory(run, start, charges=ions)]
    lines = [line for z in moving for line in ("2", "", f"Na 0 0 {z[0]:.6f}", f"Cl 0 0 {z[1]:.6f}")]
    (tmp_path / "slow.xyz").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match="state no times"):
        gh.packet_current(gh.read_trajectory(tmp_path / "slow.xyz", charges=ions, cell=CELL))


def test_refusals(tmp_path, monkeypatch):
    path = xyz(tmp_path / "run.xyz")
    charges = {"Na": 1, "Cl": -1}
    with pytest.raises(InputError, match="no such file"):
        gh.read_trajectory(tmp_path / "gone.xyz")
    with pytest.raises(InputError, match=r"no charge for atom 2 .*Cl"):
        gh.read_trajectory(path, charges={"Na": 1})
    with pytest.raises(InputError, match="state no charges"):
        gh.read_trajectory(path)
    with pytest.raises(InputError, match=r"atoms in a cell of 0.5 × 0.5 × 0.5 Å are .* per Å\^3"):
        list(gh.read_trajectory(path, charges=charges, cell=0.5 * np.eye(3)))
    with pytest.raises(InputError, match="states no cell"):
        list(gh.read_trajectory(path, charges=charges))
    with pytest.raises(InputError, match="three rows"):
        gh.read_trajectory(path, charges=charges, cell=[1, 2, 3])
    with pytest.raises(InputError, match="every = 0"):
        gh.read_trajectory(path, charges=charges, every=0)
    broken = tmp_path / "broken.xyz"
    broken.write_text("nothing of a kind\n")
    with pytest.raises(FileFormatError, match=r"broken.xyz: MDAnalysis cannot read it"):
        gh.read_trajectory(broken, charges=charges)
    monkeypatch.setitem(sys.modules, "MDAnalysis", None)
    with pytest.raises(GpuhomogError, match=r"gpuhomog\[formats\]"):
        gh.read_trajectory(path)
