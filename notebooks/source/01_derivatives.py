# %% [markdown]
# # 01 · Can you trust a derivative?
#
# **The question.** Somebody hands you a layer: `forward` computes y, `backward` claims to be its derivative. How do you find out whether that is
# true, without knowing how it was derived?
#
# **You will** write the ten lines that all gradient checkers are made of, see how many digits they can be trusted to, meet the points where
# a function has no derivative, and name five mistakes from their reports alone. About 50 minutes.
#
# Before: [00 · Arrays](00_arrays.ipynb). Next: [02 · A network by hand](02_network_by_hand.ipynb)

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
from minigrad import gradcheck
from minigrad.coursework.explain import hunt
from minigrad.gradcheck import check_layer, kink_free

plt.style.use("minigrad.plots.minigrad")
FAST = os.environ.get("MINIGRAD_FAST") == "1"
SEED = 0
rng = np.random.default_rng(SEED)
print(f"seed {SEED}")

# %% [markdown]
# ## 1 · A slope from two points
#
# The slope f′(t) is where (f(t + h) − f(t)) / h goes when h gets smaller and smaller. A computer cannot let h go to 0; so we need to know how wrong an h
# of some size is. **Taylor's series** tells: near t a smooth function is a polynomial in the step h, and its coefficients are made of the slope f′, the slope
# of the slope f″ (the curvature), the slope of that, f‴, and so on. Once forwards and once backwards:
#
# $$f(t + h) = f + h f' + \tfrac{h^2}{2} f'' + \tfrac{h^3}{6} f''' + \dots \qquad f(t - h) = f - h f' + \tfrac{h^2}{2} f'' - \tfrac{h^3}{6} f''' + \dots$$
#
# Subtract the second from the first, and the term with $h^2$ is gone:
#
# $$\frac{f(t + h) - f(t - h)}{2h} = f' + \tfrac{h^2}{6} f''' + \dots \qquad \text{but} \qquad \frac{f(t + h) - f(t)}{h} = f' + \tfrac{h}{2} f'' + \dots$$
#
# The **central** difference is wrong by the order of h², the one-sided by h. For h = 0.001 that is a thousand times.

# %%
t, h = 1.0, 1e-3
print("sin'(1)          ", np.cos(t))
print("one-sided, error ", (np.sin(t + h) - np.sin(t)) / h - np.cos(t))
print("central, error   ", (np.sin(t + h) - np.sin(t - h)) / (2 * h) - np.cos(t))

# %% [markdown]
# **Predict.** The smaller h, the smaller the error? Sketch the error against h, from h = 1 down to h = 0.00000000000001, before you look.

# %%
steps = np.logspace(-14, 0, 120)
figure, axis = plt.subplots(figsize=(7, 3.6))
for dtype, colour in ((np.float64, "C0"), (np.float32, "C1")):
    point, exact = dtype(1.0), np.cos(1.0)
    for kind, style in (("central", "-"), ("one-sided", ":")):
        errors = []
        for h in steps:
            above, below = point + dtype(h), point - dtype(h) if kind == "central" else point
            width = float(above) - float(below)  # the step that the computer really made
            slope = (float(np.sin(above)) - float(np.sin(below))) / width if width else np.nan
            errors.append(abs(slope - exact) / exact)
        axis.loglog(steps, np.maximum(errors, 1e-13), style, color=colour, label=f"{dtype.__name__}, {kind}")
axis.set(xlabel="step h", ylabel="relative error of the slope", title="A step too large, a step too small: sin at 1", ylim=(1e-13, 10))
axis.axvline(np.finfo(np.float64).eps ** (1 / 3), color="0.6", linestyle="--", linewidth=1)
axis.text(np.finfo(np.float64).eps ** (1 / 3) * 1.2, 2e-13, "ε^(1/3) = 6e-6", fontsize=8)
axis.legend(fontsize=8, loc="lower right")
plt.show()

