"""The number of threads of a step."""

import pytest
import torch

from skrgvae.training.threads import WORTH_THREADS, threads_for


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


def test_the_number_is_put_back_after_an_error(two_threads):
    with pytest.raises(ZeroDivisionError), threads_for(0.0):
        raise ZeroDivisionError
    assert torch.get_num_threads() == 2
