"""Mesoscale averages against direct Fourier sums, real-space quadrature and brute-force overlaps."""

import warnings

import numpy as np
import pytest
from scipy.signal import fftconvolve

import gpuhomog as gh
from gpuhomog.errors import AccuracyWarning, InputError, KernelError

ORTHOGONAL = np.diag([4.0, 5.0, 6.0])
pytestmark = pytest.mark.filterwarnings("ignore:eps = .* exceeds a quarter")


def direct_fourier_sum(values, cell, transform, points):
    """Σ_k f~(k) mu^(-k) e^{ik r} at fractional points, one mode after another; odd counts only."""
    modes = [np.fft.fftfreq(n, 1 / n) for n in values.shape]
    coefficients = np.fft.fftn(values) / values.size
    reciprocal = 2 * np.pi * np.linalg.inv(cell).T
    out = np.zeros(len(points))
    for index in np.ndindex(values.shape):
        n = np.array([m[i] for m, i in zip(modes, index, strict=True)])
        phase = np.exp(2j * np.pi * points @ n)
        out += (coefficients[index] * np.conj(transform(n @ reciprocal, n)) * phase).real
    return out


def isotropic(kernel):
    return lambda k, n: kernel.transform(np.linalg.norm(k))


def along_cell_axes(kernels, lengths):
    return lambda k, n: np.prod([q.transform(2 * np.pi * m / a) for q, m, a in zip(kernels, n, lengths, strict=True)])


def skewed():
    u = np.linspace(-8, 8, 801)
    with pytest.warns(AccuracyWarning, match="skewed"):
        return gh.Sampled(u, np.exp(-(u**2) / 2) * (1 + np.tanh(u)), eps=1.4)


