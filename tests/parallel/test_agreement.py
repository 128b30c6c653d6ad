"""Agreement: whatever differs between ranks is named, and every rank raises the same sentence."""

import pytest
from ranks import together

from gpuhomog.errors import InputError
from gpuhomog.parallel import agree_on


def told(size, facts, what=lambda rank: "average x.h5"):
    """What each rank is told: a sentence, or None."""

    def attempt(comm):
        try:
            agree_on(comm, facts(comm.rank), what(comm.rank))
        except InputError as error:
            return str(error)
        return None

    return together(size, attempt)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_equal_facts_pass(size):
    assert told(size, lambda rank: {"shape": (2, 3, 4), "eps": 1.5, "unit": None}) == [None] * size


@pytest.mark.parametrize("odd", [0, 1, 3])
def test_what_differs_is_named_on_every_rank(odd):
    sentences = told(4, lambda rank: {"unit": "V", "eps": 2.0 if rank == odd else 1.5})
    first, found, other, count = (2.0, 1.5, 1, 3) if odd == 0 else (1.5, 2.0, odd, 1)
    assert set(sentences) == {
        f"The ranks do not average x.h5 the same: eps is {first} on rank 0 and {found} on rank {other} ({count} of 4 "
        "differ from rank 0). Start all ranks with the same files and options."
    }


def test_a_fact_that_one_rank_lacks_differs():
    sentences = told(3, lambda rank: {"unit": "V"} if rank < 2 else {})
    assert len(set(sentences)) == 1
    assert "unit is V on rank 0 and None on rank 2" in sentences[0]


def test_the_sentence_is_that_of_rank_0():
    sentences = told(2, lambda rank: {"n": rank}, lambda rank: f"read file {rank}")
    assert len(set(sentences)) == 1
    assert sentences[0].startswith("The ranks do not read file 0 the same")
