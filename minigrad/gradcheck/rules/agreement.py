"""Do two passes that should agree do so? If not, x may stand at a tie, where rounding alone decides."""

import numpy as np

from minigrad.gradcheck.comparison import distance
from minigrad.gradcheck.subject import gradient_name


def disagreement(context, draw, results, expected, tolerance, words):
    """The first of "y" and the tensors' names where two `Results` differ by more than the tolerance, or None.

    Gradients that rounding of x moves as far do not count, since it makes or breaks a tie somewhere inside the layer. They are noted, in
    these words."""
    name = results.differing(expected, tolerance)
    if name is None:
        return None
    distances = [distance(results.gradients.get(tensor), gradient) for tensor, gradient in expected.gradients.items()]
    furthest = max(distances, default=np.inf)
    if name != "y" and context.budget.take(4) and 4 * sensitivity(context, draw, tolerance / 100) >= furthest:
        context.notes.append(f"{gradient_name(name)} {words}; but at this x rounding alone moves the gradients as far.")
        return None
    return name


def sensitivity(context, draw, fraction):
    """How far the gradients move, by `distance`, if x and the parameters change by such a fraction of themselves. Four evaluations."""
    subject, rng, furthest = context.subject, context.rng("rounding"), 0.0
    expected = subject.one_pass(subject.fresh(), draw).gradients
    for _ in range(3):
        layer, x = subject.fresh(), draw.x * (1 + fraction * rng.standard_normal(draw.x.shape))
        for p in subject.parameters(layer):
            p.value[...] *= 1 + fraction * rng.standard_normal(p.value.shape)
        gradients = subject.one_pass(layer, draw.variant(x, draw.dy)).gradients
        furthest = max(furthest, *(distance(gradients[name], gradient) for name, gradient in expected.items()))
    return furthest
