"""From a class back to the pixels: which of them its score hangs on.

Saliency (Simonyan, Vedaldi, Zisserman, "Deep inside convolutional networks", 2013) is the gradient of the score; deconvnet and guided
backpropagation change what goes back through ReLUs (relus.py); Grad-CAM (Selvaraju et al., "Grad-CAM: visual explanations from deep
networks via gradient-based localization", 2017) stops at the last convolution, whose maps it adds up."""

from dataclasses import dataclass

import numpy as np

from minigrad.layers import Conv2d, ReLU, Tanh
from minigrad.visualise.passage import Passage
from minigrad.visualise.relus import DeconvReLU, GuidedReLU

RULES = {"saliency": ReLU, "deconvnet": DeconvReLU, "guided": GuidedReLU}


@dataclass
class Explanation:
    """Of N images and one class of each. saliency (N, H, W), at least 0; deconvnet, guided (N, H, W, 3), with signs, or (N, H, W, 1) for
    grey images; layer: the name of the layer that Grad-CAM looks at, None in a network without convolutions; cam (N, h, w), at least 0;
    weights (N, C): what each of its maps counts, the towers' maps side by side."""

    saliency: np.ndarray
    deconvnet: np.ndarray
    guided: np.ndarray
    layer: str | None
    cam: np.ndarray | None
    weights: np.ndarray | None


def explain(net, x, classes, grey=False):
    """The `Explanation` of images x (N, H, W, 3), as the `Network` is fed them, and of one class of each, N integers.

    grey: the network was trained on grey images, whose three channels are equal: only the sum of a pixel's three gradients means something,
    and how they share it is left over from the starting weights.
    The network is in test mode; its gradients are overwritten. Three passes, each forward and backward."""
    passage = Passage(net, x)
    gradient = passage.back_from(classes)
    layer = last_maps(net)
    cam, weights = grad_cam(passage.joined(layer), passage.joined(layer, "gradient")) if layer else (None, None)
    deconvnet, guided = (Passage(net, x, RULES[name]).back_from(classes) for name in ("deconvnet", "guided"))
    if grey:
        gradient, deconvnet, guided = (one.sum(axis=-1, keepdims=True) for one in (gradient, deconvnet, guided))
    return Explanation(saliency(gradient), deconvnet, guided, layer, cam, weights)


def saliency(gradient):
    """How much a pixel counts, from the gradient (N, H, W, 1 or 3) of the score: the largest of its numbers without their signs.

    -> (N, H, W) (Simonyan et al. 2013, section 3.1)."""
    return np.abs(gradient).max(axis=-1)


def grad_cam(maps, gradient):
    """cam = max(0, sum over the maps k of weight_k map_k), where weight_k is the mean over its places of the gradient of the score.

    maps, gradient (N, h, w, C) -> cam (N, h, w), weights (N, C) (Selvaraju et al. 2017, equations 1 and 2)."""
    weights = gradient.mean(axis=(1, 2))
    cam = np.einsum("nhwc,nc->nhw", maps, weights)
    return np.maximum(cam, 0), weights


def last_maps(net):
    """The name of the last convolution, or of its activation where one follows; None if there is no convolution."""
    steps, found = [step for step in net.walk() if step.tower == 0], None
    for step, after in zip(steps, [*steps[1:], None], strict=True):
        if isinstance(step.layer, Conv2d):
            found = after.name if after is not None and isinstance(after.layer, (ReLU, Tanh)) else step.name
    return found