CASES = {
    "gaussian": (gh.Gaussian(1.7), isotropic),
    "narrow gaussian": (gh.Gaussian(0.4), isotropic),
    "ball": (gh.Ball(1.5), isotropic),
    "power law": (gh.PowerLaw(1.1), isotropic),
    "box": (gh.Box((1.37, 2.2, 0.9)), None),
    "two gaussians": (gh.Stages(gh.Gaussian(1.0), gh.Gaussian(0.7)), isotropic),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shape", ["orthogonal", "triclinic"])
@pytest.mark.parametrize("order", "CF")
def test_every_way_equals_the_direct_fourier_sum(device, triclinic, rng, case, shape, order):
    cell = ORTHOGONAL if shape == "orthogonal" else triclinic
    kernel, make = CASES[case]
    values = np.array(rng.standard_normal((5, 7, 9)) + 2, order=order)
    field = gh.Field.from_array(values, cell, device=device)
    lengths = np.linalg.norm(cell, axis=1)
    transform = make(kernel) if make else along_cell_axes([kernel.along(i) for i in range(3)], lengths)
    fine = np.array(list(np.ndindex(5, 7, 9))) / [5, 7, 9]
    coarse = np.array(list(np.ndindex(2, 4, 3))) / [2, 4, 3]
    expected = direct_fourier_sum(values, cell, transform, np.vstack([fine, coarse]))
    spacing = lengths / [2, 4, 3]
    ways = set()
    for method in ("auto", "lines", "low modes", "all modes"):
        try:
            full = gh.average(field, kernel, method=method)
        except KernelError as error:
            assert "does not exist for" in str(error)
            continue
        sparse = gh.average(field, kernel, spacing=spacing, method=method)
        ways.add(sparse.provenance[-1]["way"])
        assert sparse.grid.shape == (2, 4, 3)
        found = np.concatenate([full.to_host().ravel(), sparse.to_host().ravel()])
        assert np.abs(found - expected).max() < 3e-14
    assert len(ways) >= (1 if case == "ball" else 2)


def test_skewed_kernel_correlates_as_eq_18(device, rng):
    kernel = skewed()
    values = rng.standard_normal((5, 7, 9))
    field = gh.Field.from_array(values, ORTHOGONAL, device=device)
    points = np.array(list(np.ndindex(5, 7, 9))) / [5, 7, 9]
    expected = direct_fourier_sum(values, ORTHOGONAL, along_cell_axes([kernel] * 3, [4, 5, 6]), points)
    for method in ("lines", "all modes"):
        found = gh.average(field, kernel, method=method).to_host().ravel()
        assert np.abs(found - expected).max() < 1e-13
    # and by quadrature of ∫ nu(x + u) mu(u) du on a line
    line = gh.Profile(np.arange(64) / 8, np.sin(2 * np.pi * np.arange(64) / 64), None, "scalar", 8.0)
    u = np.linspace(-8, 8, 160001)
    weight = kernel.density(u)
    by_hand = np.trapezoid(np.sin(2 * np.pi * (1.0 + u) / 8) * weight, u) / np.trapezoid(weight, u)
    assert gh.average(line, kernel).values[8] == pytest.approx(by_hand, abs=1e-5)


def test_disc_averages_in_the_plane_only(device, triclinic, rng):
    values = rng.standard_normal((5, 7, 9))
    field = gh.Field.from_array(values, triclinic, device=device)
    kernel = gh.Disc(1.2, axis="a")
    normal = np.cross(triclinic[1], triclinic[2])
    normal /= np.linalg.norm(normal)
    points = np.array(list(np.ndindex(5, 7, 9))) / [5, 7, 9]
    expected = direct_fourier_sum(
        values, triclinic, lambda k, n: kernel.transform(np.linalg.norm(k - (k @ normal) * normal)), points
    )
    found = gh.average(field, kernel)
    assert np.abs(found.to_host().ravel() - expected).max() < 1e-14
    # what is constant in the planes is untouched
    planes = gh.Field.from_array(np.arange(5.0)[:, None, None] * np.ones((5, 7, 9)), triclinic, device=device)
    assert np.abs(gh.average(planes, kernel).to_host() - planes.to_host()).max() < 1e-14


@pytest.mark.parametrize("single", [False, True])
def test_precision_is_kept(device, rng, single):
    dtype = np.float32 if single else np.float64
    values = (rng.standard_normal((24, 20, 30)) + 1).astype(dtype)
    field = gh.Field.from_array(values, ORTHOGONAL, device=device)
    exact = gh.Field.from_array(values.astype(np.float64), ORTHOGONAL)
    for kernel in (gh.Gaussian(2.0), gh.Box(1.7), gh.Ball(1.5)):
        for spacing in (None, 1.0):
            found = gh.average(field, kernel, spacing=spacing)
            assert found.values.dtype == dtype
            error = np.abs(found.to_host() - gh.average(exact, kernel, spacing=spacing).to_host()).max()
            assert error < (2e-6 if single else 1e-13)  # a few roundings of values of order one


# -- cell sampling ----------------------------------------------------------------------------------------------


def overlap_average(values, step, width, x, boundary):
    """Mean over [x - w/2, x + w/2] of a piecewise constant line, by adding up overlaps of intervals."""
    n = len(values)
    total = 0.0
    for i in range(-3 * n, 4 * n):
        if boundary == "open" and not 0 <= i < n:
            continue
        low, high = (i - 0.5) * step, (i + 0.5) * step
        total += values[i % n] * max(0.0, min(high, x + width / 2) - max(low, x - width / 2))
    return total / width


@pytest.mark.parametrize("boundary", ["periodic", "open"])
@pytest.mark.parametrize("width", [0.5, 0.77, 2.0, 3.999])
def test_cell_box_is_the_overlap_of_intervals(device, rng, boundary, width):
    values = rng.standard_normal(12)
    line = gh.Field.from_array(
        values[None, :, None], np.diag([1.0, 6.0, 1.0]), boundary=("periodic", boundary, "periodic"), device=device
    )
    for spacing, m in ((None, 12), ([1, 1.2, 1], 5), ([1, 3.0, 1], 2)):
        found = gh.average(line, gh.Box(width), sampling="cell", spacing=spacing).to_host()[0, :, 0]
        expected = [overlap_average(values, 0.5, width, j * 6.0 / m, boundary) for j in range(m)]
        assert found == pytest.approx(expected, abs=1e-14)
        assert len(found) == m


@pytest.mark.parametrize("kernel", [gh.Gaussian(2.6), gh.Ball(2.4), gh.PowerLaw(2.2)], ids=lambda k: k.name)
def test_cell_average_of_a_line_is_the_integral_over_steps(kernel, rng):
    values = rng.standard_normal(10)
    profile = gh.Profile(np.arange(10) * 1.0, values, None, "scalar", 10.0)
    found = gh.average(profile, kernel, sampling="cell").values
    u = (np.arange(400000) + 0.5) / 2000 - 100  # midpoint rule, fine enough to see every step
    weight = kernel.density(u) / 2000
    nearest = np.floor(u + 0.5).astype(int)
    expected = [float((values[(j + nearest) % 10] * weight).sum()) for j in range(10)]
    assert found == pytest.approx(expected, abs=2e-8)


def test_cell_gaussian_in_an_oblique_cell_is_the_integral_over_cells(rng):
    """A cell refined four times, each small cell with its parent's value, has the same band-limited average."""
    cell = np.array([[3.0, 0.4, 0.0], [0.0, 3.2, 0.5], [0.3, 0.0, 2.9]])
    values = rng.standard_normal((4, 5, 3))
    kernel = gh.Gaussian(1.97)  # just above two samples along c
    found = gh.average(gh.Field.from_array(values, cell), kernel, sampling="cell").values

    def refined(r):
        fine = np.kron(values, np.ones((r, r, r)))
        shift = -(r - 1) / 2 / (np.array(values.shape) * r) @ cell  # small cells' centres
        field = gh.Field.from_array(fine, cell, origin=shift)
        smooth = gh.average(field, kernel)
        # parents' centres lie between the small cells' for even r; take odd r
        return smooth.values[r // 2 :: r, r // 2 :: r, r // 2 :: r]

    rough, fine = refined(3), refined(9)
    extrapolated = (9 * fine - rough) / 8  # the midpoint rule's error falls as r^-2
    assert np.abs(extrapolated - found).max() < 0.02 * np.abs(fine - found).max() < 1e-4


def test_skewed_cell_average_by_modes_equals_lines(rng):
    kernel = skewed()
    field = gh.Field.from_array(rng.standard_normal((6, 7, 8)), np.diag([3.0, 3.5, 4.0]))
    by_lines, by_modes = (gh.average(field, kernel, sampling="cell", method=m).values for m in ("lines", "all modes"))
    assert np.abs(by_lines - by_modes).max() < 1e-13


# -- running sums -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cell_averages_at_every_point_of_a_large_grid_are_sums(rng, dtype, monkeypatch):
    """Chosen where products are longer, and equal to shifted copies of the field with the ends' shares as weights."""
    pytest.importorskip("numba", reason="without compiled loops products are as fast")
    monkeypatch.setattr("gpuhomog.device.cpu.running.COMPILED_FROM", 1 << 20)
    values = (10 + rng.standard_normal((128, 64, 130))).astype(dtype)
    field = gh.Field.from_array(values, np.diag([128.0, 64.0, 130.0]), device="cpu")
    smooth = gh.average(field, gh.Box((5.5, 1.0, 64.0)), sampling="cell")
    assert smooth.provenance[-1]["way"] == "sums"
    expected = values.astype(np.float64)
    for axis, whole, share in ((0, 2, 0.25), (2, 31, 0.5)):
        shifts = dict.fromkeys(range(-whole, whole + 1), 1.0) | {whole + 1: share, -whole - 1: share}
        expected = sum(w * np.roll(expected, i, axis) for i, w in shifts.items()) / sum(shifts.values())
    assert np.abs(smooth.values - expected).max() <= 20 * np.finfo(dtype).eps * 10


@pytest.mark.parametrize("sampling", ["cell", "bandlimited"])
@pytest.mark.parametrize("order", "CF")
def test_running_sums_reach_their_stated_error(device, rng, sampling, order):
    modes = np.fft.fftfreq(48, 1 / 48)
    keep = np.abs(modes) < 12
    mask = keep[:, None, None] & keep[None, :, None] & keep[None, None, :]
    values = np.fft.ifftn(np.fft.fftn(rng.standard_normal((48, 48, 48))) * mask).real
    values = np.array(values / values.std() + 1, order=order)
    field = gh.Field.from_array(values, np.eye(3) * 48.0, device=device)
    for width, spacing in ((13.0, 8.0), (9.37, 6.0), (30.2, 16.0), (11.9, 7.0), (3.3, None)):
        sums = gh.average(field, gh.Box(width), spacing=spacing, sampling=sampling, method="sums")
        exact = gh.average(field, gh.Box(width), spacing=spacing, sampling=sampling)
        deviation = sums.to_host() - exact.to_host()
        if sampling == "cell":
            assert np.abs(deviation).max() < 1e-13
        else:
            stated = sums.provenance[-1]["rms_error_at_most"]
            assert 1e-14 < np.sqrt(np.mean(deviation**2)) <= stated < 3e-4


@pytest.mark.parametrize("spacing", [None, 2.5])
def test_running_sums_on_open_axes_are_integrals_over_cells(rng, spacing):
    """Along a, open, against differences of the running integral of the cells, which is straight within each."""
    values = rng.standard_normal((20, 2, 2))
    field = gh.Field.from_array(values, np.diag([20.0, 2.0, 2.0]), boundary="o,p,p", device="cpu")
    box = gh.Box((7.3, 1.0, 1.0))
    smooth = gh.average(field, box, sampling="cell", method="sums", spacing=spacing and (spacing, 1.0, 1.0))
    x = np.arange(smooth.grid.shape[0]) * smooth.grid.plane_spacing(0)
    for line, found in ((values[:, i, j], smooth.values[:, i, j]) for i in (0, 1) for j in (0, 1)):
        running = np.concatenate([[0.0], np.cumsum(line)])
        low, high = (np.interp(x + side * 3.65, np.arange(21) - 0.5, running) for side in (-1, 1))
        np.testing.assert_allclose(found, (high - low) / 7.3, rtol=0, atol=1e-13)


def test_end_stencil_is_exact_for_polynomials():
    from gpuhomog.operators.averages.line_weights import end_stencil

    for q in (0, 1, 2, 4, 8):
        for low, high in ((-20.3, 31.75), (-17.5, 25.0), (-11.499, 12.2)):
            for degree in range(0, 2 * q + 1, max(1, q)):
                scale = 30.0
                total = 0.0
                for edge, sign in ((high, 1.0), (low, -1.0)):
                    nearest = int(np.floor(edge + 0.5))
                    at = np.arange(nearest - q, nearest + q + 1)
                    total += sign * float(np.dot(end_stencil(edge - nearest, q), (at / scale) ** degree))
                    total += sign * float(((np.arange(-60, nearest - q) / scale) ** degree).sum())
                exact = scale / (degree + 1) * ((high / scale) ** (degree + 1) - (low / scale) ** (degree + 1))
                assert total == pytest.approx(exact, abs=1e-9)


# -- open axes --------------------------------------------------------------------------------------------------


def test_open_axis_is_a_linear_convolution(device, rng):
    values = rng.standard_normal((6, 8, 40))
    field = gh.Field.from_array(values, np.diag([6.0, 8.0, 20.0]), boundary="p,p,o", device=device)
    kernel = gh.Gaussian(3.0)  # 0.5 Å steps: the sampled kernel is the kernel, to rounding
    u = np.arange(-39, 40) * 0.5
    line = kernel.density(u) * 0.5
    periodic = [np.exp(-(kernel.eps**2) * (2 * np.pi * np.fft.fftfreq(n)) ** 2 / 8) for n in (6, 8)]
    in_plane = np.fft.ifft2(
        np.fft.fft2(values, axes=(0, 1)) * periodic[0][:, None, None] * periodic[1][:, None], axes=(0, 1)
    ).real
    expected = fftconvolve(in_plane, line[None, None, :], mode="same", axes=2)
    for method in ("lines", "low modes", "all modes"):
        found = gh.average(field, kernel, method=method)
        assert np.abs(found.to_host() - expected).max() < 1e-10
        assert found.provenance[-1]["truncated_mass"] < 1e-15
        sparse = gh.average(field, kernel, spacing=[6, 8, 2.0], method=method).to_host()
        assert np.abs(sparse - expected[::6, ::8, ::4]).max() < 1e-10


@pytest.mark.parametrize(
    ("kernel", "sampling"),
    [
        (gh.Gaussian(2.0), "bandlimited"),
        (gh.Gaussian(2.0), "cell"),
        (gh.Box(3.3), "bandlimited"),
        (gh.Box(3.3), "cell"),
        (gh.Ball(2.0), "bandlimited"),
    ],
)
def test_open_integral_is_conserved_on_padded_output(device, rng, kernel, sampling):
    values = rng.standard_normal((10, 6, 12)) + 1
    field = gh.Field.from_array(values, np.diag([10.0, 6.0, 12.0]), boundary="o,p,o", device=device)
    padded = gh.average(field, kernel, padded=True, sampling=sampling)
    assert padded.grid.shape[0] > 10 and padded.grid.shape[1] == 6
    assert padded.integral() == pytest.approx(field.integral(), rel=1e-12)
    # the padded output continues the plain one, point by point
    inside = gh.average(field, kernel, sampling=sampling).to_host()
    i, k = (-padded.grid.origin[[0, 2]]).round().astype(int)
    assert np.abs(padded.to_host()[i : i + 10, :, k : k + 12] - inside).max() < 1e-13
    steps = np.diag(padded.grid.steps)
    assert steps == pytest.approx([1.0, 1.0, 1.0])


def test_outside_value_continues_the_field(device):
    field = gh.Field.from_array(np.full((4, 4, 16), 3.0), np.diag([4.0, 4.0, 16.0]), boundary="p,p,o", device=device)
    assert gh.average(field, gh.Gaussian(4.0), outside=3.0).to_host() == pytest.approx(3.0, abs=1e-14)
    assert gh.average(field, gh.Gaussian(4.0)).to_host()[0, 0, 0] < 2.0


def test_outside_value_has_no_gradient_and_no_variance(device):
    values = np.full((4, 4, 16), 3.0)
    field = gh.Field.from_array(values, np.diag([4.0, 4.0, 16.0]), boundary="p,p,o", device=device)
    for component in gh.average_gradient(field, gh.Gaussian(4.0), outside=3.0):
        assert np.abs(component.to_host()).max() < 1e-13
    assert np.abs(gh.average_gradient(field, gh.Gaussian(4.0))[2].to_host()).max() > 0.3  # the step at the faces
    mean, variance = gh.average_and_variance(field, gh.Gaussian(4.0), outside=3.0)
    assert mean.to_host() == pytest.approx(3.0, abs=1e-14) and np.abs(variance.to_host()).max() < 1e-13


@pytest.mark.parametrize("outside", [0.0, 1.5])
def test_mean_beside_the_variance_is_the_average(device, rng, outside):
    values = rng.standard_normal((6, 4, 16)) + 5
    field = gh.Field.from_array(values, np.diag([6.0, 4.0, 16.0]), boundary="p,p,o", device=device)
    mean, variance = gh.average_and_variance(field, gh.Box((3, 2, 4)), outside=outside, sampling="cell")
    assert mean.to_host() == pytest.approx(
        gh.average(field, gh.Box((3, 2, 4)), outside=outside, sampling="cell").to_host(), abs=1e-13
    )
    square = gh.Field.from_array(values**2, field.grid.cell, boundary="p,p,o")
    second = gh.average(square, gh.Box((3, 2, 4)), outside=outside**2, sampling="cell").values
    assert variance.to_host() == pytest.approx(second - mean.to_host() ** 2, abs=1e-11)


def test_boxes_of_three_widths_on_open_axes(device, rng):
    field = gh.Field.from_array(
        rng.standard_normal((6, 8, 10)), np.diag([6.0, 8.0, 10.0]), boundary="open", device=device
    )
    for kernel in (gh.Box((2, 2, 3)), [gh.Box((2, 2, 3)), gh.Gaussian(1.0)]):
        step = gh.average(field, kernel).provenance[-1]
        assert step["truncated_mass"] == pytest.approx(0.0, abs=1e-12)


def test_truncated_mass_of_a_power_law_is_returned():
    profile = gh.Profile(np.arange(50) * 0.2, np.ones(50), None, "scalar", 10.0, boundary="open")
    step = gh.average(profile, gh.PowerLaw(2.0)).provenance[-1]
    assert step["truncated_mass"] == pytest.approx(gh.PowerLaw(2.0).truncated_mass(10.0), rel=0.2)
    assert 1e-6 < step["truncated_mass"] < 1e-4


# -- what is built on averages ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", [gh.Gaussian(1.2), gh.Box(1.3), gh.Ball(1.1)], ids=lambda k: k.name)
def test_gradient_is_the_derivative_of_the_average(device, triclinic, kernel):
    """Against the analytic gradient of a plane wave, in Cartesian components of an oblique cell."""
    n = np.array([1, -2, 1])
    k = n @ (2 * np.pi * np.linalg.inv(triclinic).T)
    s = np.stack(np.meshgrid(*[np.arange(m) / m for m in (9, 12, 10)], indexing="ij"), -1)
    phase = 2 * np.pi * s @ n
    field = gh.Field.from_array(np.sin(phase), triclinic, quantity="electrostatic_potential", device=device)
    lengths = np.linalg.norm(triclinic, axis=1)
    damping = (
        np.prod([kernel.along(i).transform(2 * np.pi * n[i] / lengths[i]) for i in range(3)])
        if kernel.name == "box"
        else kernel.transform(np.linalg.norm(k))
    )
    for spacing in (None, lengths / [3, 4, 5]):
        gradient = gh.average_gradient(field, kernel, spacing=spacing)
        chosen = phase if spacing is None else phase[::3, ::3, ::2]
        for component, expected in zip(gradient, k, strict=True):
            assert component.unit == "V/Å"
            assert component.to_host() == pytest.approx(damping * expected * np.cos(chosen), abs=1e-13)


def test_gradient_of_a_cell_box_is_the_difference_of_its_faces(rng):
    values = rng.standard_normal((8, 1, 1))
    field = gh.Field.from_array(values, np.diag([8.0, 1.0, 1.0]))
    x_slope, *_ = gh.average_gradient(field, gh.Box(2.6), sampling="cell")
    line = values[:, 0, 0]
    at = lambda x: line[np.floor(x + 0.5).astype(int) % 8]  # noqa: E731
    x = np.arange(8.0)
    assert x_slope.values[:, 0, 0] == pytest.approx((at(x + 1.3) - at(x - 1.3)) / 2.6, abs=1e-14)


@pytest.mark.parametrize(
    ("kernel", "spacing"),
    [
        (gh.Gaussian(2.0), None),
        (gh.PowerLaw(2.0), None),
        (gh.Gaussian(2.0), (1.6, 4.0, 3.5)),
        (gh.Gaussian(6.0), (1.1, 1.4, 1.3)),
    ],
    ids=["gaussian", "powerlaw", "every-second-sample", "between-samples"],
)
def test_cell_averages_and_gradients_in_an_oblique_cell_are_sums_over_images(device, rng, kernel, spacing):
    """The modes of the piecewise constant field, one by one, far beyond those of its samples."""
    cell = np.array([[3.0, 0.4, 0.0], [0.0, 3.2, 0.5], [0.3, 0.0, 2.9]])
    values = rng.standard_normal((4, 5, 3))
    field = gh.Field.from_array(values, cell, device=device)
    shape = np.array(values.shape)
    n = np.stack(np.meshgrid(*[np.arange(-6 * s, 6 * s + 1) for s in shape], indexing="ij"), -1).reshape(-1, 3)
    k = n @ (2 * np.pi * np.linalg.inv(cell).T)
    size = np.linalg.norm(k, axis=1)
    n, k, size = n[size < 22], k[size < 22], size[size < 22]
    modes = (
        np.fft.fftn(values)[tuple((n % shape).T)] / values.size * np.sinc(n / shape).prod(1) * kernel.transform(size)
    )
    smooth, slopes = (
        operator(field, kernel, sampling="cell", spacing=spacing) for operator in (gh.average, gh.average_gradient)
    )
    at = np.indices(smooth.grid.shape).reshape(3, -1).T / smooth.grid.shape
    waves = np.exp(2j * np.pi * at @ n.T)
    assert smooth.to_host().ravel() == pytest.approx((waves @ modes).real, abs=1e-11)
    for axis, slope in enumerate(slopes):
        assert slope.to_host().ravel() == pytest.approx((waves @ (1j * k[:, axis] * modes)).real, abs=1e-11)


def test_variance_is_that_of_the_weights(device, rng):
    values = rng.standard_normal((12, 10, 8)) + 1e6
    field = gh.Field.from_array(values, np.diag([12.0, 10.0, 8.0]), device=device)
    mean, variance = gh.average_and_variance(field, gh.Box((5.0, 3.0, 1.0)), sampling="cell")
    padded = np.pad(values, ((2, 2), (1, 1), (0, 0)), mode="wrap")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 3, 1)).reshape(12, 10, 8, -1)
    assert mean.to_host() == pytest.approx(windows.mean(axis=-1), rel=1e-14)
    assert variance.to_host() == pytest.approx(windows.var(axis=-1), rel=1e-8)
    single = gh.Field.from_array(values.astype(np.float32), np.diag([12.0, 10.0, 8.0]), device=device)
    _, kept = gh.average_and_variance(single, gh.Gaussian(4.0))
    assert kept.values.dtype == np.float64


