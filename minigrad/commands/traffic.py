"""How many bytes a training step of several ranks sends: by a formula, and beside what was counted."""

from minigrad.commands.scale import FLOAT, ring


def formula(sizes, classes, images, ranks, team=1):
    """Bytes that each rank sends in a step with so many images of its own: of gradients, and of activations if `team` ranks share the fully
    connected layers of a network of these `Sizes` (scale.py).

    Gradients of what all have go round rings, those of columns from team to team. Of what comes into the fully connected layers, and of
    all that they hand on to each other, a rank sends its own part to each other rank of its team, and in return the gradients of theirs.
    Of the logits each rank gets those of its own images alone."""
    gradients = ring(sizes.convolutions, ranks) + ring(sizes.connected / team, ranks // team)
    hidden = (team - 1) * (sizes.activations - classes)
    return gradients, images * (hidden + 2 * (team - 1) / team * classes) * FLOAT


def megabytes(*numbers):
    return f"{sum(numbers) / 1e6:,.1f} MB"


def forecast(sizes, classes, batch_size, ranks):
    """What a step will send, half a sentence."""
    plain, _ = formula(sizes, classes, 0, ranks.size)
    if ranks.team is None:
        return f"a step sends {megabytes(plain)} from each"
    shared = formula(sizes, classes, batch_size / ranks.size, ranks.size, ranks.team.size)
    return f"{ranks.team.size} share the fully connected layers: a step sends {megabytes(*shared)} from each, not {megabytes(plain)}"


def report(sent, sizes, classes, batch_size, ranks, out):
    """Print the bytes of gradients and activations that a step has sent from this rank, counted, beside the formula's and those without
    --hybrid."""
    plain, _ = formula(sizes, classes, 0, ranks.size)
    total = f"a step sends {megabytes(*sent)} from each rank, counted"
    if ranks.team is None:
        size = (sizes.convolutions + sizes.connected) * FLOAT
        print(f"{total}: 2 (R - 1) / R of {megabytes(size)} of gradients, if MPI takes a ring", file=out)
        return
    gradients, activations = formula(sizes, classes, batch_size / ranks.size, ranks.size, ranks.team.size)
    print(
        f"{total}: {megabytes(sent[0])} of gradients, {megabytes(sent[1])} of activations in teams of {ranks.team.size}; by the formula "
        f"{megabytes(gradients)} and {megabytes(activations)}; without --hybrid {megabytes(plain)} of gradients",
        file=out,
    )
