"""What `explain` prints: the derivation, the shapes, what to read. It shows no code of a solution."""

import ast
import inspect
import textwrap
from dataclasses import replace

from minigrad.coursework.blanks import functions_in
from minigrad.coursework.cases import Case
from minigrad.coursework.exercises import ALL, find
from minigrad.coursework.judge.caged.blank import docstring_of
from minigrad.coursework.judge.gradients import by_gradients
from minigrad.coursework.source import plant, text_of

DERIVATIONS = {
    "arrays.windows": """
        An array is a block of memory and, for each axis, a stride: the number of bytes from one element to the next. A window that
        starts one pixel further is the same memory from another start, so all windows together are an array with two more axes
        and no copy. numpy.lib.stride_tricks.sliding_window_view makes it: it puts the window's axes last. Here the channels are
        wanted last. With a stride of S take every S-th window along both axes that number the windows.""",
    "arrays.in_place": """
        A name is not an array: `w = w - …` makes a new array and gives it the name; the caller's array is what it was. `w -= …`
        and `w[...] = …` write into the array that has the name. Layers and optimisers share arrays, so this matters.""",
    "arrays.float64_leak": """
        NumPy computes in the stronger of two types. A Python number like 0.5 is weak and takes the type of the array; an
        np.float64 scalar is as strong as an array of float64, and float32 · np.float64 is float64: twice the memory, half the
        speed, in all that follows.""",
    "numerical_gradient": """
        Taylor: f(t + h) = f + h f′ + h²/2 f″ + h³/6 f‴ + …, so (f(t + h) − f(t − h)) / 2h = f′ + h²/6 f‴ + …: the truncation
        error falls with h². The rounding error grows with 1/h. Both are equal near h = ε^(1/3) = 6e-6, which gives nine digits.
        Where f gives an array, L = Σ dy · f(t) is one number, and its slope is what backward(dy) must give. Never take ones for
        dy: mistakes that mix outputs would cancel.""",
    "linear": """
        y[n, o] = Σ_i x[n, i] W[i, o] + b[o]. L depends on W[i, o] through y[n, o] of all n: dW[i, o] = Σ_n x[n, i] dy[n, o]. On
        b[o] through the same: db[o] = Σ_n dy[n, o]. On x[n, i] through y[n, o] of all o: dx[n, i] = Σ_o dy[n, o] W[i, o]. Each
        sum is a matrix product; the shapes leave only one way to write it. Nothing is divided by N: only the loss does that.""",
    "relu": """
        y = x where x > 0, else 0. There the slope is 1, elsewhere 0: dx is dy where x was positive. At 0 any slope from 0 to 1 is
        right (we take 0). The mask is that of x, of this batch.""",
    "tanh": """
        tanh = (e^x − e^−x) / (e^x + e^−x). By the quotient rule tanh′ = 1 − tanh²: forward's result is all that backward needs.""",
    "flatten": """
        No arithmetic: number (h · W + w) · C + c of a row is x[n, h, w, c], the order in memory of a C-ordered array. Backward
        puts every number back where it was.""",
    "loss": """
        p_c = exp(z_c) / Σ exp(z). L = mean over n of −log p[n, label n] = mean of (log Σ exp(z) − z_label). Adding a constant to
        all z of a row changes nothing, so subtract the largest: no exp overflows. ∂(log Σ exp)/∂z_c = p_c, ∂z_label/∂z_c = 1 for
        the label, else 0. So dlogits = (p − one-hot) / N: N, since L is a mean over the images.""",
    "conv2d": """
        y[n, r, q, o] = b[o] + Σ_{i, j, c} x[n, r S + i, q S + j, c] W[i, j, c, o], x with zeros around it, OH = (H + top + bottom
        − K)//S + 1. With a row for each window, patches (N·OH·OW, K·K·C), this is patches @ W + b with W as (K·K·C, CO). Backward
        it is Linear's: dW = patchesᵀ · dy, db = Σ dy over N, OH and OW, dpatches = dy · Wᵀ. The gradient of a patch goes back to
        the pixels that the patch was read from: col2im adds dpatches to them, several to one where windows overlap; what lies in
        the padding is dropped.""",
    "patches": """
        im2col copies: patches[(n, r, q), (i, j, c)] = x[n, r S + i, q S + j, c]. It is linear, a matrix of zeros and ones. Its
        transpose, col2im, adds: dx[n, r S + i, q S + j, c] += dpatches[(n, r, q), (i, j, c)]. The test of a transpose: ⟨A x, p⟩ =
        ⟨x, Aᵀ p⟩ for all x, p. Tap (i, j) of all windows is one slice of the image, with step S: K² slices in all.""",
    "towers": """
        Two towers side by side are one tower whose W is zero where the inputs of one meet the outputs of the other: blocks on the
        diagonal of (C, CO). Half of the weights are zero, and need not be stored.""",
    "maxpool": """
        y is one number of its window, the largest. If that number changes by δ, so does y; if another one does, nothing happens.
        So dx of a pixel is the sum of dy over the windows whose maximum it is: windows overlap (3/2), so it may be several. Ties:
        any one of the tied numbers may get dy, or they may share it, but the shares must add up to one dy.""",
    "lrn": """
        s_i = k + α Σ_{j near i} x_j², y_i = x_i s_i^−β. x_i occurs in y_i twice, directly and in s_i, and in its neighbours' s_j:
        dx_i = dy_i s_i^−β − 2 α β x_i Σ_{j near i} dy_j x_j s_j^−(β + 1). "j near i" is symmetric, so backward's window is
        forward's. The window ends at the first and the last channel. With α = 1e-4 the second term is small: tests use 0.5.""",
    "dropout": """
        y = x · mask with a mask that does not depend on x: dx = dy · mask. A number is dropped with probability p. So that the
        next layer sees the same on average, either the outputs are multiplied by 1 − p at test time ("test", the paper's way), or
        by 1 / (1 − p) in training ("train").""",
    "sgd": """
        v ← 0.9 v − lr (g + decay · w), then w ← w + v. The velocity v is a decaying sum of the gradients, each with the lr at its
        time: after lr falls, the first steps are still large. Biases: twice the lr, no decay. From w = 1, g = 0.5, lr 0.01, decay
        0.0005: v = −0.005005, w = 0.994995.""",
    "alexnet": """
        Sizes: (H + top + bottom − K) // S + 1. 224 pixels and padding of three zeros on the right and below: (227 − 11) // 4 + 1
        = 55; pools of 3/2: 27, 13, 6. Two towers hold half of the kernels each. conv2, conv4 and conv5 see their own tower; conv3
        and the fully connected layers see both: there a stage ends, and the towers exchange.""",
    "exchange": """
        Forward, a copy: tower u sees x[t] of all t, joined along the channels in the order of the towers. L depends on x[t]
        through what every tower does with it: dx[t] = Σ_u (the part of dy[u] that belongs to tower t). A sum, not a mean: there
        is one loss.""",
    "augment": """
        256 → 224 leaves offsets 0 … 32, both included: 33 × 33 × 2 = 2178 views of an image. Colour: σ and V are standard
        deviations and directions of the training pixels' colours; an image is shifted by V · (0.1 σ n), n from N(0, 1), one n for
        all its pixels.""",
    "metrics": """
        The top-k error is the fraction of images whose label is not among the k largest logits. Top-1 is at least as large as
        top-5.""",
    "allreduce.ring": """
        Every rank has n numbers, and all want the sums. Cut x into R chunks. Think of one chunk: it starts at some rank, goes to
        the right, and each rank that it passes adds its own numbers; after R − 1 steps it is finished. R chunks can be on their way
        at once if each starts at another rank: rank r begins with chunk r, and at step s it sends chunk r − s and receives chunk
        r − s − 1, all modulo R. So at the end rank r holds chunk r + 1 finished. In the second half the finished chunks go round in
        the same way, and each replaces what is there. A rank sends 2 (R − 1) chunks: 2 (R − 1)/R · n numbers, less than 2 n for any
        R.""",
    "allreduce.tree": """
        Half of the ranks send all they have to the other half, which adds; then half of those, until rank 0 has everything:
        ceil(log2 R) levels. At distance d = 1, 2, 4, … the ranks whose number leaves the remainder d when divided by 2 d send to
        rank − d; those with the remainder 0 receive from rank + d, if there is such a rank. Downwards the same branches, in the
        reverse order. 2 ceil(log2 R) messages follow one another, each of all n numbers: few messages, many bytes.""",
    "dilated": """
        As convolution, but tap (i, j) reads D·i rows and D·j columns further: the window is D (K − 1) + 1 pixels wide with holes.""",
    "circular": """
        As convolution, but rows and columns count modulo H and W. A window may read one pixel twice, so backward adds.""",
    "avgpool": """
        Every number of a window has the weight 1 / K²; backward each receives dy / K² from every window that it is in.""",
    "ceilpool": """
        As max-pooling, with ceil((H − K) / S) + 1 windows: the last may reach beyond the edge, and has fewer numbers.""",
    "squarenorm": """
        As `lrn`, with the square of pixels around a pixel in place of the channels around a channel.""",
    "channeldrop": """
        As `dropout` scaled in training, with one draw for each channel of each image.""",
    "nesterov": """
        The gradient is taken where the velocity is about to lead. Written for w at that point: v ← m v − lr g, w ← w + m v − lr
        g.""",
    "smoothing": """
        L = −Σ wanted · log p with Σ wanted = 1, so dlogits = (p − wanted) / N: as `loss`, with wanted in place of the one-hot.""",
    "ring": """
        x[t] goes to tower t (first half) and to tower t + 1 (second half). dx[t] is the sum of the gradients from both.""",
}

