"""Every operator on a GPU gives what it gives on the CPU, and hands CuPy nothing that CuPy refuses.

Without a GPU its kernels run on the host, below arrays with CuPy's manners.
"""

import warnings
from unittest.mock import patch

import numpy as np
import pytest
from cupy_like import CuPyLikeRuntime

import gpuhomog as gh
from gpuhomog.device import choose_device
from gpuhomog.device.gpu import GPU
from gpuhomog.errors import AccuracyWarning, InputError
from gpuhomog.operators.macroscale import scale_report

TRICLINIC = np.array([[9.0, 0.4, -0.3], [1.2, 8.5, 0.5], [-0.6, 0.9, 10.5]])
ORTHOGONAL = np.diag([9.0, 8.0, 10.0])
LEANING = np.array([[9.0, 0.4, 0.0], [1.2, 8.5, 0.0], [-0.6, 0.9, 15.0]])
SHAPE = (12, 10, 15)
LONG = (36, 34, 35)
RADII = np.geomspace(4.0, 50.0, 8)


@pytest.fixture(scope="module")
def like_gpu(sanitizers):
    """The GPU device above a stand-in for CuPy."""
    runtime = CuPyLikeRuntime(check_order=False)
    yield GPU(runtime)
    runtime.close()


@pytest.fixture(params=["like", pytest.param("real", marks=pytest.mark.gpu)])
def there(request):
    """A device that is not the CPU."""
    return request.getfixturevalue("like_gpu" if request.param == "like" else "real_gpu")


def made(device, dtype, order, cell=TRICLINIC, boundary="periodic", quantity="scalar", shape=SHAPE):
    """The same smooth field with some noise on any device; some of it is negative."""
    rng = np.random.default_rng(5)
    a, b, c = (2 * np.pi * np.arange(n) / n for n in shape)
    values = 2 + np.cos(a)[:, None, None] + np.sin(2 * b)[:, None] * np.cos(c - 1) + 3 * np.sin(c)
    values = np.array(values + 0.1 * rng.standard_normal(shape), dtype=dtype, order=order)
    structure = gh.Structure(np.array([11, 17, 11, 17, 8]), rng.random((5, 3)) @ cell)
    return gh.Field.from_array(values, cell, boundary=boundary, quantity=quantity, structure=structure, device=device)


def averaged(kernel, **options):
    def run(device, dtype, order):
        cell = options.get("cell", TRICLINIC)
        field = made(device, dtype, order, cell, options.get("boundary", "periodic"))
        return gh.average(field, kernel, **{k: v for k, v in options.items() if k not in ("cell", "boundary")})

    return run


def on(function, **choices):
    return lambda device, dtype, order: function(made(device, dtype, order, **choices))


def balance(field):
    found = gh.charge_balance(field, {"Na": 1, "Cl": 7, "O": 6})
    return [np.array([found.electrons.value, found.ions.value, found.net.value])]


def corrugated(field):
    """A field in a vacuum along c, on the field's device: a slope about a hump."""
    c = np.linspace(-1, 1, 60)
    values = 0.02 * c + np.exp(-((c / 0.15) ** 2)) * np.ones((4, 4, 1))
    values = field.device.asarray(values.astype(field.values.dtype))
    return gh.Field.from_array(values, 12 * np.eye(3), quantity="electrostatic_potential", device=field.device)


def surface(field):
    profile = gh.planar_average(field, 2)
    return [profile.values, gh.macroscopic_average(profile, periods=2.5).values]


def apart(function, boundary, cell=ORTHOGONAL):
    """Of a neutral charge density that is nearly zero at the faces."""

    def run(device, dtype, order):
        a, b, c = (np.arange(n) / n for n in SHAPE)
        hump = lambda x, x0: np.exp(-(((x - x0) / 0.12) ** 2))  # noqa: E731
        at = lambda x, y, z: hump(a, x)[:, None, None] * hump(b, y)[:, None] * hump(c, z)  # noqa: E731
        values = at(0.5, 0.45, 0.55) - at(0.45, 0.5, 0.45)
        values = np.array(values - values.mean(), dtype=dtype, order=order)
        field = gh.Field.from_array(values, cell, quantity="charge_density", boundary=boundary, device=device)
        return function(field)

    return run


