"""The folder of what a run has found: one run at a time works in it, and touches nobody else's."""

import numpy as np
import pytest
from ranks import together

from gpuhomog.errors import InputError
from gpuhomog.streaming import Checkpoint, identity_of

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


def test_a_file_of_another_run_pass_or_rank_is_refused(tmp_path):
    """Each is whole, so only what it says of itself tells them apart."""
    folders = [tmp_path / "a.h5.part", tmp_path / "b.h5.part"]
    for eps, folder in enumerate(folders):
        with Checkpoint(folder, {"eps": eps}) as kept:
            kept.save(1, ["sums"], 5, FOUND)
    own = folders[0] / "pass-1-rank-0"
    before = own.read_bytes()
    own.rename(folders[0] / "pass-2-rank-0")
    with Checkpoint(folders[0], {"eps": 0}) as kept, pytest.raises(InputError, match="another run, pass or rank"):
        kept.load(2, ["sums"])
    own.write_bytes((folders[1] / own.name).read_bytes())
    with Checkpoint(folders[0], {"eps": 0}) as kept:
        with pytest.raises(InputError, match="another run, pass or rank"):
            kept.load(1, ["sums"])
        own.write_bytes(before)
        assert kept.load(1, ["sums"])[0] == 5


def test_slabs_of_two_ranks_are_not_taken_for_each_other(tmp_path):
    folder = tmp_path / "out.h5.part"

    def keep(comm):
        with Checkpoint(folder, {"eps": 4}, comm) as kept:
            kept.save(1, ["sums"], 5, FOUND)
            comm.agree(None)

    def go_on(comm):
        with Checkpoint(folder, {"eps": 4}, comm) as kept:
            if comm.rank == 0:
                return kept.load(1, ["sums"])[0]
            with pytest.raises(InputError, match="another run, pass or rank"):
                kept.load(1, ["sums"])

    together(2, keep)
    (folder / "pass-1-rank-1").write_bytes((folder / "pass-1-rank-0").read_bytes())
    assert together(2, go_on) == [5, None]


def test_a_file_where_the_folder_belongs_is_refused_with_what_to_do(tmp_path):
    place = tmp_path / "out.h5.part"
    place.write_text("mine")
    with pytest.raises(InputError, match=r"out\.h5\.part: is a file, but .* Move it away, or choose another output\.$"):
        Checkpoint(place, {})
    assert place.read_text() == "mine"


def test_an_input_that_was_changed_is_named(tmp_path):
    """A run on ranks that met a damaged number keeps what the other ranks found: of a file that is then repaired."""
    file = tmp_path / "field.npy"
    file.write_text("1.0 2.0 nan 4.0")
    facts = {"inputs": [identity_of(file)], "tasks": [{"command": "average"}]}
    with Checkpoint(tmp_path / "state", facts) as kept:
        kept.save(1, ["sums"], 7, [[(0, 7, [np.arange(3.0)])]])
    file.write_text("1.0 2.0 3.0 4.0")
    again = {**facts, "inputs": [identity_of(file)]}
    with pytest.raises(InputError, match=r"found of .*field\.npy before that file was changed .*fresh=True") as refusal:
        Checkpoint(tmp_path / "state", again)
    assert "Run it as it was" not in str(refusal.value)
    other = {**again, "tasks": [{"command": "profile"}]}
    with pytest.raises(InputError, match=r"of another run: .*Run it as it was to go on"):
        Checkpoint(tmp_path / "state", other)
    with Checkpoint(tmp_path / "state", again, fresh=True) as kept:
        assert not kept.holds_results