def test_average_of_the_average_composes(device, triclinic, rng):
    field = gh.Field.from_array(rng.standard_normal((15, 13, 11)), triclinic, device=device)
    once = gh.average(gh.average(field, gh.Gaussian(1.2)), gh.Box(1.4), spacing=1.0)
    at_once = gh.average(field, [gh.Gaussian(1.2), gh.Box(1.4)], spacing=1.0)
    assert np.abs(once.to_host() - at_once.to_host()).max() < 1e-14
    both = gh.average(field, gh.Gaussian((1.2**2 + 0.9**2) ** 0.5))
    assert np.abs(gh.average(field, [gh.Gaussian(1.2), gh.Gaussian(0.9)]).to_host() - both.to_host()).max() < 1e-14


def test_spacing_is_an_upper_bound_and_the_grid_is_described(rng):
    field = gh.Field.from_array(
        rng.standard_normal((12, 10, 8)), np.diag([6.0, 5.0, 4.0]), origin=[1.0, 2.0, 3.0], quantity="charge_density"
    )
    coarse = gh.average(field, gh.Gaussian(1.0), spacing=[1.1, 5.0, 0.9])
    assert coarse.grid.shape == (6, 1, 5)
    assert coarse.grid.origin == pytest.approx([1.0, 2.0, 3.0])
    assert coarse.grid.cell == pytest.approx(field.grid.cell)
    assert (coarse.quantity, coarse.unit) == ("charge_density", "e/Å^3")
    step = coarse.provenance[-1]
    assert (step["kernel"], step["eps"], step["sampling"]) == ("gaussian", 1.0, "bandlimited")
    assert field.provenance == coarse.provenance[:-1]