def cylinders(field, **how):
    found = gh.cylinder_potential_field(field, "a", 3.0, x_low=0.0, x_high=8.25, **how)
    return [found.potential, found.of_average, found.of_deviation]


def planes_of_cylinders(field):
    found = gh.cylinder_potential(field, "c", 3.0, at=[4.0, 5.0], x_low=0.0, x_high=9.0, edge=0.5)
    return [found.low, found.high, found.low_average, found.high_deviation]


def decay(field):
    return [gh.deviation_decay(field, "c", x_b=5.0, x_low=0.0, x_high=9.0, radii=RADII).values]


def energies(field):
    found = gh.interaction_energy(field, field.derive(field.values * 0.5, "half"))
    return [np.array([found.energy.value, found.self_first.value, found.overlap.value], field.values.dtype)]


def intervals(found):
    return [found.low.values, found.high.values, found.mean.values, np.array([*found.eps_V, *found.detrended])]


def windowed(field):
    """Through short windows: of few waves."""
    with patch.object(scale_report, "SPECTRUM_MODES", 2):
        found = gh.scale_report(field, [12.0])
    assert found.provenance[-1]["coarse"][0] <= 24
    return report(found)


def shells(found):
    return [found.k, found.modes, found.power]


def corners(field, low, high):
    found = gh.lines_and_points(field, [gh.box_region(low, high, 1.0)], eps=2)
    return [np.array([one.value.value for one in (*found.lines, *found.points)])]


def string(device, dtype, order):
    """Overlaps of a function alone in its cell, at four k."""
    x = np.arange(16) / 16
    well = np.exp(-0.5 * ((x - 0.4) / 0.1) ** 2)[:, None, None] * np.ones((16, 3, 2))
    turns = np.exp(-2j * np.pi * np.arange(4)[:, None, None, None, None] / 4 * x[:, None, None])
    states = (well / np.sqrt((well**2).mean()) * turns).astype(np.result_type(dtype, np.complex64))
    found = gh.bloch_string(np.asarray(states, order=order), np.eye(3), device=device)
    return [found.links.real, found.links_two.imag, np.array([found.density_centre])]


def report(found):
    """What is of the size of the field's values: powers and slopes are not."""
    widths = [found.low, found.high, found.eps_V, found.local_std, np.nan_to_num(found.eps_V_average)]
    fields = [part for at in found.at for part in (at.average.values, *intervals(at.intervals))]
    return [*widths, *fields, *(profile.values for profile in found.profiles)]


