"""How the colours of a data set's pixels vary, and the noise made of it: an object looks the same in light of another colour and
strength (paper §4.1)."""

import numpy as np

# ImageNet's own, in units of 0 to 255 (`color_pca` of cuda-convnet2): standard deviations, and directions in its columns (R, G, B).
# The paper says eigenvalues, which are their squares; as standard deviations they would be a hundred times too strong.
IMAGENET = (
    np.array([121.7801, 37.0939, 19.7208]),
    np.array([[-0.56351, -0.71258, 0.41796], [-0.57618, -0.02354, -0.81698], [-0.59200, 0.70120, 0.39731]]),
)
FEW = 100  # images; of fewer the colours say little


def components(pixels, total, moment):
    """The principal components of colour: standard deviations (3,), the largest first, and directions (3, 3), one a column.

    pixels: their number. total (3,): the sum over all of x = (R, G, B). moment (3, 3): the sum of x x^T."""
    mean = total / pixels
    variances, directions = np.linalg.eigh(moment / pixels - np.outer(mean, mean))
    order = np.argsort(-variances)
    directions = directions[:, order]
    strongest = np.abs(directions).argmax(axis=0)
    directions *= np.sign(directions[strongest, [0, 1, 2]])  # eigenvectors have no sign of their own
    return np.sqrt(np.maximum(variances[order], 0)), directions


def second_moment(image):
    """The sum of x x^T over all pixels x = (R, G, B) of an image (H, W, 3): float64 (3, 3)."""
    planes = image.reshape(-1, 3).T.astype(np.float32, order="C")
    moment = np.empty((3, 3))
    for i in range(3):
        for j in range(i, 3):
            moment[i, j] = moment[j, i] = planes[i] @ planes[j]
    return moment


def of_images(images):
    """The components of the colours of some uint8 images (H, W, 3); ImageNet's own if they are too few to tell."""
    N, pixels, total, moment = 0, 0, np.zeros(3), np.zeros((3, 3))
    for image in images:
        N += 1
        pixels += image.shape[0] * image.shape[1]
        total += image.sum(axis=(0, 1))
        moment += second_moment(image)
    return IMAGENET if N < FEW else components(pixels, total, moment)


def noise_matrix(components, strength=0.1):
    """(3, 3), which makes colour noise of three normal numbers: V diag(strength · std)."""
    std, directions = components
    return directions * (strength * std)
