"""How the colours of a data set's pixels vary, and the noise made of that: an object stays what it is in light of another colour and
intensity (paper §4.1)."""

import numpy as np

# ImageNet's own, in units of 0 to 255 (`color_pca` of cuda-convnet2): standard deviations, and directions in its columns (R, G, B).
# The paper says eigenvalues, which are their squares; as standard deviations they would be a hundred times too strong.
IMAGENET = (
    np.array([121.7801, 37.0939, 19.7208]),
    np.array([[-0.56351, -0.71258, 0.41796], [-0.57618, -0.02354, -0.81698], [-0.59200, 0.70120, 0.39731]]),
)
FEW = 100  # images; from fewer than that the components of colour are not computed


def components(pixels, total, moment):
    """The principal components of colour: standard deviations (3,), the largest first, and directions (3, 3), one in each column.

    pixels: their number. total (3,): the sum of x = (R, G, B) over all pixels. moment (3, 3): the sum of x x^T."""
    mean = total / pixels
    variances, directions = np.linalg.eigh(moment / pixels - np.outer(mean, mean))
    order = np.argsort(-variances)
    directions = directions[:, order]
    strongest = np.abs(directions).argmax(axis=0)
    directions *= np.sign(directions[strongest, [0, 1, 2]])  # the sign of an eigenvector is arbitrary
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
    """The components of colour of uint8 images (H, W, 3); ImageNet's if there are fewer than FEW images."""
    N, pixels, total, moment = 0, 0, np.zeros(3), np.zeros((3, 3))
    for image in images:
        N += 1
        pixels += image.shape[0] * image.shape[1]
        total += image.sum(axis=(0, 1))
        moment += second_moment(image)
    return IMAGENET if N < FEW else components(pixels, total, moment)


def noise_matrix(components, strength=0.1):
    """The matrix (3, 3) that turns three standard normal numbers into colour noise: V diag(strength · std), V the directions."""
    std, directions = components
    return directions * (strength * std)
