"""Three choices of what goes back through a ReLU. Forward they are all y = max(x, 0); backward only the first is its derivative.

    ReLU         dx = dy where x > 0           the derivative (saliency maps: Simonyan, Vedaldi, Zisserman 2013)
    DeconvReLU   dx = dy where dy > 0          Zeiler and Fergus, "Visualizing and understanding convolutional networks", 2014
    GuidedReLU   dx = dy where both are > 0    Springenberg, Dosovitskiy, Brox, Riedmiller, "Striving for simplicity", 2015, Figure 1

and 0 elsewhere. The last two let nothing through that speaks against the class, which makes clearer pictures and is no gradient."""

import numpy as np

from minigrad.layers import ReLU


class DeconvReLU(ReLU):
    """y = max(x, 0).    dx = max(dy, 0), whatever x was. x (N, ...)."""

    is_relu = False  # what it lets back is not what it would be on the other side of a pooling

    def backward_slab(self, dy, y):
        return np.maximum(dy, 0), ()

    def backward_cuda(self, dy, y):
        return self.device.xp.maximum(dy, 0), ()


class GuidedReLU(ReLU):
    """y = max(x, 0).    dx = dy where x > 0 and dy > 0, else 0. x (N, ...)."""

    is_relu = False

    def backward_slab(self, dy, y):
        dx, _ = super().backward_slab(dy, y)
        return np.maximum(dx, 0), ()

    def backward_cuda(self, dy, y):
        dx, _ = super().backward_cuda(dy, y)
        return self.device.xp.maximum(dx, 0), ()
