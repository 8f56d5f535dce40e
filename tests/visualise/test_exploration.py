"""What the page of `explore` is made of: the network's own numbers, each layer computed once more from what lies before it."""

import numpy as np
import pytest
from eyes import eyes

from alexnet import AlexNet
from minigrad.visualise import exploration


@pytest.fixture(scope="module")
def found():
    net, x = eyes(np.float32)
    return net, x, exploration(net, x)


def test_values_are_those_of_the_network(found):
    net, x, content = found
    for name in ("conv1", "norm1", "pool1", "relu2", "flatten", "fc3", "drop3", "fc4"):
        expected = net.up_to(name).infer(x)
        mine = [i for i, node in enumerate(content["nodes"]) if node["name"] == name]
        for n, image in enumerate(content["images"]):
            parts = [image["values"][i] for i in mine]
            joined = np.concatenate([part.transpose(1, 2, 0) if part.ndim == 3 else part for part in parts], axis=-1)
            np.testing.assert_array_equal(joined, expected[n])
            assert [content["nodes"][i]["shape"] for i in mine] == [[*expected.shape[1:-1], len(part)] for part in parts]
    np.testing.assert_array_equal([image["logits"] for image in content["images"]], net.infer(x))


def test_a_node_is_fed_by_its_tower_or_at_a_stages_beginning_by_all(found):
    nodes = found[2]["nodes"]
    place = {(node["name"], node["tower"]): i for i, node in enumerate(nodes)}
    assert nodes[place["conv1", 1]]["inputs"] == []
    assert nodes[place["relu1", 1]]["inputs"] == [place["conv1", 1]]
    assert nodes[place["conv2", 0]]["inputs"] == nodes[place["conv2", 1]]["inputs"] == [place["pool1", 0], place["pool1", 1]]
    assert nodes[place["flatten", 0]]["inputs"] == [place["relu2", 0], place["relu2", 1]]


def joined(content, node, image):
    return np.concatenate([image["values"][i] for i in node["inputs"]])


def test_weights_and_bias_give_the_value(found):
    content = found[2]
    for i, node in enumerate(content["nodes"]):
        for image in content["images"] if node["kind"] in ("conv", "linear") and node["inputs"] else []:
            x = joined(content, node, image)
            if node["kind"] == "linear":
                np.testing.assert_allclose(node["W"] @ x + node["b"], image["values"][i], rtol=1e-4, atol=1e-5)
                continue
            (top, _, left, _), K = node["facts"]["padding"], node["facts"]["kernel_size"]
            padded = np.pad(x, ((0, 0), (top, 3), (left, 3)))
            for channel, r, q in np.ndindex(image["values"][i].shape):
                y = (padded[:, r : r + K, q : q + K] * node["W"][channel]).sum() + node["b"][channel]
                assert abs(y - image["values"][i][channel, r, q]) < 1e-5


def test_the_strongest_channels_bring_their_weights():
    net, x = eyes(np.float32)
    content = exploration(net, x, channels=2)
    for i, node in enumerate(content["nodes"]):
        if node["kind"] in ("conv", "linear"):
            values = [image["values"][i] for image in content["images"]]
            strength = np.max([value.reshape(len(value), -1).max(axis=1) for value in values], axis=0)
            assert node["chosen"] == sorted(np.argsort(-strength, kind="stable")[:2].tolist()) and len(node["W"]) == 2
            assert len(node["b"]) == node["shape"][-1]


def test_a_large_network_brings_the_weights_of_40_channels():
    net = AlexNet("one-tower", num_classes=60, init="he").eval()
    content = exploration(net, np.ones((1, 224, 224, 3), np.float32))
    assert {len(node["chosen"]) for node in content["nodes"] if "W" in node} == {40}


def test_dropout_as_in_the_next_step_of_training():
    net, x = eyes(np.float32)
    net.step = 7
    content = exploration(net, x)
    assert net.step == 7 and not net.training
    masks = {int(i): [image["masks"][i] for image in content["images"]] for i in content["images"][0]["masks"]}
    before = {i: [image["values"][content["nodes"][i]["inputs"][0]] for image in content["images"]] for i in masks}
    for mask in net.masks:
        mask.step = 7
    training = net.up_to("drop3").train().forward(x)
    expected = np.concatenate([np.array(masks[i]) * np.array(before[i]) for i in masks], axis=-1)
    np.testing.assert_array_equal(expected, training)
    assert 0 < (expected == 0).mean() < 1


def test_bytes_of_the_exchanges(found):
    net, x, content = found
    assert [one["bytes"] for one in content["exchanges"]] == [[144, 144], [80, 80], [24, 24], [8, 12]]
    assert [one["receivers"] for one in content["exchanges"]] == [2, 2, 2, 1]
    crossed = sum(sum(one["bytes"]) * (one["receivers"] - 1) for one in content["exchanges"][:3]) + content["exchanges"][3]["bytes"][1]
    net.infer(x[:1])
    assert net.towers.bytes_forward == crossed


def test_smaller_images_than_the_networks_own():
    net = AlexNet("small", num_classes=10).eval()
    content = exploration(net, np.ones((1, 28, 28, 3), np.float32))
    assert content["nodes"][0]["shape"] == [28, 28, 12] and content["exchanges"][0]["bytes"] == [4608, 4608]
    assert content["images"][0]["backwards"]["guided"].shape == (5, 28, 28, 3)