# %% [markdown]
# A V, not a slope. On the right the series is cut off too early: the error falls with h², or with h. On the left both values of f agree in
# nearly all of their digits, and what is left of them after subtracting is noise: the error grows as ε/h, where ε is the distance between
# neighbouring floats. Both are equal at about h = ε^(1/3), and there a central difference in float64 has ten good digits or so.
#
# The orange curves are why gradients are checked in **float64**, though networks are trained in float32: in float32 the best h gives five
# digits here and fewer in a layer that adds up a thousand products, and a small bug hides in the noise.

# %% [markdown]
# ## 2 · Many inputs, many outputs
#
# A layer has many outputs. We hang a number on each, dy, and look at one sum:
#
# $$L(t) = \sum_i dy_i \, f_i(t) \qquad\Rightarrow\qquad \frac{\partial L}{\partial t_j} = \sum_i dy_i \, \frac{\partial f_i}{\partial t_j}$$
#
# (The round ∂ is read as d: $\partial L / \partial t_j$ is the slope of L when the one number $t_j$ moves and all others stay.) The right side
# uses two rules for slopes: a constant factor stays a factor, and the slope of a sum is the sum of the slopes.
#
# That is exactly what `backward(dy)` is meant to return. So: shift one number of t up and down, look at the sum, divide.
#
# ### Exercise: the ten lines
#
# `f(t)` gives an array of the shape of `dy`. Change `t` in place, one number at a time, and restore it exactly. t may have any number of axes:
# `for i in np.ndindex(t.shape)` runs through all its indices, and `t[i]` is one number. `f` may use its memory again for
# the next answer, so copy what it gives.

# %% exercise="numerical_gradient"

# %% [markdown] mistakes="numerical_gradient"
# **What goes wrong**

# %% [markdown]
# The library's own version, `minigrad.gradcheck.numerical_gradient`, is these same lines. It divides by the step that float64 really made:
# `(t + h) - (t - h)` is not quite 2h.
#
# Try it where the answer can be worked out on paper. `A @ t` is a matrix times a column: $f_i(t) = \sum_j A_{ij} t_j$, so $t_j$ moves $f_i$ by $A_{ij}$, and
# by the formula above $\partial L / \partial t_j = \sum_i dy_i A_{ij}$. That is A with rows and columns exchanged, times dy: `A.T @ dy`.

# %%
A, dy, t = rng.standard_normal((4, 3)), rng.standard_normal(4), rng.standard_normal(3)
found = gradcheck.numerical_gradient(lambda t: A @ t, t, dy)
print("by differences", found)
print("Aᵀ dy         ", A.T @ dy)
assert np.allclose(found, A.T @ dy, rtol=1e-9)

# %% [markdown]
# **Why must dy be random?** Many a wrong layer is right for dy = 1 everywhere. Here is one that forgets dy altogether.


# %%
class Forgetful(mg.Layer):
    """y = x², but backward ignores dy."""

    def forward(self, x):
        self.x = x
        return x**2

    def backward(self, dy):
        return 2 * self.x


layer, x = Forgetful(), rng.standard_normal((3, 4))
for name, dy in (("ones  ", np.ones((3, 4))), ("random", rng.standard_normal((3, 4)))):
    layer.forward(x)
    error = np.abs(layer.backward(dy) - gradcheck.numerical_gradient(lambda x: Forgetful().forward(x), x, dy)).max()
    print(f"dy {name}: largest error {error:.1e}")

# %% [markdown]
# ## 3 · Where there is no derivative
#
# ReLU has a **kink** at 0: slope 0 on the left, 1 on the right. At the kink itself every number between both is as good as any other, and
# libraries differ. A central difference gives their mean, ½, and a checker that insists on it raises a false alarm.

