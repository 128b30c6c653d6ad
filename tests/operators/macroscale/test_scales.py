"""Scales against brute force, seeded fields of known exponent, and every way of holding the same field."""

import warnings

import numpy as np
import pytest
from disordered import disordered
from ranks import on_ranks

import gpuhomog as gh
from gpuhomog.errors import AccuracyWarning, InputError
from gpuhomog.fft import shell_powers
from gpuhomog.operators.macroscale.scales import (
    extremum_gap,
    longest_interval,
    low_modes_spectrum,
    permitted,
    power_law,
    shortest_wavevector,
    widest_gap,
)
from gpuhomog.results import Measurement

OBLIQUE = np.array([[5.0, 0.3, 0.2], [1.0, 6.0, -0.4], [0.3, 0.6, 4.0]])


def profile_of(values, length, boundary="periodic"):
    n = len(values)
    return gh.Profile(np.arange(n) * (length / n), values, "V", "electrostatic_potential", length, boundary)


def field_of(values, cell, boundary="periodic", **more):
    return gh.Field.from_array(values, cell, boundary=boundary, **more)


# --- the spectrum --------------------------------------------------------------------------------------------------


def shells_by_hand(values, cell, width):
    """Each mode of NumPy's complex transform, in a loop; |k|² of a Nyquist mode is the mean over its signs."""
    modes = np.fft.fftn(values) / values.size
    reciprocal = 2 * np.pi * np.linalg.inv(cell).T
    sums = {}
    for index in np.ndindex(values.shape):
        signs = [
            [i] if 2 * i < n else [i, -i] if 2 * i == n else [i - n] for i, n in zip(index, values.shape, strict=True)
        ]
        squares = [
            np.sum((np.array([a, b, c]) @ reciprocal) ** 2) for a in signs[0] for b in signs[1] for c in signs[2]
        ]
        if any(index):
            k = np.sqrt(np.mean(squares))
            entry = sums.setdefault(round(k / width), [0, 0.0, 0.0])
            entry[0] += 1
            entry[1] += k
            entry[2] += abs(modes[index]) ** 2
    return sums