# What the public cases of an exercise look at, by the kind of case or the name of the property.
LOOKED_AT = {
    "worked": "an example small enough for paper",
    "forward": "values, of two batches and in any memory layout; what is handed in stays as it was; float32 in gives float32 out",
    "gradients": "gradients, by differences, of two batches; backward called twice; what is handed in stays as it was; float32 in gives "
    "float32 out",
    "is_view": "the values, and whether the result shares the memory of x",
    "changes_in_place": "whether all who hold the array, or a view of it, see the change",
    "keeps_dtype": "the values, and the dtype: float32 and float64 come out as they went in",
    "answers": "the letter",
    "differences": "slopes, in float64, of functions of which one uses its memory again, and with another h; t is restored bit by bit",
    "adjoint_of_im2col": "whether it is the transpose of im2col; float32 in gives float32 out",
    "adjoint": "whether backward is the transpose of forward",
    "towers_in_one": "towers side by side against one tower with your weights; float32 in gives float32 out",
    "same_network": "names, settings, shapes and values of the whole network, stage by stage",
    "drops": "how many numbers are dropped and by what the rest is multiplied; masks of two images and of two steps differ; the mask has "
    "the dtype of x",
    "crops": "whether each crop is a piece of its image, every place and both sides occur equally often, images have draws of their own, "
    "and all draws come from rng",
    "noise": "whether all pixels of an image shift alike, how the shifts are distributed, and whether all draws come from rng; the images "
    "stay as they were",
    "one_number": "a single weight or bias, step by step",
    "trajectory": "weights, biases and velocities while lr changes, down to 0; in place; gradients stay as they were",
    "sums_of_all": "the sums on every rank, to the last bit the same; what is handed in stays as it was; that nobody sends what is never "
    "received; how many bytes a rank sends, and how many messages follow one another; float32 in gives float32 out",
    "drops_channels": "which channels are dropped and by what the rest is multiplied; masks of two images and of two steps differ",
}
FUNCTION = "values, in any memory layout; what is handed in stays as it was; float32 in gives float32 out"
LOSS = "values, of two batches; what is handed in stays as it was; the loss is a float"
NO_ARRAY = {  # what "forward" looks at where no array comes out
    "loss.forward": LOSS,
    "smoothing.forward": LOSS,
    "metrics.top_k": "values; what is handed in stays as it was; the result is a float",
    "alexnet.shapes": "layers whose windows leave something over",
}


