"""The CPU as a device, and names of devices."""

import pytest

from minigrad import Conv2d, Device, ReLU, Sequential
from minigrad.device import parse


@pytest.mark.parametrize("name", ["auto", "0,1", "tpu", "", None])
def test_a_device_is_one_place(name):
    with pytest.raises(ValueError, match="'cpu', or the number of a GPU"):
        Device(name)


def test_a_list_of_places_is_parsed():
    assert [device.name for device in parse("cpu, cpu")] == ["cpu", "cpu"]
    with pytest.raises(ValueError, match="'tpu'.*'cpu,cpu'.*'auto'"):
        parse("cpu,tpu")


def test_layers_move_to_a_device_by_its_name(rng):
    for layer in (Conv2d(3, 2, 3), Sequential(conv1=Conv2d(3, 2, 3), relu1=ReLU())):
        assert layer.to("cpu") is layer
        assert layer.forward(rng.standard_normal((1, 4, 4, 3))).shape == (1, 2, 2, 2)
        with pytest.raises(ValueError, match="tpu"):
            layer.to("tpu")
        assert layer.forward(rng.standard_normal((1, 4, 4, 3))).shape == (1, 2, 2, 2)