OPERATORS = {
    "potential, slab": apart(gh.electrostatic_potential, "p,p,o"),
    "potential, leaning slab": apart(gh.electrostatic_potential, "o,p,p", TRICLINIC),
    "potential, wire": apart(gh.electrostatic_potential, "o,p,o"),
    "potential, isolated": apart(gh.electrostatic_potential, "open"),
    "potential, periodic": apart(gh.electrostatic_potential, "periodic"),
    "electric field of a slab": apart(gh.electric_field, "p,o,p"),
    "electric field of a potential": apart(lambda f: gh.electric_field(gh.electrostatic_potential(f)), "p,p,o"),
    "charge of an open potential": apart(lambda f: gh.charge_density(gh.electrostatic_potential(f)), "p,p,o"),
    "dipole correction": on(
        lambda f: gh.dipole_correction(corrugated(f), "c").potential, quantity="electrostatic_potential"
    ),
    "energies": apart(energies, "open"),
    "disc average": on(lambda f: gh.disc_average(f, "b", 3.0)),
    "disc average, open": apart(lambda f: gh.disc_average(f, "c", 3.0), "o,p,p"),
    "cylinders": apart(lambda f: cylinders(f, way="table", end_weights=5), "p,o,p"),
    "cylinders by recursions": apart(lambda f: cylinders(f, way="march", end_weights=1), "o,p,o"),
    "cylinders at planes": apart(planes_of_cylinders, "p,p,o", LEANING),
    "decay": apart(decay, "p,p,o", np.diag([9.0, 8.0, 15.0])),
    "gaussian": averaged(gh.Gaussian(3.0)),
    "gaussian, coarse": averaged(gh.Gaussian(4.0), spacing=2.0),
    "gaussian, coarse by thirds": averaged(gh.Gaussian(4.0), spacing=[3.1, 4.4, 3.6]),
    "gaussian, open": averaged(gh.Gaussian(1.5), boundary="periodic,open,open"),
    "gaussian, open and padded": averaged(gh.Gaussian(1.5), boundary="open", padded=True, outside=0.5),
    "gaussian, orthogonal": averaged(gh.Gaussian(2.5), cell=ORTHOGONAL),
    "gaussian by low modes": averaged(gh.Gaussian(4.0), method="low modes"),
    "gaussian by all modes": averaged(gh.Gaussian(2.0), method="all modes"),
    "box": averaged(gh.Box(4.0)),
    "box of three widths, coarse": averaged(gh.Box([3.0, 4.0, 5.1]), spacing=[3.0, 4.0, 3.0]),
    "box by sums": averaged(gh.Box(8.3), method="sums"),
    "box by sums, coarse": averaged(gh.Box(8.3), method="sums", spacing=[9.0, 9.0, 9.0]),
    "box of cells": averaged(gh.Box(4.1), sampling="cell"),
    "box of cells by sums": averaged(gh.Box(8.3), sampling="cell", method="sums", spacing=3.0),
    "box, open": averaged(gh.Box(4.0), boundary="open,periodic,open", sampling="cell"),
    "top-hat": averaged(gh.TopHat(2.0), cell=ORTHOGONAL),
    "top-hat by sums": averaged(gh.TopHat(2.0), cell=ORTHOGONAL, method="sums"),
    "ball": averaged(gh.Ball(3.0)),
    "ball, coarse": averaged(gh.Ball(3.0), spacing=3.0),
    "ball, open": averaged(gh.Ball(1.5), boundary="open"),
    "power law": averaged(gh.PowerLaw(2.5)),
    "disc": averaged(gh.Disc(2.0, axis=1)),
    "stages": averaged([gh.Gaussian(2.0), gh.Box(3.0)]),
    "stages of three": averaged([gh.Ball(2.0), gh.Gaussian(2.0), gh.Box(3.0)]),
    "gradient": on(lambda f: gh.average_gradient(f, gh.Gaussian(3.0))),
    "gradient, coarse": on(lambda f: gh.average_gradient(f, gh.Box(4.0), spacing=3.0)),
    "gradient of a ball": on(lambda f: gh.average_gradient(f, gh.Ball(3.0))),
    "variance": on(lambda f: gh.average_and_variance(f, gh.Gaussian(3.0))),
    "variance of cells": on(lambda f: gh.average_and_variance(f, gh.Box(4.1), sampling="cell", spacing=3.0)),
    "variance, open": on(lambda f: gh.average_and_variance(f, gh.Ball(1.5)), boundary="open"),
    "planar a": on(lambda f: gh.planar_average(f, "a")),
    "planar b": on(lambda f: gh.planar_average(f, "b")),
    "planar -c": on(lambda f: gh.planar_average(f, "-c")),
    "planar (1 0 1)": on(lambda f: gh.planar_average(f, (1, 0, 1)), shape=(14, 5, 15)),
    "planar (1 -1 0)": on(lambda f: gh.planar_average(f, (1, -1, 0)), shape=(14, 15, 4)),
    "macroscopic": on(surface),
    "charge density from electrons": on(
        lambda f: gh.charge_density(f, {"Na": 1, "Cl": 7, "O": 6}, width=1.9, net_charge=None),
        quantity="electron_density",
    ),
    "charge density from a potential": on(gh.charge_density, quantity="electrostatic_potential"),
    "charge density from an energy": on(gh.charge_density, quantity="electron_potential_energy"),
    "potential": on(gh.electrostatic_potential, quantity="electron_potential_energy"),
    "charge balance": on(balance, quantity="electron_density"),
    "gross charge": on(lambda f: [np.array([gh.charge_balance(f).net.value])], quantity="charge_density"),
    "intervals": on(lambda f: intervals(gh.field_intervals(f, gh.Gaussian(3.0), spacing=1.1))),
    "scale report": on(lambda f: report(gh.scale_report(f, [2.5, gh.PowerLaw(3.0)]))),
    "scale report, orthogonal": on(lambda f: report(gh.scale_report(f, [2.5, 3.5])), cell=ORTHOGONAL),
    "scale report by windows": on(windowed, cell=np.diag([48.0, 32.0, 40.0]), shape=(48, 32, 40)),
    "scale report, open": on(lambda f: report(gh.scale_report(f, [2.5])), boundary="p,o,p"),
    "shells of wavevectors": on(lambda f: shells(gh.scales(f)), shape=(16, 10, 15)),
    "corners of a plane": on(lambda f: corners(f, (2.0, 1.0), (19.0, 18.0)), cell=np.diag(LONG), shape=LONG),
    "corners": on(lambda f: corners(f, (2.0, 1.0, 3.0), (20.0, 18.0, 20.0)), cell=np.diag(LONG), shape=LONG),
    "another unit": on(lambda f: f.to("e/bohr^3"), quantity="charge_density"),
    "states of a string": string,
    "mean and integral": on(lambda f: [np.array([f.mean(), f.integral()])]),
}