# -- refusals ---------------------------------------------------------------------------------------------------


@pytest.fixture
def small(rng):
    return gh.Field.from_array(rng.standard_normal((8, 8, 8)), np.eye(3) * 8.0, boundary="p,p,o")


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda f: gh.average(f, gh.Box(0.9), sampling="cell"), KernelError, "narrower than one sample along a"),
        (lambda f: gh.average(f, gh.TopHat(0.5), sampling="cell"), KernelError, "narrower than one sample"),
        (lambda f: gh.average(f, gh.Gaussian(1.9), sampling="cell"), KernelError, "narrower than two samples"),
        (lambda f: gh.average(f, gh.PowerLaw(1.9), sampling="cell"), KernelError, "narrower than two samples"),
        (lambda f: gh.average(f, gh.Box(8.5)), KernelError, "open axis c is only 8 Å long"),
        (lambda f: gh.average(f, gh.Gaussian(4.1)), KernelError, "open axis c"),
        (lambda f: gh.average(f, gh.Ball(3.0), sampling="cell"), KernelError, "no exact form for cell averages"),
        (lambda f: gh.average(f, gh.PowerLaw(2.1), sampling="cell", spacing=1.5), KernelError, "between the samples"),
        (
            lambda f: gh.average(f, gh.Box(2), sampling="cell", spacing=1.5, method="all modes"),
            KernelError,
            "use one of",
        ),
        (lambda f: gh.average(f, gh.Box(2), outside=np.nan), InputError, "outside = nan: give the finite value"),
        (lambda f: gh.average(f, gh.Box(2), outside=None), InputError, "outside = None: give the finite value"),
        (lambda f: gh.average_gradient(f, gh.Box(2), outside=np.inf), InputError, "outside = inf"),
        (lambda f: gh.average_and_variance(f, gh.Box(2), outside=np.nan), InputError, "outside = nan"),
        (lambda f: gh.scale_report(f, 2.0, outside=np.nan), InputError, "outside = nan"),
        (lambda f: gh.average(f, None), KernelError, "give an averaging kernel such as"),
        (lambda f: gh.average(f, "gaussian"), KernelError, "give an averaging kernel such as"),
        (lambda f: gh.average(f, []), KernelError, "one averaging kernel or more"),
        (lambda f: gh.average(f, gh.Gaussian(2.0), spacing=0.0), InputError, "one positive number"),
        (lambda f: gh.average(f, gh.Gaussian(2.0), spacing=[1, 2]), InputError, "one positive number"),
        (lambda f: gh.average(f, gh.Gaussian(2.0), spacing=float("nan")), InputError, "one positive number"),
        (lambda f: gh.average(f, gh.Gaussian(2.0), spacing=0.1), InputError, "more than eight times"),
        (lambda f: gh.average(f, gh.Gaussian(2.0), sampling="cells"), InputError, 'did you mean "cell"'),
        (lambda f: gh.average(f, gh.Gaussian(2.0), method="fft"), InputError, "Unknown method"),
        (lambda f: gh.average(f, gh.Gaussian(2.0), method="sums"), KernelError, "only Box and TopHat"),
        (lambda f: gh.average(f, gh.Ball(2.0), method="lines"), KernelError, "does not exist for ball"),
        (lambda f: gh.average(f, [gh.Box(2), gh.Box(2)], sampling="cell"), KernelError, "Call average twice"),
    ],
)
def test_refused_with_the_reason(small, call, error, sentence):
    with pytest.raises(error, match=sentence):
        call(small)