# %%
x = np.linspace(-1, 1, 201)
figure, axes = plt.subplots(1, 2, figsize=(8, 3))
axes[0].plot(x, np.maximum(x, 0))
axes[0].plot([-0.5, 0, 0.5], [0, 0, 0.5], "o", color="C1")
axes[0].annotate("left: slope 0", (-0.5, 0.03), (-0.9, 0.3), arrowprops={"arrowstyle": "->", "color": "0.4"}, fontsize=9)
axes[0].annotate("right: slope 1", (0.5, 0.5), (0.15, 0.85), arrowprops={"arrowstyle": "->", "color": "0.4"}, fontsize=9)
axes[0].set(xlabel="x", ylabel="ReLU(x)", title="Two one-sided slopes")
steps = np.linspace(0.01, 0.5, 60)
for point, colour in ((0.0, "C1"), (0.2, "C2")):
    slopes = [(max(point + h, 0) - max(point - h, 0)) / (2 * h) for h in steps]
    axes[1].plot(steps, slopes, color=colour, label=f"at x = {point:g}")
axes[1].fill_between(steps, 0, 1, color="0.92", zorder=0)
axes[1].text(0.3, 0.08, "right at the kink:\nanything in grey", fontsize=9)
axes[1].set(xlabel="step h", ylabel="central difference", title="½ at the kink; too early near it", ylim=(-0.05, 1.1))
axes[1].legend(fontsize=9, loc="lower left", bbox_to_anchor=(0.02, 0.05))
plt.show()

# %% [markdown]
# minigrad's checker does two things about it. Its inputs are **kink-free** where they can be: `kink_free(shape, rng)` gives numbers that are all
# different and stay away from 0. And where an element disagrees, it looks at both sides separately, for every output: what lies between the
# left and the right slope is right.

# %%
x = kink_free((3, 4), np.random.default_rng(SEED))
print("kink-free: closest two numbers", np.diff(np.sort(x.ravel())).min().round(3), "  closest to 0", np.abs(x).min().round(3))
at_kinks = np.array([[0.0, 1.0, -0.0, 2.0], [1e-8, -1.0, 3.0, -3e-6]])
print(check_layer(mg.ReLU, at_kinks, title="ReLU at its kink"))

# %% [markdown]
# ## 4 · Reading a report
#
# A checker that only says *wrong* leaves you alone. Here is a layer with more than one input to check: the library's `Linear` computes y = x W + b for
# N images at once, one row of x for each. Its gradients have names: dx, dW and db are the slopes of L for the numbers of x, W and b. (How they are computed is
# the next notebook's; a checker does not need to know.) W and b are shared by all images, so what the images say about them is **added up**. In this
# copy somebody adds every image twice to db.


# %%
class Twice(mg.Linear):
    """A fully connected layer with a mistake."""

    def backward(self, dy):
        dx = super().backward(dy)
        self.db = 2 * self.db
        return dx


report = check_layer(lambda: Twice(6, 15), (3, 6), title="a Linear with a mistake")  # 3 images of 6 numbers
print(report)

# %% [markdown]
# Read it in this order:
#
# 1. **Which tensor?** (A *tensor* is an array with any number of axes.) x and W are right, b is wrong: so the mistake is in the line that computes db, and
#    nowhere else.
# 2. **How many?** All 15 of 15: not the first, not every second.
# 3. **What is it off by?** The sentence below the table: a factor, the same everywhere, and it is 2.
# 4. **One number.** Index, yours and expected: enough to work it out on paper.
# 5. The last line repeats it.

# %%
found = {entry.tensor: entry for entry in report.entries if entry.draw == 0}
names = list(found)
figure, axis = plt.subplots(figsize=(7, 2.4))
errors = [max(found[name].worst_error, 1e-12) for name in names]
axis.barh(names, errors, left=1e-13, color=["C1" if found[name].wrong else "C0" for name in names])
axis.axvline(1e-6, color="0.4", linestyle="--", linewidth=1)
axis.text(1.3e-6, 0, "allowed: 1e-6", fontsize=8, va="center")
for i, name in enumerate(names):
    entry = found[name]
    axis.text(errors[i] * 1.5, i, f"{entry.wrong} of {entry.checked} wrong" if entry.wrong else "ok", va="center", fontsize=9)
