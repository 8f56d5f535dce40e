"""Cases: what an exercise is tried with. A case is data; minigrad.coursework.judge.inputs makes inputs and layers of it."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """One trial of a solution.

    kind     "worked"     numbers that can be verified on paper: parameters as in `given`, backward of `dy`, results as in `expected`
             "forward"    what comes out, compared with the model solution's, for two batches, float32 and other memory layouts
             "gradients"  the gradient checker, once forward gives the right numbers
             "property"   the function of this name in minigrad.coursework.judge.properties
    x        the shape of the input, drawn as `inputs` says; or, for inputs "numbers" and "as is", the input itself
    inputs   a name in minigrad.coursework.judge.inputs.INPUTS; "numbers": x becomes a float64 array; "as is": x is handed over unchanged
    args, kwargs   of the constructor; for a function, the arguments after x. `Array`s among args are drawn
    labels   handed to forward after x; None: no labels
    mode     "train"; or "eval": forward in training mode first, then eval()
    given    parameter name -> numbers; the other parameters are drawn
    dy, expected   of a worked example: dy for backward; "y", "dx", "dW", "db" -> numbers
    weight   share of the exercise's points, relative to the other cases
    budget   how many evaluations of forward the gradient checker may make"""

    name: str
    x: tuple = ()
    args: tuple = ()
    kwargs: dict = field(default_factory=dict)
    kind: str = "gradients"
    inputs: str = "kink_free"
    labels: tuple = None
    mode: str = "train"
    property: str = ""
    given: dict = field(default_factory=dict)
    dy: tuple = None
    expected: dict = field(default_factory=dict)
    weight: int = 1
    budget: int = 20_000


@dataclass(frozen=True)
class Array:
    """An argument that is drawn. shape; inputs: a name in minigrad.coursework.judge.inputs.INPUTS."""

    shape: tuple
    inputs: str = "normal"
