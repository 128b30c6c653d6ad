"""Streamed fields on every device: only whole chunks go up, only results come down."""

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.errors import Stopped
from gpuhomog.streaming import Checkpoint, Limit, Run, Unread, running, stops

pytestmark = pytest.mark.filterwarnings("ignore:eps = .* exceeds a quarter")


def host(field):
    return np.asarray(field.device.to_host(field.values))


@pytest.fixture(params=["C", "F"])
def values(request, rng):
    return np.asarray(rng.normal(size=(20, 12, 14)) + 1.0, order=request.param)


def test_profiles_averages_and_variances(device, stored, small_chunks, values):
    path = stored(values)
    small_chunks(3 * 12 * 14 * 8)
    array, field = gh.read(path, device="cpu"), gh.read(path, device=device, max_memory="4GB")
    for axis in ("a", "b", "c", (1, 1, 0)):
        np.testing.assert_allclose(
            gh.planar_average(field, axis).values, gh.planar_average(array, axis).values, atol=1e-13
        )
    for kernel in (gh.Gaussian(5.0), gh.Box(4.0)):
        for one, other in zip(
            gh.average_and_variance(field, kernel, spacing=3.0),
            gh.average_and_variance(array, kernel, spacing=3.0),
            strict=True,
        ):
            np.testing.assert_allclose(host(one), other.values, atol=1e-12)


@pytest.mark.parametrize("kernel", [gh.Gaussian(8.0), gh.Box(4.0)])
def test_results_made_as_they_are_written(device, stored, small_chunks, values, kernel, monkeypatch, tmp_path):
    path = stored(values)
    small_chunks(3 * 12 * 14 * 8)
    array, field = gh.read(path, device="cpu"), gh.read(path, device=device, max_memory="4GB")
    monkeypatch.setattr(Run, "room", lambda self: 8 * 13**3)
    how = {"method": "sums", "sampling": "cell"} if isinstance(kernel, gh.Box) else {}
    smooth = gh.average(field, kernel, **how)
    assert isinstance(smooth.values, Unread)
    written = gh.read(gh.write(smooth, tmp_path / "smooth.npz"), device="cpu")
    np.testing.assert_allclose(written.values, gh.average(array, kernel, **how).values, atol=1e-13)


@pytest.mark.parametrize("reproducible", [False, True])
def test_a_pass_goes_on_from_what_was_kept(device, stored, small_chunks, values, reproducible, monkeypatch, tmp_path):
    path = stored(values)
    small_chunks(3 * 12 * 14 * 8)
    monkeypatch.setenv("GPUHOMOG_CHECKPOINT_SECONDS", "0")

    def work(checkpoint):
        with running(Run(Limit(4 * 10**9), checkpoint)):
            field = gh.read(path, device=device, max_memory="4GB", reproducible=reproducible)
        read, seen = field.values.stream.read, []

        def noting(start, stop):
            seen.append(start)
            return read(start, stop)

        field.values.stream.read = noting
        try:
            return host(gh.average(field, gh.Box(4.0), spacing=3.0)), seen
        except Stopped:
            return None, seen

    undisturbed, all_seen = work(None)
    folder = tmp_path / "state"
    with Checkpoint(folder, {}) as kept:
        monkeypatch.setattr(stops, "_asked", ["SIGTERM"])
        assert work(kept)[0] is None
        monkeypatch.setattr(stops, "_asked", [])
    with Checkpoint(folder, {}) as kept:
        went_on, seen = work(kept)
    assert (went_on == undisturbed).all()
    assert seen == all_seen[1:]