def arrays(result):
    """Everything that an operator returned, on the host."""
    if isinstance(result, gh.Field):
        return [result.to_host()]
    if isinstance(result, gh.Profile):
        return [result.values]
    return [a for one in result for a in (arrays(one) if not isinstance(one, np.ndarray) else [one])]


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator(there, name, dtype, order):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        found = OPERATORS[name](there, dtype, order)
        expected = arrays(OPERATORS[name](choose_device("cpu"), dtype, order))
    if isinstance(found, gh.Field):
        assert found.device is there and not isinstance(found.values, np.ndarray)
        assert any(step.get("device") == there.name for step in found.provenance)
    # Sums of some 2000 values in another order; derivatives and Laplacians multiply rounding by k^2, here below 30.
    tolerance = 30 * 2000**0.5 * np.finfo(dtype).eps
    for ours, cpu in zip(arrays(found), expected, strict=True):
        assert ours.dtype == cpu.dtype and ours.shape == cpu.shape
        np.testing.assert_allclose(ours, cpu, rtol=0, atol=tolerance * max(np.abs(cpu).max(), 1.0))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(there, bad):
    values = np.ones((3, 4, 5))
    values[1, 2, 3] = bad
    with pytest.raises(InputError, match=r"first at \[1, 2, 3\]"):
        gh.Field.from_array(values, np.eye(3), device=there)


def test_arrays_that_are_there_already(there):
    values = there.asarray(np.arange(60, dtype=np.int32).reshape(3, 4, 5))
    field = gh.Field.from_array(values, np.eye(3), device=there)
    assert field.values.dtype == np.float64 and field.mean() == 29.5
    with pytest.raises(InputError, match=r"values.get\(\)"):
        gh.Field.from_array(values, np.eye(3), device="cpu")


@pytest.mark.parametrize("suffix", ["h5", "npz", "cube", "xsf", "vasp", "zarr"])
@pytest.mark.parametrize("order", "CF")
def test_files_hold_what_the_cpu_writes(there, tmp_path, suffix, order):
    if suffix == "zarr":
        pytest.importorskip("zarr")
    contents = []
    for device in (there, choose_device("cpu")):
        path = tmp_path / device.name.replace(":", "") / ("CHGCAR" if suffix == "vasp" else f"field.{suffix}")
        path.parent.mkdir()
        field = made(device, np.float64, order, quantity="electron_density")
        gh.write(field.derive(field.values * 0.02, "fewer"), path)  # no more than the atoms have
        contents.append(gh.read(path, device="cpu", **({"quantity": "electron_density"} if suffix == "cube" else {})))
    np.testing.assert_array_equal(contents[0].values, contents[1].values)
