"""A filter on slabs by mpi4py-fft and by gpuhomog, on every rank: another library's transposes and transforms.

mpiexec -n N python program_mpi4py_fft.py
"""

import numpy as np
from mpi4py import MPI
from mpi4py_fft import PFFT, newDistArray

from gpuhomog.device import choose_device
from gpuhomog.fft import Multiplier, OfWavevector, filtered
from gpuhomog.parallel import Slab, world

comm = world()
shape = (15, 16, 18)
whole = np.random.default_rng(3).standard_normal(shape)
rows = 2 * np.pi * np.linalg.inv(np.array([[4.1, 0.3, -0.2], [1.1, 3.7, 0.5], [-0.6, 0.9, 5.2]])).T


def transform(k):
    return 1 / (1 + k**2)


transforms = PFFT(MPI.COMM_WORLD, shape, axes=(0, 1, 2), dtype=np.float64, slab=True)
theirs = newDistArray(transforms, False)
theirs[:] = whole[theirs.local_slice()]
spectrum = transforms.forward(theirs, newDistArray(transforms, True))
modes = [np.fft.fftfreq(n, 1 / n) for n in shape[:2]] + [np.arange(shape[2] // 2 + 1.0)]
a, b, c = np.meshgrid(*[m[s] for m, s in zip(modes, spectrum.local_slice(), strict=True)], indexing="ij")
k = np.linalg.norm(a[..., None] * rows[0] + b[..., None] * rows[1] + c[..., None] * rows[2], axis=-1)
factor = transform(k)
for axis, mode in enumerate((a, b, c)):  # at +N/2 and -N/2 ours takes the mean over both signs
    if shape[axis] % 2 == 0:
        spectrum[np.abs(mode) == shape[axis] // 2] = 0
spectrum[:] = spectrum * factor
filtered_theirs = transforms.backward(spectrum, newDistArray(transforms, False))

even = whole.copy()
for axis in (1, 2):  # ours without those modes, too
    nyquist = np.fft.rfft(even, axis=axis)
    nyquist[tuple(-1 if i == axis else slice(None) for i in range(3))] = 0
    even = np.fft.irfft(nyquist, shape[axis], axis=axis)
slab = Slab.of(shape[0], comm.rank, comm.size)
multiplier = Multiplier(shape, [OfWavevector(rows, transform)])
(ours,) = filtered(choose_device("cpu"), even[slab.planes].copy(), multiplier, slab=slab, comm=comm)

gathered = np.zeros(shape)
gathered[filtered_theirs.local_slice()] = filtered_theirs
gathered = MPI.COMM_WORLD.allreduce(gathered)
assert np.abs(ours - gathered[slab.planes]).max(initial=0.0) < 1e-13, np.abs(ours - gathered[slab.planes]).max()
print(f"rank {comm.rank} of {comm.size}: all right", flush=True)
