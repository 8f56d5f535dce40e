"""Looking into a network: everything that passes its layers on the way forward, and what a class goes back to in the image."""

from minigrad.visualise.backwards import RULES, Explanation, explain, grad_cam, saliency
from minigrad.visualise.exploration import exploration
from minigrad.visualise.passage import Passage
from minigrad.visualise.relus import DeconvReLU, GuidedReLU

__all__ = ["RULES", "DeconvReLU", "Explanation", "GuidedReLU", "Passage", "exploration", "explain", "grad_cam", "saliency"]
