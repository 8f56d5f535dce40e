"""What tests of data share: a refusal in one sentence, threads that must be gone, images that remember who asked for them."""

import threading

import numpy as np
import pytest

from minigrad.data import DataError


def refused(act, *words):
    """Assert that `act` raises DataError with all the words, in one sentence of one line."""
    with pytest.raises(DataError) as caught:
        act()
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert message.endswith(".") and "\n" not in message and ". " not in message, message


def data_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("minigrad-data")]


class Lazy:
    """N images of one grey level each, which remembers which were asked for."""

    def __init__(self, N, shape=(4, 4, 3), fail_at=None):
        self.N, self.shape, self.fail_at, self.asked = N, shape, fail_at, []

    def __len__(self):
        return self.N

    def __getitem__(self, i):
        self.asked.append(int(i))
        if i == self.fail_at:
            raise DataError(f"image {i} is broken.")
        return np.full(self.shape, i % 256, np.uint8)