def looked_at(exercise):
    """What the public cases of an exercise look at, in one sentence; with what forward has to keep, where backward comes later."""
    special = NO_ARRAY.get(exercise.id) or (LOOKED_AT["forward"] if inspect.isclass(exercise.source) else FUNCTION)
    words = list(dict.fromkeys((LOOKED_AT | {"forward": special})[case.property or case.kind] for case in exercise.cases))
    kept = exercise.write == ("forward",) and any(other.source is exercise.source and other is not exercise for other in ALL)
    more = " Backward is tried with what your forward keeps: keep it under the names that the docstring gives." if kept else ""
    return f"The cases look at: {'; '.join(words)}.{more}"


# What `explain hunt.N` shows: the report on an exercise's model with a mistake planted, tried with a case; and the four answers.
HUNTS = {
    1: ("linear.backward", "dW divided by N", Case("hunt", (3, 5), (5, 4)),
        ("db is counted twice", "the sign of dW", "dW is averaged over the images", "dW is the right array, its rows taken for columns")),
    2: ("relu.backward", "mask of an old batch", Case("hunt", (3, 5)),
        ("backward asks where x of an earlier batch was positive", "backward asks where dy, not x, is positive", "forward writes into x",
         "negative x pass a thousandth")),
    3: ("linear.backward", "db not summed", Case("hunt", (3, 5), (5, 4)),
        ("db is averaged over the images", "the sign of db", "db grows with every call", "db is not summed over the images")),
    4: ("relu.backward", "mask from dy", Case("hunt", (3, 5)),
        ("dy passes everywhere", "backward asks where dy, not x, is positive", "backward writes into dy",
         "backward asks where x of an earlier batch was positive")),
    5: ("linear.backward", "dW = dy.T @ x reshaped", Case("hunt", (3, 5), (5, 4)),
        ("dW is the right array, its rows taken for columns", "dW is averaged over the images", "the sign of dW",
         "dW grows with every call")),
}  # fmt: skip