@pytest.mark.parametrize("shape", [(5, 6, 7), (8, 4, 6), (1, 6, 5), (4, 1, 1)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_shells_are_the_sums_over_their_modes(device, rng, shape, order):
    values = np.asarray(rng.standard_normal(shape), order=order)
    width = 0.13
    expected = shells_by_hand(values, OBLIQUE, width)
    reciprocal = 2 * np.pi * np.linalg.inv(OBLIQUE).T
    n_modes, k_sum, power = shell_powers(device, device.asarray(values), reciprocal, width)
    assert set(np.flatnonzero(n_modes)) == set(expected)
    for shell, (count, k, total) in expected.items():
        assert n_modes[shell] == count
        assert k_sum[shell] == pytest.approx(k, rel=1e-12)
        assert power[shell] == pytest.approx(total, rel=1e-10, abs=1e-15)
    assert power.sum() == pytest.approx(values.var(), rel=1e-12)


@pytest.mark.parametrize("size", [2, 3, 7])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("boundary", ["periodic", "p,o,o"])
def test_ranks_find_what_one_finds(rng, size, axis, boundary):
    field = field_of(rng.standard_normal((16, 5, 6)) + 3.0, OBLIQUE, boundary)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        alone = gh.scales(field)
        parts = on_ranks(field, size, gh.scales, axis)
    for part in parts:
        np.testing.assert_array_equal(part.modes, alone.modes)
        np.testing.assert_allclose(part.power, alone.power, rtol=1e-10, atol=1e-15)
        assert part.gap == pytest.approx(alone.gap) and part.verdict == alone.verdict


@pytest.mark.parametrize("boundary", ["periodic", "p,p,o", "open"])
@pytest.mark.parametrize("shape", [(20, 24, 17), (16, 1, 9)])
def test_low_modes_are_those_of_the_whole_transform(rng, boundary, shape):
    values = rng.standard_normal(shape) + 7 + np.linspace(0, 3, shape[2])
    field = field_of(values, OBLIQUE, boundary)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        whole = gh.scales(field)
    few = low_modes_spectrum(field, 3)
    places = [int(np.argmin(np.abs(whole.k - k))) for k in few.k[:-1]]
    np.testing.assert_allclose(few.k[:-1], whole.k[places], rtol=1e-12)
    np.testing.assert_array_equal(few.modes[:-1], whole.modes[places])
    np.testing.assert_allclose(few.power[:-1], whole.power[places], rtol=1e-8, atol=1e-14)
    assert few.modes.sum() == values.size - 1
    if boundary == "periodic":
        assert few.power.sum() == pytest.approx(values.var(), rel=1e-10)
    for part in on_ranks(field, 3, lambda part: low_modes_spectrum(part, 3), 2):
        np.testing.assert_allclose(part.power, few.power, rtol=1e-9, atol=1e-12)


@pytest.mark.filterwarnings("ignore:Modes below the gap")
@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("level", [0.0, 30.0])
def test_what_sums_of_squares_round_off_is_no_wave(tmp_path, level, dtype):
    """Two waves are all there is: nothing lies beyond them, though 1 - (a + b) is 1e-16 and not 0."""
    x, y = np.arange(20)[:, None, None] / 20, np.arange(24)[:, None] / 24
    values = level + np.cos(2 * np.pi * (x + 0.1)) + 0.7 * np.cos(2 * np.pi * (3 * y + x)) + np.zeros(17)
    path = gh.write(field_of(values.astype(dtype), OBLIQUE), tmp_path / "field.h5")
    whole, streamed = (gh.scales(gh.read(path, dtype=dtype, max_memory=most)) for most in (None, "4GB"))
    assert streamed.power[-1] == 0.0
    assert (streamed.a, streamed.L) == pytest.approx((whole.a, whole.L))


@pytest.mark.filterwarnings("ignore:Modes below the gap")
def test_fields_larger_than_memory_are_read_once(tmp_path):
    values = disordered(2, (40, 40, 40), 0.25, seed=4) + 0.3 * np.cos(2 * np.pi * np.arange(40) / 40)
    path = gh.write(field_of(values, 10 * np.eye(3)), tmp_path / "field.h5")
    whole = gh.scales(gh.read(path))
    field = gh.read(path, max_memory="4GB")
    read, planes = field.values.stream.read, []
    field.values.stream.read = lambda start, stop: planes.append(stop - start) or read(start, stop)
    streamed = gh.scales(field)
    assert sum(planes) == 40
    assert streamed.gap == pytest.approx(whole.gap)
    assert (streamed.low, streamed.mid) == pytest.approx((whole.low, whole.mid), rel=1e-9)
    assert streamed.high == pytest.approx(whole.high, rel=1e-9)
    assert streamed.alpha.value == pytest.approx(whole.alpha.value, rel=1e-9)
    assert any("were counted as one" in remark for remark in streamed.remarks)


@pytest.mark.filterwarnings("ignore:Modes below the gap")
def test_single_precision_is_enough(rng):
    values = disordered(2, (32, 32, 32), 0.25, seed=4) + 0.3 * np.cos(2 * np.pi * np.arange(32) / 32)
    double = gh.scales(field_of(values, 8 * np.eye(3)))
    single = gh.scales(field_of(values.astype(np.float32), 8 * np.eye(3)))
    assert single.gap == pytest.approx(double.gap)
    np.testing.assert_allclose(single.power, double.power, rtol=1e-4, atol=1e-12)


def test_a_wave_in_an_open_profile_keeps_its_power():
    """Hann's window and detrending: power of the waves within what leaks, none from the tilt."""
    x = np.arange(4096) * 0.25
    wave = 0.6 * np.sin(2 * np.pi * x / 3.7) + 0.1 * np.cos(2 * np.pi * x / 210.0)
    found = gh.scales(profile_of(wave + 0.05 * x, 1024.0, "open"), gap=(0.06, 1.0))
    assert found.windowed
    assert found.high == pytest.approx(0.18, rel=1e-10)
    assert found.low == pytest.approx(0.005, rel=0.05)
    assert found.mid < 1e-6


def test_a_crystal_in_three_dimensions():
    """Shells of |k| of a long cell: the box is its longest wave, a the period of the crystal."""
    places = np.stack(np.meshgrid(np.arange(8) / 8, np.arange(8) / 8, np.arange(320) / 320, indexing="ij"), -1)
    values = np.cos(2 * np.pi * places[..., 0]) + np.cos(2 * np.pi * 40 * places[..., 2])
    found = gh.scales(field_of(values, np.diag([2.0, 2.0, 80.0])))
    assert found.box == pytest.approx(80.0)
    assert (found.a, found.ratio) == pytest.approx((2.0, 40.0), rel=1 / 640)  # half a shell, an eighth of 2π/80
    assert found.separated and found.eps == pytest.approx(np.sqrt(160.0), rel=1 / 640)


@pytest.mark.parametrize("boundary", ["p,o,p", "open"])
def test_a_tilt_along_open_axes_adds_no_power(rng, boundary):
    values = rng.standard_normal((16, 12, 10))
    tilt = 0.3 * np.arange(12.0)[:, None] + (0.7 * np.arange(10.0) if boundary == "open" else 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        flat, tilted = (
            gh.scales(field_of(values, OBLIQUE, boundary)),
            gh.scales(field_of(values + tilt, OBLIQUE, boundary)),
        )
    np.testing.assert_allclose(tilted.power, flat.power, rtol=1e-9, atol=1e-14)
    assert flat.windowed and flat.power.sum() == pytest.approx(values.var(), rel=0.3)


# --- the gap -------------------------------------------------------------------------------------------------------


def gap_by_hand(k, power, floor, tau):
    """All pairs."""
    best, found = -1.0, None
    for j in range(len(k)):
        low = power[:j].sum()
        for i in range(j, len(k)):
            mid, high = power[j:i].sum(), power[i:].sum()
            if high > floor and mid <= tau * high and (low <= floor or mid <= tau * low):
                width = np.log(k[i] / k[max(j - 1, 0)])
                if width > best + 1e-12 or (width > best - 1e-12 and low > floor):
                    best, found = width, (j, i)
    return found


@pytest.mark.parametrize("seed", range(12))
def test_the_widest_gap_is_the_one_all_pairs_give(seed):
    rng = np.random.default_rng(seed)
    power = rng.exponential(size=40) * 10.0 ** rng.uniform(-6, 0, 40)
    power[rng.integers(0, 40, 10)] = 0.0
    k = np.cumsum(rng.uniform(0.2, 1.0, 40))
    assert widest_gap(k, power, 1e-20, 0.01) == gap_by_hand(k, power, 1e-20, 0.01)


def test_a_wave_over_a_crystal():
    x = np.arange(4800) * 0.25
    wave = np.sin(2 * np.pi * x / 120) + np.cos(2 * np.pi * x / 2) + 4.0
    found = gh.scales(profile_of(wave, 1200.0))
    assert (found.a, found.L) == pytest.approx((2.0, 120.0))
    assert (found.low, found.high) == pytest.approx((0.5, 0.5)) and found.mid < 1e-20
    assert found.ratio == pytest.approx(60) and found.separated and "Scales are apart" in found.verdict
    assert found.eps == pytest.approx(np.sqrt(2 * 120))
    assert not found.alpha.defined and "crystal" in found.alpha.reason
    again = gh.scales(profile_of(wave, 1200.0), gap=found.gap)
    assert (again.a, again.L, again.low, again.high) == (found.a, found.L, found.low, found.high)


def test_a_neutral_crystal_has_no_macroscale():
    x = np.arange(3200) * 0.125
    found = gh.scales(profile_of(np.cos(2 * np.pi * x) + 0.3 * np.sin(4 * np.pi * x), 400.0))
    assert found.a == pytest.approx(1.0) and np.isinf(found.L) and found.low < 1e-28
    assert found.ratio == pytest.approx(400.0) and found.separated
    assert found.eps == pytest.approx(20.0)
    assert "crystal" in found.permits
    assert found.longest_interval == pytest.approx(0.5459, abs=0.02)  # sin = 0.15 cos of twice: 0.454 and 0.546
    assert found.to_dict()["L"] is None


def test_pink_noise_has_no_macroscale():
    rng = np.random.default_rng(5)
    modes = (rng.standard_normal(2049) + 1j * rng.standard_normal(2049)) / np.sqrt(np.arange(2049) + 1e-9)
    modes[0] = 0
    with pytest.warns(AccuracyWarning, match="Modes below the gap: . of at least 8"):
        found = gh.scales(profile_of(np.fft.irfft(modes, 4096), 1024.0))
    assert found.ratio < 3 and not found.separated
    assert found.verdict.startswith(f"No macroscale in this box, L/a = {found.ratio:.3g}")


def test_scales_that_are_not_apart_are_not_refused():
    x = np.arange(1024) * 0.25
    found = gh.scales(profile_of(np.cos(2 * np.pi * x / 16) + np.cos(2 * np.pi * x / 4), 256.0), gap=(0.1, 1.0))
    assert not found.separated and found.verdict.startswith("Not apart")


def test_a_constant_has_no_scales():
    found = gh.scales(profile_of(np.full(64, 3.7), 10.0))
    assert (found.a, found.L, found.eps, found.ratio, found.gap) == (None, None, None, None, None)
    assert found.verdict == "The field is constant: it has no scales."
    assert gh.scales(field_of(np.full((16, 4, 4), 3.7, dtype=np.float32), np.eye(3))).a is None


# --- the exponent --------------------------------------------------------------------------------------------------

CASES = {
    (1, 0): ((262_144,), 0.125),
    (1, 1): ((32768,), 0.125),
    (1, 2): ((32768,), 0.125),
    (1, 4): ((32768,), 0.125),
    (2, 0): ((1024, 1024), 0.25),
    (2, 1): ((512, 512), 0.25),
    (2, 2): ((512, 512), 0.25),
    (2, 4): ((512, 512), 0.25),
    (3, 0): ((128, 128, 96), 0.25),
    (3, 1): ((128, 128, 96), 0.25),
    (3, 2): ((96, 96, 96), 0.25),
    (3, 4): ((96, 96, 96), 0.25),
}
MICROSCALE = {0: 167.0, 1: 16.0, 2: 6.5, 4: 3.0}
"""In one dimension, at a correlation parameter of 0.25: section 4 of the theory."""


@pytest.mark.parametrize(("dimensions", "alpha"), CASES)
def test_exponents_of_seeded_disorder(dimensions, alpha):
    shape, spacing = CASES[dimensions, alpha]
    values = disordered(alpha, shape, spacing, seed=11)
    if dimensions == 1:
        found = gh.scales(profile_of(values, shape[0] * spacing))
        assert found.a == pytest.approx(MICROSCALE[alpha], rel=0.3 if alpha == 0 else 0.12)
        assert found.extremum_gap < 2.9
    else:
        cell = np.diag([n * spacing for n in (*shape, 1)[:3]])
        found = gh.scales(field_of(values.reshape((*shape, 1)[:3]), cell))
    assert np.isinf(found.L)
    assert abs(found.alpha.value - alpha) < 3 * found.alpha.uncertainty
    assert found.alpha.uncertainty < 1.0
    if dimensions == 1:
        assert found.alpha.uncertainty < 0.25


@pytest.mark.parametrize("alpha", [1, 2])
def test_errors_of_exponents_are_what_they_say(alpha):
    """Over forty fields the deviations are of the size of the stated errors, and the mean is right."""
    deviations = []
    for seed in range(40):
        found = gh.scales(profile_of(disordered(alpha, (8192,), 0.125, seed=seed), 1024.0)).alpha
        deviations.append((found.value - alpha) / found.uncertainty)
    assert 0.7 < np.std(deviations) < 1.3
    assert abs(np.mean(deviations)) < 3 / np.sqrt(40)


@pytest.mark.parametrize("boundary", ["periodic", "open"])
def test_a_bulk_window_of_a_profile(boundary):
    values = disordered(2, (16384,), 0.125, seed=2)
    values[:2000] = values[14000:] = 0.0  # vacuum: surfaces add k^-2
    profile = profile_of(values, 2048.0, boundary)
    found = gh.scales(profile, bulk=(260.0, 1740.0))
    assert found.windowed and found.box == pytest.approx(1480.0, abs=0.3)
    assert abs(found.alpha.value - 2) < 3 * found.alpha.uncertainty
    assert found.provenance[-1]["bulk"] == [260.0, 1740.0]


def test_the_profile_of_an_isotropic_field_has_its_exponent():
    values = disordered(2, (2048, 32, 1), 0.25, seed=6)
    found = gh.scales(field_of(values, np.diag([512.0, 8.0, 1.0])), "a")
    assert found.planes == "a" and abs(found.alpha.value - 2) < 3 * found.alpha.uncertainty


def test_an_exact_power_law_is_found_exactly():
    k = np.linspace(0.1, 3, 60)
    (_, alpha, b), error = power_law(k, 2 * k**1.5 * np.exp(-0.4 * k**2), np.full(60, 3.0))
    assert (alpha, b) == pytest.approx((1.5, -0.4), rel=1e-10)
    assert error > 0


@pytest.mark.parametrize(
    ("alpha", "error", "words"),
    [
        (4.0, 0.1, "alpha > 3"),
        (2.0, 0.1, "do not converge"),
        (0.0, 0.3, "alpha <= 1"),
        (1.2, 0.3, "Surface charges need alpha > 1, which this sample does not decide"),
        (2.9, 0.3, "first moments and potential steps need alpha > 3, which this sample does not decide"),
    ],
)
def test_what_an_exponent_permits(alpha, error, words):
    assert words in permitted(Measurement(alpha, "1", error))


def test_what_an_unknown_exponent_permits():
    assert permitted(Measurement.not_defined("1", "few")).startswith("Not decided")


# --- extrema and intervals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("boundary", ["periodic", "open"])
def test_gaps_of_extrema(boundary):
    x = np.arange(1000) * 0.02
    chirp = np.cos(2 * np.pi * x / 4)  # extrema 2 apart
    assert extremum_gap(profile_of(chirp, 20.0, boundary)) == pytest.approx(2.0, abs=1e-9)


def test_intervals_of_the_partition_at_the_mean_level():
    x = np.arange(4000) * 0.005
    values = np.cos(2 * np.pi * x) + 3 * np.cos(2 * np.pi * x / 20)
    cumulative = np.sin(2 * np.pi * x) / (2 * np.pi) + 30 * np.sin(2 * np.pi * x / 20) / np.pi
    ends = x[1:][np.diff(np.sign(cumulative)) != 0]
    widest = np.diff(np.append(ends, ends[0] + 20)).max()
    assert longest_interval(profile_of(values, 20.0)) == pytest.approx(widest, abs=1e-9)


# --- what it says and refuses --------------------------------------------------------------------------------------


def test_the_tables_say_it_in_words():
    x = np.arange(3200) * 0.125
    found = gh.scales(profile_of(np.cos(2 * np.pi * x), 400.0))
    text = str(found)
    assert "infinite: no power below the gap" in text and "twice the standard deviation of the kernel" in text
    assert found.unit == "V"
    assert "power=" not in repr(found)
    assert len(found.to_dict()["power"]) == 1600


@pytest.mark.parametrize("suffix", [".json", ".h5"])
def test_files(tmp_path, suffix):
    x = np.arange(3200) * 0.125
    found = gh.scales(profile_of(np.cos(2 * np.pi * x), 400.0))
    path = gh.write(found, tmp_path / f"scales{suffix}")
    read = gh.read_result(path)
    assert read["a"] == found.a and read["verdict"] == found.verdict
    np.testing.assert_array_equal(read["power"], found.power)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tau": 0.0}, "tau = 0.0"),
        ({"tau": np.nan}, "tau = nan"),
        ({"gap": (2.0, 1.0)}, "0 < kL < ka"),
        ({"gap": (1.0,)}, "0 < kL < ka"),
        ({"bulk": (3.0, 1.0)}, "two positions low < high"),
        ({"bulk": (-5.0, 100.0)}, "two positions low < high"),
        ({"bulk": (0.0, 1.0)}, "at least 16"),
        ({"axis": "b"}, "leave axis out"),
    ],
)
def test_refusals(options, words):
    with pytest.raises(InputError, match=words.replace("(", r"\(")):
        gh.scales(profile_of(np.cos(np.arange(256.0)), 64.0), **options)


def test_refusals_of_fields():
    with pytest.raises(InputError, match="at least 16 along one axis"):
        gh.scales(field_of(np.ones((8, 8, 8)), np.eye(3)))
    with pytest.raises(InputError, match="bulk belongs to a profile"):
        gh.scales(field_of(np.ones((16, 8, 8)), np.eye(3)), bulk=(0.1, 0.4))


@pytest.mark.parametrize("shear", [0, 1, -3, 7])
def test_the_longest_wave_of_a_lattice_does_not_depend_on_the_cell_chosen(shear):
    """Of an orthorhombic lattice it is the longest edge, however oblique the cell that repeats it."""
    cell = np.diag([5.0, 4.0, 3.0])
    cell[1] += shear * cell[0]
    cell[2] += shear * cell[1]
    assert shortest_wavevector(gh.Grid((8, 8, 8), cell)) == pytest.approx(2 * np.pi / 5, rel=1e-12)
