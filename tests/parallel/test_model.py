"""Bytes sent: the model's formulas against messages counted plane by plane, or entry by entry, from who holds what."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from oracles import halo_bytes

from gpuhomog.parallel import Slab, model

sizes = st.integers(1, 9)
counts = st.integers(1, 14)


def holder(n, size):
    """The rank that holds each plane, found by looking through all slabs."""
    return [rank for plane in range(n) for rank in range(size) if plane in range(*_slab(n, rank, size))]


def _slab(n, rank, size):
    own = Slab.of(n, rank, size)
    return own.start, own.stop


def sent(messages, size):
    """Bytes sent by each rank of messages (from, to, bytes); what stays at home is not sent."""
    out = [0] * size
    for source, target, n_bytes in messages:
        if source != target:
            out[source] += n_bytes
    return out


@given(counts, sizes, st.integers(0, 20), st.integers(0, 20), st.booleans())
def test_halos_bring_every_plane_once(n, size, before, after, periodic):
    held = holder(n, size)
    messages = []
    for rank in range(size):
        own = [plane for plane in range(n) if held[plane] == rank]
        wanted = set()
        for plane in own:
            for other in range(plane - before, plane + after + 1):
                if periodic or 0 <= other < n:
                    wanted.add(other % n)
        messages += [(held[plane], rank, 3) for plane in wanted]
    assert halo_bytes(n, size, before, after, 3, periodic).tolist() == sent(messages, size)


@given(
    counts,
    st.lists(st.tuples(st.integers(-20, 20), st.integers(0, 25), st.integers(1, 4)), min_size=1, max_size=7),
)
def test_any_planes_can_be_fetched(n, wanted):
    held = holder(n, len(wanted))
    asked = [[start + step * i for i in range(count)] for start, count, step in wanted]
    messages = [(held[plane], rank, 5) for rank, planes in enumerate(asked) for plane in {p % n for p in planes}]
    ranges = [range(start, start + step * count, step) for start, count, step in wanted]
    assert model.fetch_bytes(n, ranges, 5).tolist() == sent(messages, len(wanted))


@given(st.tuples(counts, counts, st.integers(1, 3)), sizes, st.permutations([0, 1, 2]))
def test_a_transpose_moves_entries_that_change_hands(shape, size, axes):
    axis, other = axes[:2]
    before, after = holder(shape[axis], size), holder(shape[other], size)
    messages = [(before[index[axis]], after[index[other]], 8) for index in np.ndindex(shape)]
    assert model.transpose_bytes(shape, 8, size, axis, other).tolist() == sent(messages, size)


@given(counts, sizes)
def test_partial_sums_go_to_the_rank_that_keeps_them(n_out, size):
    held = holder(n_out, size)
    messages = [(rank, held[plane], 7) for rank in range(size) for plane in range(n_out)]
    assert model.sum_to_slab_bytes(n_out, size, 7).tolist() == sent(messages, size)


@given(st.tuples(counts, counts, st.integers(1, 3)), counts, sizes, st.integers(0, 2))
def test_the_two_ways_of_a_contraction(shape, n_out, size, axis):
    other = 1 if axis == 0 else 0
    after = tuple(n_out if i == axis else n for i, n in enumerate(shape))
    plane = 4 * int(np.prod(shape)) // shape[axis]
    held_in, held_out = holder(shape[axis], size), holder(n_out, size)
    held_other = holder(shape[other], size)
    sums = sent([(rank, held_out[j], plane) for rank in range(size) for j in range(n_out)], size)
    moves = [(held_in[i[axis]], held_other[i[other]], 4) for i in np.ndindex(shape)]
    moves += [(held_other[i[other]], held_out[i[axis]], 4) for i in np.ndindex(after)]
    turned = sent(moves, size)
    assert [way.tolist() for way in model.contraction_choices(shape, n_out, 4, size, axis)] == [sums, turned]


@given(st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6)), sizes, st.integers(1, 3), st.integers(1, 2))
def test_a_filter_transposes_the_half_spectrum(shape, size, n_multipliers, halved):
    modes = np.fft.rfftn(np.zeros(shape), axes=(0, 3 - halved, halved)).shape
    first, second = holder(modes[0], size), holder(modes[1], size)
    there = [(first[i[0]], second[i[1]], 16) for i in np.ndindex(modes)]
    back = [(target, source, n_bytes) for source, target, n_bytes in there]
    expected = sent(there + n_multipliers * back, size)
    assert model.filter_bytes(shape, 8, size, n_multipliers, halved).tolist() == expected


@given(st.tuples(counts, st.integers(1, 4), st.integers(1, 7)), sizes, st.integers(1, 5), st.integers(1, 2))
def test_a_march_sends_states_or_the_half_spectrum(shape, size, n_states, sides):
    """State by state, mode by mode: to the rank that hands it on, and one back for the slab that meets it."""
    half = np.fft.rfftn(np.zeros(shape)).shape
    hands_on, held = holder(half[2], size), holder(shape[0], size)
    states = [(rank, hands_on[k], 16) for rank in range(size) for k in range(half[2])] * (half[1] * n_states * sides)
    states += [(there, back, n_bytes) for back, there, n_bytes in states]
    spectrum = [(held[i[0]], hands_on[i[2]], 16) for i in np.ndindex(half)]
    spectrum += [(there, back, n_bytes) for back, there, n_bytes in spectrum]
    assert model.end_state_bytes(shape[1:], n_states, 8, size, sides).tolist() == sent(states, size)
    found = model.march_choices(shape, n_states, 8, size, sides)
    assert [choice.tolist() for choice in found] == [sent(states, size), sent(spectrum, size)]


def test_sums_and_joins_hand_over_what_a_rank_has():
    assert model.sum_bytes(80, 1).tolist() == [0]
    assert model.sum_bytes(80, 3).tolist() == [80, 80, 80]
    assert model.join_bytes(5, 3, 8).tolist() == [8, 16, 16]  # slabs 0:1, 1:3, 3:5
    assert model.join_bytes(5, 1, 8).tolist() == [0]


def test_the_largest_jobs_are_counted_without_overflow():
    # 16384^3 float64 on 4096 ranks: 4 planes of 16384² each; the transpose sends 4 · (16384 - 4) · 16384 · 8 bytes
    found = model.transpose_bytes((16384,) * 3, 8, 4096)
    assert (found == 4 * 16380 * 16384 * 8).all()
    assert found.sum() == 4096 * 4 * 16380 * 16384 * 8