def explain(exercise):
    """The text for one exercise: the derivation of its group, the docstrings of what is to be written, the names of its public cases."""
    lines = [
        f"{exercise.id}: {exercise.title}",
        f"about {exercise.minutes} minutes, {exercise.points} point{'s' * (exercise.points > 1)}; {exercise.reading}",
    ]
    if exercise.after:
        lines.append(f"after {', '.join(exercise.after)}")
    if exercise.group == "hunt":
        return "\n".join([*lines, "", *hunt(int(exercise.id.split(".")[1]))])
    derivation = DERIVATIONS.get(exercise.id) or DERIVATIONS[exercise.group]
    lines += ["", textwrap.fill(" ".join(derivation.split()), 100)]
    nodes = functions_in(ast.parse(text_of(exercise.source)))
    for name in exercise.write:
        lines += ["", f"{name}:"]
        document = docstring_of(nodes[name])
        lines.append(textwrap.indent(inspect.cleandoc(document.value.value), "    "))
    lines += ["", textwrap.fill(looked_at(exercise), 100)]
    lines += [f"Public cases: {', '.join(case.name for case in exercise.cases)}. Hidden ones have other sizes, settings and numbers."]
    return "\n".join(lines)


def hunt(number):
    """The report on a layer with a planted mistake, without the hints that would name it, and four answers: a list of lines."""
    id, name, case, answers = HUNTS[number]
    exercise = find([id])[0]
    mistake = next(m for m in exercise.mistakes + exercise.others if m.name == name)
    without_hints = replace(exercise, mistakes=(), others=(), random=True)
    report = by_gradients(without_hints, plant(exercise.source, mistake), case, 0)
    lines = report.text().splitlines()
    lines[0] = lines[0].replace(id, f"layer {number}, a {exercise.source.__name__}")
    letters = [f"  {letter}  {answer}" for letter, answer in zip("abcd", answers, strict=True)]
    return [*lines[:-1], "", "Which mistake is it?", *letters, "", f"Return its letter from hunt_{number}."]