def test_line_kernels_are_refused_on_oblique_cells(triclinic):
    field = gh.Field.from_array(np.zeros((4, 4, 4)), triclinic)
    for kernel in (gh.TopHat(1.0), gh.Sampled(np.arange(7), [0, 0, 1, 1, 1, 0, 0], 1.0)):
        with pytest.raises(KernelError, match="oblique"):
            gh.average(field, kernel)


def test_narrow_kernels_are_allowed_for_bandlimited_samples(small):
    assert np.isfinite(gh.average(small, gh.Box(0.3)).values).all()
    assert np.isfinite(gh.average(small, gh.Gaussian(0.2)).values).all()


@pytest.mark.filterwarnings("default:eps = .* exceeds a quarter")
def test_a_kernel_too_wide_for_the_period_is_warned_about():
    field = gh.Field.from_array(np.zeros((8, 8, 8)), np.eye(3) * 8.0)
    with pytest.warns(AccuracyWarning, match="exceeds a quarter of the period along a") as caught:
        gh.average(field, gh.Gaussian(2.1))
    (warning,) = caught  # one for all axes, at the line that asked for the average
    assert "along a (8 Å), b (8 Å), c (8 Å): the average" in str(warning.message)
    assert warning.filename == __file__


def test_points_further_apart_than_the_average_varies_are_warned_about():
    field = gh.Field.from_array(np.zeros((4, 4, 40)), np.diag([4.0, 4.0, 20.0]))
    for kernel, width in ((gh.Gaussian(0.9), 0.9), (gh.Box(1.5), 1.5)):
        with pytest.warns(AccuracyWarning, match=r"along c \(\S+ Å apart\) than the width"):
            gh.average(field, kernel, spacing=(1.0, 1.0, width * 1.2))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            gh.average(field, kernel, spacing=(1.0, 1.0, width * 0.99))
