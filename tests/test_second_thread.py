"""Work put aside: the same as without a second thread, and what fails is heard of."""

import multiprocessing
import os
import threading

import pytest
import torch

from skrgvae.second_thread import aside, second_thread, wait


def test_without_a_second_thread_the_work_is_done_at_once():
    seen = []
    aside(lambda number: seen.append((number, threading.get_ident())), 3)
    assert seen == [(3, threading.get_ident())]
    wait()


def test_the_work_is_done_in_order_by_another_thread():
    seen, threads = [], set()

    def note(number):
        seen.append(number)
        threads.add(threading.get_ident())

    with second_thread():
        for number in range(100):
            aside(note, number)
        wait()
        assert seen == list(range(100))
        aside(note, 100)
    assert seen == list(range(101))  # nothing is left undone at the end
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_every_thread_has_its_own():
    seen = []
    with second_thread():
        thread = threading.Thread(target=aside, args=(lambda: seen.append(threading.get_ident()),))
        thread.start()
        identity = thread.ident
        thread.join()
    assert seen == [identity]


def test_one_inside_another():
    seen = []
    with second_thread():
        with second_thread():
            aside(lambda: seen.append(threading.get_ident()))
        aside(lambda: seen.append(threading.get_ident()))
        wait()
    assert len(set(seen) | {threading.get_ident()}) == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of forks beside threads
def test_a_forked_process_does_not_wait_for_it():
    def work():
        seen = []
        aside(seen.append, 1)
        os._exit(0 if seen == [1] else 3)

    with second_thread():
        child = multiprocessing.get_context("fork").Process(target=work)
        child.start()
        child.join(100)
    assert child.exitcode == 0


def test_an_error_is_raised_where_the_work_is_waited_for():
    seen = []
    with second_thread():
        aside(lambda: 1 / 0)
        aside(seen.append, 1)  # it may need what failed
        with pytest.raises(ZeroDivisionError):
            wait()
        aside(seen.append, 2)
        wait()
    assert seen == [2]


def test_the_thread_is_gone_after_an_error_outside():
    before = threading.active_count()
    with pytest.raises(KeyError), second_thread():
        raise KeyError
    assert threading.active_count() == before


def test_the_second_thread_takes_no_more_threads():
    n_threads = torch.get_num_threads()
    seen = []
    try:
        with second_thread():
            aside(lambda: seen.append(torch.get_num_threads()))
            wait()
        assert seen == [1]
    finally:
        torch.set_num_threads(n_threads)
