"""Teams of threads: every item once, whoever takes it; nobody waits for those that have not begun."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gpuhomog.device.cpu import team
from gpuhomog.device.cpu.team import share


@pytest.fixture(params=[1, 8])
def few(request, monkeypatch):
    """One thread for all that ask, or enough."""
    pool = ThreadPoolExecutor(request.param)
    monkeypatch.setattr(team, "_waiting", lambda: pool)
    yield
    pool.shutdown()


def test_teams_within_teams_do_every_item_once(few):
    done = []

    def inner(outer):
        share(lambda _, item: done.append((outer, item)), range(5), lambda: None, threads=3)

    share(lambda _, item: inner(item), range(4), lambda: None, threads=3)
    assert sorted(done) == [(i, j) for i in range(4) for j in range(5)]


def test_an_error_is_raised_when_the_others_have_ended(few):
    met, ended = threading.Barrier(2, timeout=10), []

    def work(_, item):
        met.wait()  # on two threads
        if threading.current_thread() is threading.main_thread():
            raise ValueError(item)
        time.sleep(0.05)
        ended.append(item)

    with pytest.raises(ValueError):
        share(work, range(2), lambda: None, threads=2)
    assert len(ended) == 1


def test_after_an_error_no_item_is_begun():
    met, begun = threading.Barrier(2, timeout=10), []

    def work(_, item):
        begun.append(item)
        if item < 2:
            met.wait()
            if threading.current_thread() is threading.main_thread():
                raise KeyboardInterrupt
            time.sleep(0.05)

    with pytest.raises(KeyboardInterrupt):
        share(work, range(100), lambda: None, threads=2)
    assert sorted(begun) == [0, 1]


def test_an_error_of_another_thread_is_raised(few):
    met = threading.Barrier(2, timeout=10)

    def work(_, item):
        met.wait()
        if threading.current_thread() is not threading.main_thread():
            raise ValueError(item)

    with pytest.raises(ValueError):
        share(work, range(2), lambda: None, threads=2)


def on_two_threads():
    met = threading.Barrier(2, timeout=10)
    threads = set()
    share(lambda _, item: (met.wait(), threads.add(threading.get_ident())), range(2), lambda: None, threads=2)
    return threads


def test_threads_stay_for_the_next_call(monkeypatch):
    started, start = [], threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda thread: (started.append(thread), start(thread)))
    for _ in range(20):
        assert len(on_two_threads()) == 2
    assert len(started) <= 3  # a call may come before the thread of the last one says that it is free


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own():
    on_two_threads()
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # threads of the parent would never come
        os._exit(0 if len(on_two_threads()) == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0
