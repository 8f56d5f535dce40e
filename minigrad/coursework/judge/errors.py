"""An exception of a solution as one sentence."""

from minigrad.coursework.judge.caged.errors import error_sentence

__all__ = ["error_sentence"]
