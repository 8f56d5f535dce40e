"""The budget: `check_layer` promises to evaluate forward at most so many times. Small tensors are done in full, large ones by samples."""

DIRECTIONS, SINGLES = 8, 32  # what is tried of a tensor too large to try every element
HALVING = 70  # evaluations that lead from a wrong direction to one of 10^10 elements
LOOKS = 40  # evaluations kept for second looks at what seems wrong, beside a tenth of those that no tensor needs
RESERVE = 60  # evaluations that are no differences, in both draws: first passes, contract, dtype, layout


class Budget:
    """Counts the evaluations that are not reserved for anything."""

    def __init__(self, evaluations):
        self.evaluations, self.spare = evaluations, evaluations - RESERVE

    def take(self, evaluations):
        """Whether so many evaluations are spare; if so, they are taken."""
        if self.spare < evaluations:
            return False
        self.spare -= evaluations
        return True

    def plan(self, sizes):
        """name -> None for a tensor to be checked element by element, or (number of directions, number of single elements).

        sizes: name -> number of elements. What the plan needs is taken. The smallest tensors come first, as long as they leave enough for
        the others. An element costs four evaluations in both draws together; so does a direction or a single element. Raises ValueError
        if the budget is too small for any plan."""
        least, full = 2 + 4 + 4, 2 + 4 * DIRECTIONS + 4 * SINGLES
        needed = LOOKS + sum(min(4 * size, least) for size in sizes.values())
        if self.spare < needed:
            needed += self.evaluations - self.spare
            raise ValueError(f"check_layer: the budget must be at least {needed} for {len(sizes)} tensors, not {self.evaluations}")
        looks = LOOKS + (self.spare - needed) // 10
        plan, remaining, waiting = {}, self.spare - looks, sorted(sizes, key=sizes.get)
        while waiting and 4 * sizes[waiting[0]] <= max(remaining / len(waiting), remaining - full * (len(waiting) - 1)):
            plan[waiting[0]] = None
            remaining -= 4 * sizes[waiting.pop(0)]
        for planned, name in enumerate(waiting):
            share = remaining // (len(waiting) - planned) - 2
            directions = max(1, min(DIRECTIONS, share // 16))
            plan[name] = directions, min(SINGLES, sizes[name], share // 4 - directions)
            remaining -= 2 + 4 * sum(plan[name])
        self.spare = remaining + looks
        return plan
