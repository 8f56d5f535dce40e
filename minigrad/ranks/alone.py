"""What ranks have in common, and a process alone, which is the only one."""


class RankError(Exception):
    """Ranks that cannot work together: what is wrong and what would be right, in one sentence."""


class Ranks:
    """A process alone: all is its own, and nothing travels. `join()` gives the ranks of an MPI launcher, if there was one."""

    rank, size = 0, 1
    team = None  # the `Team` of ranks that share the fully connected layers, once there is one

    def deal(self, device, towers):
        """What --device means here: of "auto" this rank's part, where several see the same GPUs; at most one for each of so many towers."""
        return device

    def use(self, devices):
        """Say on which devices this rank's towers are. Returns how their gradients travel: half a sentence, empty if they do not."""
        return ""

    def divide(self, size):
        """Make teams of so many neighbouring ranks. Raises RankError where some would be left over."""
        raise RankError("A process alone has nobody to share layers with: start several with mpirun -n.")

    def share(self, N):
        """Which of N things in a row are this rank's: a slice. Where there are fewer things than ranks, some have none."""
        return slice(N * self.rank // self.size, N * (self.rank + 1) // self.size)

    def add(self, parameters):
        """Begin to sum the gradients of a list of `Parameter`s over all ranks that have them, in place; the next `sum` waits for them."""

    def sum(self, *numbers):
        """A tuple of the numbers, each summed over all ranks."""
        return numbers

    def told(self, work):
        """What work() returns, or raises, on rank 0, which alone calls it."""
        return work()

    def first(self, error):
        """The error of the lowest rank that has one, on all ranks; else None."""
        return error

    def all(self, value):
        """A list of every rank's value."""
        return [value]

    def same(self, what, value):
        """Raises RankError on all ranks unless `value` is the same on all."""
        values = self.all(value)
        for rank, other in enumerate(values):
            if other != values[0]:
                raise RankError(f"Rank 0 and rank {rank} do not have the same {what}: {values[0]} and {other}.")

    def whole(self, parameters, arrays):
        """Arrays shaped as these parameters, such as their velocities, with the columns that other ranks have; of use on rank 0 alone."""
        return arrays

    def run(self, program):
        """program(), which returns an exit code. What is printed meanwhile is printed by rank 0 alone. A rank that ends with an error which
        the others do not share says so, and ends them all."""
        return program()


ALONE = Ranks()
