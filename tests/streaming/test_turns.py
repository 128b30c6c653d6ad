"""Work that takes turns: one at a time, in order, all ended by the first error."""

import threading
import warnings

import pytest

from gpuhomog.streaming.turns import in_turns, pause


def test_exactly_one_runs_at_a_time_and_all_wait_for_what_is_done_between():
    order = []

    def work(name, times):
        for number in range(times):
            order.append(f"{name}{number}")
            pause()
        return name

    ended = []
    results = in_turns(
        [lambda: work("a", 1), lambda: work("b", 3), lambda: work("c", 0)],
        lambda: order.append("|"),
        ended.append,
    )
    assert results == ["a", "b", "c"]
    assert "".join(order) == "a0b0|b1|b2|"
    assert ended == ["c", "a", "b"]


def test_turns_inside_turns_wait_for_those_outside():
    order = []

    def inner(name):
        order.append(name)
        pause()

    def outer(name):
        in_turns([lambda: inner(name + "1"), lambda: inner(name + "2")], pause)

    in_turns([lambda: outer("a"), lambda: outer("b")], lambda: order.append("|"))
    assert order == ["a1", "a2", "b1", "b2", "|"]


def test_the_first_error_ends_the_others_and_no_thread_is_left():
    before, unwound = threading.active_count(), []

    def waits():
        try:
            pause()
        finally:
            unwound.append("waits")

    def fails():
        pause()
        raise ValueError("no such plane")

    with pytest.raises(ValueError, match="no such plane"):
        in_turns([waits, fails, waits], lambda: None)
    assert unwound == ["waits", "waits"]
    assert threading.active_count() == before


def test_an_error_between_ends_all():
    unwound = []

    def waits():
        try:
            pause()
        except Exception:  # nothing that work catches may keep it going
            unwound.append("caught")
        finally:
            unwound.append("ended")

    def between():
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        in_turns([waits, waits], between)
    assert unwound == ["ended", "ended"]


def test_without_others_pause_returns_at_once():
    assert pause() is False


def test_warnings_inside_are_those_of_the_caller():
    def warns():
        pause()
        warnings.warn("seen", UserWarning, stacklevel=1)

    with pytest.warns(UserWarning, match="seen"):
        in_turns([warns], lambda: None)
