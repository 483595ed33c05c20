"""The number of threads of a step."""

from threading import Event, Thread, get_ident

import pytest
import torch

from skrgvae.second_thread import aside, wait
from skrgvae.torch_modes import own_modes, own_threads
from skrgvae.training.threads import WORTH_A_SECOND, WORTH_THREADS, threads_for


@pytest.fixture
def two_threads():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(n_threads)


@pytest.mark.parametrize(("work", "expected"), [(WORTH_THREADS / 2, 1), (WORTH_THREADS, 2)])
def test_small_steps_take_one_thread(two_threads, work, expected):
    with threads_for(work):
        assert torch.get_num_threads() == expected
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(
    ("work", "expected"), [(0.0, False), (WORTH_A_SECOND, True), (WORTH_THREADS, True)]
)
def test_which_steps_have_a_second_thread(two_threads, work, expected):
    seen = []
    with threads_for(work):
        aside(lambda: seen.append(get_ident()))
        wait()
    assert (seen != [get_ident()]) == expected


def test_one_thread_has_no_second(two_threads):
    torch.set_num_threads(1)
    seen = []
    with threads_for(WORTH_A_SECOND):
        aside(lambda: seen.append(get_ident()))
    assert seen == [get_ident()]


def test_the_number_is_put_back_after_an_error(two_threads):
    with pytest.raises(ZeroDivisionError), threads_for(0.0):
        raise ZeroDivisionError
    assert torch.get_num_threads() == 2


def beside_a_training(work):
    """Work in a thread that is born while another one trains."""
    with threads_for(0.0):
        thread = Thread(target=work)
        thread.start()
        thread.join()


@pytest.mark.parametrize(("work", "expected"), [(0.0, 1), (WORTH_THREADS, 2)])
def test_a_thread_born_meanwhile_gets_the_users_number(two_threads, work, expected):
    seen = []

    def other():
        with threads_for(work):
            seen.append(torch.get_num_threads())
        seen.append(torch.get_num_threads())

    beside_a_training(other)
    assert seen == [expected, 2]
    assert torch.get_num_threads() == 2


def test_a_thread_born_meanwhile_keeps_the_users_number(two_threads):
    # Whatever it computes first; its own training may come when the other one has ended.
    begun, ended, seen = Event(), Event(), []

    def other():
        with own_modes():
            begun.set()
            ended.wait()
            seen.append(torch.get_num_threads())

    thread = Thread(target=other)
    with threads_for(0.0):
        thread.start()
        begun.wait()
    ended.set()
    thread.join()
    assert seen == [2]


def test_a_thread_with_a_number_of_its_own_keeps_that_inside(two_threads):
    seen = []

    def other():
        with own_threads(1), own_modes(), threads_for(WORTH_THREADS):
            seen.append(torch.get_num_threads())
        seen.append(torch.get_num_threads())

    beside_a_training(other)
    assert seen == [1, 2]


def test_one_thread_stays_one_thread(two_threads):
    torch.set_num_threads(1)
    with threads_for(0.0):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 1


def test_the_main_threads_own_number_stays(two_threads):
    # Of another training, which will put 2 back, it can't have taken its number.
    ended, begun = Event(), Event()

    def other():
        with threads_for(0.0):
            begun.set()
            ended.wait()

    thread = Thread(target=other)
    thread.start()
    begun.wait()
    torch.set_num_threads(1)
    with threads_for(WORTH_THREADS):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 1
    ended.set()
    thread.join()
