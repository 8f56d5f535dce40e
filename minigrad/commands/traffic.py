"""How many bytes a training step of several ranks sends: by a formula, and beside what was counted."""

from dataclasses import dataclass

from minigrad.layers import Linear

FLOAT = 4  # bytes


@dataclass(frozen=True)
class Sizes:
    """What there is to send: numbers of gradients of the convolutions and of the fully connected layers; for each image, numbers that
    come into the fully connected layers, of all of them together, and numbers of logits."""

    convolutions: int
    connected: int
    inputs: int
    logits: int
    stages: int


def sizes(net):
    """The `Sizes` of a network."""
    connected = convolutions = inputs = 0
    last, walked = None, list(net.walk())
    for step in walked:
        numbers = sum(p.value.size for p in step.layer.parameters())
        if isinstance(step.layer, Linear):
            connected += numbers
            if step.tower == 0:
                inputs += step.x_shape[1]  # all towers see the same
            last = step.name
        else:
            convolutions += numbers
    logits = sum(step.y_shape[1] for step in walked if step.name == last)
    return Sizes(convolutions, connected, inputs, logits, len(net.towers.stages))


def sent(sizes, images, ranks, team=1):
    """Bytes that each rank sends in a step with so many images of its own: of gradients, and of activations if `team` ranks share the fully
    connected layers by columns (minigrad/hybrid.py).

    Gradients of what all have go round rings, those of columns from team to team. Of what comes into the fully connected layers a rank
    sends its own part to each other rank of its team, and in return the gradients of theirs. Of the logits each rank gets those of its own
    images alone, from each other rank those of its columns, and returns their gradients."""
    gradients = ring(sizes.convolutions, ranks) + ring(sizes.connected / team, ranks // team)
    return gradients, images * 2 * (team - 1) * (sizes.inputs + sizes.logits / team) * FLOAT


def ring(numbers, ranks):
    """Bytes that each of so many ranks sends in a ring all-reduce."""
    return 2 * (ranks - 1) / ranks * numbers * FLOAT


def megabytes(*numbers):
    return f"{sum(numbers) / 1e6:,.1f} MB"


def forecast(sizes, batch_size, ranks):
    """What a step will send, half a sentence."""
    plain, _ = sent(sizes, 0, ranks.size)
    if ranks.team is None:
        return f"a step sends {megabytes(plain)} from each"
    shared = sent(sizes, batch_size / ranks.size, ranks.size, ranks.team.size)
    return f"{ranks.team.size} share the fully connected layers: a step sends {megabytes(*shared)} from each, not {megabytes(plain)}"


def report(counted, sizes, batch_size, ranks, out):
    """Print the bytes of gradients and activations that a step has sent from this rank, counted, beside the formula's and those without
    --hybrid."""
    plain, _ = sent(sizes, 0, ranks.size)
    total = f"a step sends {megabytes(*counted)} from each rank, counted"
    if ranks.team is None:
        size = (sizes.convolutions + sizes.connected) * FLOAT
        print(f"{total}: 2 (R - 1) / R of {megabytes(size)} of gradients, if MPI takes a ring", file=out)
        return
    gradients, activations = sent(sizes, batch_size / ranks.size, ranks.size, ranks.team.size)
    print(
        f"{total}: {megabytes(counted[0])} of gradients, {megabytes(counted[1])} of activations in teams of {ranks.team.size}; by the "
        f"formula {megabytes(gradients)} and {megabytes(activations)}; without --hybrid {megabytes(plain)} of gradients",
        file=out,
    )
