"""Arithmetic of multiplier.cuh: roots and quotients from estimates of twenty bits, polynomials on intervals."""

import numpy as np
import pytest
from host_runtime import HostRuntime

from gpuhomog.device.gpu.polynomials import COEFFICIENTS, tabulated
from gpuhomog.device.gpu.sources import source

PROGRAM = r"""
template <typename T> __global__ void arithmetic(const T *x, T *roots, T *quotients, int n) {
  for (int i = threadIdx.x; i < n; i += blockDim.x) {
    roots[i] = root(x[i]);
    quotients[i] = over(T(3), x[i]);
  }
}
template <typename T> __global__ void factors(const T *k, Complex<T> *out, const T *numbers, const T *radial, int n) {
  const Multiplier<T> multiplier{POLYNOMIAL, 2 * n + 1, 1, 1, numbers, nullptr, radial};
  for (int i = threadIdx.x; i < n; i += blockDim.x)
    out[i] = multiplier.product({T(1), T(0)}, multiplier.column(0, 0, 0), k[i], 0);
}
"""
INSTANCES = [f"{name}<{real}>" for name in ("arithmetic", "factors") for real in ("float", "double")]


@pytest.fixture(scope="module")
def runtime(sanitizers):
    runtime = HostRuntime({"multiplier.cu": (source("multiplier.cuh") + PROGRAM, INSTANCES)})
    yield runtime
    runtime.close()


@pytest.mark.parametrize(("name", "real"), [("float", np.float32), ("double", np.float64)])
def test_roots_and_quotients_are_within_two_roundings(runtime, name, real):
    random = np.random.default_rng(3)
    x = (10 ** random.uniform(-20, 20, 4000)).astype(real)
    roots, quotients = np.zeros_like(x), np.zeros_like(x)
    runtime.launch("multiplier.cu", f"arithmetic<{name}>", (1,), (64,), (x, roots, quotients, np.int32(len(x))))
    wide = x.astype(np.longdouble)
    for found, exact in ((roots, np.sqrt(wide)), (quotients, 3 / wide)):
        # floats: 2^-22.9 is what the instruction set promises of a root's estimate, and a rounding
        assert np.max(np.abs(found / exact - 1)) < (1.6 if real == np.float32 else 1.0) * np.finfo(real).eps


@pytest.mark.parametrize(("name", "real"), [("float", np.float32), ("double", np.float64)])
def test_polynomials_are_right_up_to_the_ends_of_intervals(runtime, name, real):
    reach, n = 40.0, COEFFICIENTS[np.dtype(real).name]
    coefficients, per_unit = tabulated((lambda k: np.cos(k) / (1 + k),), reach, n)
    edges = np.arange(len(coefficients) + 1) / per_unit
    k = np.concatenate([edges, np.nextafter(edges, 0), np.nextafter(edges, 99), np.linspace(0, reach, 999)]).astype(
        real
    )
    k = np.clip(k, 0, np.nextafter(real(reach), real(99)))
    numbers = np.zeros(12)
    numbers[3], numbers[9:11] = 1.0, (per_unit, len(coefficients) - 1)
    out = np.zeros(len(k), np.result_type(real, np.complex64))
    arguments = (k, out, numbers.astype(real), coefficients.astype(real), np.int32(len(k)))
    runtime.launch("multiplier.cu", f"factors<{name}>", (1,), (64,), arguments)
    exact = np.cos(k.astype(np.float64)) / (1 + k.astype(np.float64))
    # k of up to `reach` is rounded, and scaled to intervals, before the polynomial sees what is left of it
    assert np.abs(out.real - exact).max() < 10 * np.finfo(real).eps * reach and not out.imag.any()
