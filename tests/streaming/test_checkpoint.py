"""The folder of what a run has found: one run at a time works in it, and touches nobody else's."""

import numpy as np
import pytest

from gpuhomog.errors import InputError
from gpuhomog.streaming import Checkpoint

FOUND = [[(0, 5, [np.arange(3.0)])]]


def test_a_run_that_is_refused_leaves_the_folder_of_the_other_as_it_is(tmp_path):
    """The other has only just begun, and kept nothing yet."""
    folder = tmp_path / "out.h5.part"
    with Checkpoint(folder, {"eps": 4}) as first:
        before = (folder / "manifest.json").read_bytes()
        with pytest.raises(InputError, match="another run is at work on this output"):
            Checkpoint(folder, {"eps": 5})
        assert (folder / "manifest.json").read_bytes() == before
        first.save(1, ["sums"], 5, FOUND)
    with Checkpoint(folder, {"eps": 4}) as again:
        assert again.load(1, ["sums"])[0] == 5


def test_a_run_that_is_done_does_not_touch_the_folder_of_the_next(tmp_path):
    folder = tmp_path / "out.h5.part"
    with Checkpoint(folder, {"eps": 4}) as done:
        done.save(1, ["sums"], 5, FOUND)
        done.remove()
        assert not folder.exists()
        following = Checkpoint(folder, {"eps": 5})
    assert (folder / "manifest.json").exists()
    following.close()
    assert not folder.exists()