axis.set(xscale="log", xlim=(1e-13, 1e4), xlabel="worst error, as a fraction of the largest gradient", title="The same report as a picture")
axis.invert_yaxis()
plt.show()

# %% [markdown]
# The axis is logarithmic: between the right tensors and the wrong one lies a gap of many powers of ten, with the tolerance in its middle. That gap
# is what float64 and the right h buy: no tolerance has to be guessed.
#
# A report may also end with a line about the **contract**, the promises that a layer makes besides right numbers. Their names:
#
# | in the report | the promise that was broken |
# |---|---|
# | `writes-x`, `writes-dy` | what is handed over is not written to |
# | `not-repeatable` | backward twice gives the same twice: nothing is added to what was there |
# | `not-linear` | dy twice as large gives gradients twice as large, and −dy gives −dx: L is a sum with the factors dy |
# | `stale` | the images of an earlier call leave no trace |
# | `shape` | every gradient has the shape of what it is the gradient of |
#
# ## 5 · The hunt
#
# Five layers, five mistakes, all in layers that you have just met: `Linear`, y = x W + b, and `ReLU`, y = max(x, 0). ReLU's backward passes dy where x was positive
# and 0 elsewhere. You see the report and four candidates, not the code. Return the letter.
#
# ### Exercise: hunt 1

# %%
print("\n".join(hunt(1)))

# %% exercise="hunt.1"

# %% [markdown]
# ### Exercise: hunt 2

# %%
print("\n".join(hunt(2)))

# %% exercise="hunt.2"

# %% [markdown]
# ### Exercise: hunt 3

# %%
print("\n".join(hunt(3)))

# %% exercise="hunt.3"

# %% [markdown]
# ### Exercise: hunt 4

# %%
print("\n".join(hunt(4)))

# %% exercise="hunt.4"

# %% [markdown]
# ### Exercise: hunt 5

# %%
print("\n".join(hunt(5)))

# %% exercise="hunt.5"

# %% [markdown]
# ## 6 · What a gradient check cannot see
#
# The checker compares backward with *forward*. If both make the same mistake, they agree. A ReLU that doubles in forward what it
# passes, and doubles dy in backward, is found correct: it is a correct derivative of the wrong function. So every layer is also compared with a plain loop that says what
# forward should be. In this library each topic closes with four rituals:
#
# 1. forward against a loop,
# 2. the gradient check,
# 3. the fast version against the plain one,
# 4. a small network with it **overfits** a handful of images: it learns them by heart. (Later, overfitting is what we fight: a network that knows its
#    images by heart and fails on others. As a test it is welcome: what cannot even overfit is broken.)
#
# They are `assert`s, here for the layer that this notebook used all the time:

# %%
x = kink_free((3, 4), np.random.default_rng(SEED))
y = mg.ReLU().forward(x)
for i in np.ndindex(x.shape):  # 1: against a loop
    assert y[i] == (x[i] if x[i] > 0 else 0)
report = check_layer(mg.ReLU, x)  # 2: the gradient check, with its contract
assert report.ok and report.kinks == 0
print(report)

# %% [markdown]
# ## Recap
#
# | | |
# |---|---|
# | central difference | error h²/6 · f‴ from cutting, ε/h from rounding: h = ε^(1/3) ≈ 6e-6 |
# | dtype | float64; in float32 no h gives more than five digits |
# | dy | random, of both signs: never ones |
# | L | sum(dy · f(t)): one number, so one slope for each element of t |
# | kinks | any slope between the left and the right one is right |
# | a report | which tensor, how many, what factor, one number |
#
# **Explain** to somebody who has not read this: why can a gradient check pass although the layer is useless?
#
# *(your answer)*
#
# In the library: `minigrad/gradcheck/differences.py`. Numerical Recipes §5.7 on the best h.
