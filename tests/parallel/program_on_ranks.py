"""What every rank of test_mpi.py does: its part of every exchange and operator against the whole, which it has too.

mpiexec -n N python program_on_ranks.py    prints one line from each rank that found everything right
"""

import sys
import warnings
from dataclasses import replace
from itertools import product

import numpy as np

import gpuhomog as gh
from gpuhomog.device import choose_device
from gpuhomog.operators.potentials.cylinder_fit import march_fit
from gpuhomog.operators.potentials.cylinder_sums import cylinder_sums
from gpuhomog.parallel import (
    Slab,
    agree_on,
    contract_planes,
    fetch_planes,
    model,
    mpi,
    transpose,
    world,
)
from gpuhomog.parallel.exchange import at

warnings.simplefilter("ignore", gh.errors.AccuracyWarning)
CPU = choose_device("cpu")
comm = world()
rng = np.random.default_rng(7)


def part_of(field, axis):
    slab = Slab.of(field.grid.shape[axis], comm.rank, comm.size, axis)
    return replace(field, values=field.values[at(axis, slab.planes)], slab=slab, comm=comm)


def same(found, expected, tolerance):
    assert found.shape == expected.shape, (found.shape, expected.shape)
    assert np.abs(found - expected).max(initial=0.0) <= tolerance * np.abs(expected).max(initial=1.0)


# exchanges, in both memory orders and precisions, and their bytes; in one message each, and in many of a few planes
as_they_are = mpi.PART_BYTES, mpi.PACKED_BYTES, mpi.LARGEST_MESSAGE
for sizes, dtype in product((as_they_are, (200, 300, 40)), (np.float32, np.float64, np.complex128)):
    mpi.PART_BYTES, mpi.PACKED_BYTES, mpi.LARGEST_MESSAGE = sizes
    whole = rng.standard_normal((7, 5, 6)).astype(dtype)
    for order in "CF":
        for axis in range(3):
            slab = Slab.of(whole.shape[axis], comm.rank, comm.size, axis)
            mine = np.array(whole[at(axis, slab.planes)], order=order)
            slabs = [Slab.of(slab.n, rank, comm.size) for rank in range(comm.size)]
            wanted = [range(s.start - 3, s.stop + 9 if s.n_local else s.start - 3) for s in slabs]
            planes, before = [np.array(asked, dtype=int) % slab.n for asked in wanted], comm.sent["planes"]
            same(fetch_planes(comm, CPU, slab, mine, planes), np.take(whole, planes[comm.rank], axis=axis), 0)
            if comm.size > 1:
                expected = model.fetch_bytes(slab.n, wanted, whole.nbytes // slab.n)[comm.rank]
                assert comm.sent["planes"] - before == expected
            for other in {0, 1, 2} - {axis}:
                turned, across = transpose(comm, CPU, slab, mine, other, whole.shape[other])
                same(turned, whole[at(other, across.planes)], 0)
                same(transpose(comm, CPU, across, turned, axis, slab.n)[0], mine, 0)
            if dtype == np.float64:
                for n_out in (1, 4, 20):
                    matrix = rng.standard_normal((n_out, slab.n))
                    product = np.moveaxis(np.tensordot(matrix, whole, (1, axis)), 0, axis)
                    for in_order in (False, True):
                        result, target = contract_planes(comm, CPU, slab, mine, matrix, in_order)
                        same(result, product[at(axis, target.planes)], 1e-13)

mpi.PART_BYTES, mpi.PACKED_BYTES, mpi.LARGEST_MESSAGE = as_they_are

# collectives
assert comm.gather(comm.rank) == list(range(comm.size))
assert comm.broadcast(("first", comm.rank)) == ("first", 0)
same(comm.sum(np.full(3, comm.rank + 1.0)), np.full(3, comm.size * (comm.size + 1) / 2), 0)
same(
    comm.concatenate(np.full((comm.rank, 2), comm.rank)),
    np.repeat(np.arange(comm.size), range(comm.size))[:, None] * np.ones(2),
    0,
)
agree_on(comm, {"same": 1}, "test")
if comm.size > 1:
    for refuse in (
        lambda: comm.agree(ValueError("lost") if comm.rank == 1 else None),
        lambda: agree_on(comm, {"width": comm.rank}, "average"),
    ):
        try:
            refuse()
        except ValueError as error:
            assert "rank 1" in str(error) and len(set(comm.gather(str(error)))) == 1, error
        else:
            raise AssertionError("not refused")

# operators
cell = np.array([[4.1, 0.3, -0.2], [1.1, 3.7, 0.5], [-0.6, 0.9, 5.2]])
values = rng.standard_normal((16, 24, 20))
field = gh.Field.from_array(values, cell, quantity="electrostatic_potential")
for axis in range(3):
    part = part_of(field, axis)
    for kernel, options in (
        (gh.Box(1.1), {}),
        (gh.Box(2.9), {"method": "sums"}),
        (gh.Gaussian(1.8), {"spacing": 0.7}),
        (gh.Gaussian(1.0), {"method": "low modes"}),
        (gh.Ball(1.2), {}),
        (gh.PowerLaw(0.9), {"spacing": 1.0}),
    ):
        found, expected = gh.average(part, kernel, **options), gh.average(field, kernel, **options)
        same(found.values, expected.values[at(axis, found.slab.planes)], 1e-12)
    found, expected = gh.charge_density(part), gh.charge_density(field)
    same(found.values, expected.values[at(axis, found.slab.planes)], 1e-12)
    for planes in (0, "b", "c", (1, 1, 0)):
        same(gh.planar_average(part, planes).values, gh.planar_average(field, planes).values, 1e-12)
    assert part.extrema() == field.extrema()
    box = gh.Box(1.1)
    exact = replace(part, reproducible=True)
    one = replace(field, reproducible=True, slab=Slab.of(field.grid.shape[axis], axis=axis))
    found, expected = gh.average(exact, box, spacing=0.7), gh.average(one, box, spacing=0.7)
    assert (found.values == expected.values[at(axis, found.slab.planes)]).all()
    assert all((exact.plane_sums(normal) == one.plane_sums(normal)).all() for normal in range(3))

# cylinder sums: end states handed on across slabs, spectra transposed where slabs cut the planes
expected_bytes = 0
for normal in range(3):
    values = np.moveaxis(rng.standard_normal((90, 6, 5)), 0, normal)
    field = gh.Field.from_array(values, np.diag(0.4 * np.array(values.shape)), device="cpu")
    fit = march_fit(np.diag([2.4, 2.0]), (6, 5), 0.4, 90, 1.5, sections=[4])
    for sides, side in ((1, "low"), (2, "both")):
        expected = CPU.cylinder_march(values, fit, axis=normal, side=side)
        for axis in range(3):
            found = cylinder_sums(part_of(field, axis), fit, normal, side=side)
            same(found, expected[at(axis, Slab.of(values.shape[axis], comm.rank, comm.size).planes)], 1e-13)
        shape = (90, 5, 6) if normal == 2 else (90, 6, 5)  # the faster axis of a plane is halved
        states, spectra = model.march_choices(shape, fit.n_states, 8, comm.size, sides)
        expected_bytes += int(states[comm.rank]) if states.sum() <= spectra.sum() else 0
assert comm.sent["state"] == expected_bytes

comm.agree(None)
print(f"rank {comm.rank} of {comm.size}: all right", flush=True)
sys.stdout.flush()
