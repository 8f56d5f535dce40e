"""Ranks: processes, on one machine or many, that train one network, each on its part of every batch.

An MPI launcher starts them: `mpirun -n 4 python alexnet.py ...`, or Slurm's `srun`. Starting weights, the order of the images, their
augmentation and the dropout masks follow from seeds and numbers, so that every rank knows its part without being told; what travels is the
gradients and a few sums. MPI gives all ranks the same sums to the last bit, so their weights never differ.

With --hybrid ranks share the fully connected layers as well, and a `Team` of them exchanges activations (hybrid.py)."""

from minigrad.ranks.alone import ALONE, RankError, Ranks
from minigrad.ranks.launch import join

__all__ = ["ALONE", "RankError", "Ranks", "join"]
