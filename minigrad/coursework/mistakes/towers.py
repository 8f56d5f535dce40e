"""Mistakes in what towers exchange, and in the rule of learning."""

from minigrad.coursework.source import Mistake

# ---- towers

EXCHANGE_FORWARD = (
    Mistake("own half first", "np.stack([whole] * len(x))", "np.stack([np.roll(whole, -t * x.shape[-1], axis=-1) for t in range(len(x))])",
            "The order of channels is the same in every tower."),
    Mistake("added, not joined", "np.concatenate(list(x), axis=-1)", "np.concatenate([x.sum(axis=0)] * len(x), axis=-1)",
            "Channels are joined, not added."),
    Mistake("towers in reverse", "list(x)", "list(x[::-1])", "The channels of tower 0 come first."),
    Mistake("channels interleaved", "np.concatenate(list(x), axis=-1)", "np.stack(list(x), axis=-1).reshape(*x.shape[1:-1], -1)",
            "Tower t owns channels t·C … (t+1)·C: all of one tower's, then all of the next one's."),
)  # fmt: skip

_SUM = "about.sum(axis=0) for about in said"

EXCHANGE_BACKWARD = (
    Mistake("own half only", _SUM, "about[t] for t, about in enumerate(said)",
            "Each tower's channels are used by all towers: add what all of them say."),
    Mistake("halves swapped", _SUM, "about.sum(axis=0) for about in said[::-1]", "Tower t owns channels t·C … (t+1)·C."),
    Mistake("averaged", _SUM, "about.mean(axis=0) for about in said", "The parts are added: there is one loss, not one per tower."),
    Mistake("loss divided by N in each tower", _SUM, "about.sum(axis=0) / dy.shape[1] for about in said",
            "One loss: its gradient is cut into towers, not divided by them."),
    Mistake("others only", _SUM, "about.sum(axis=0) - about[t] for t, about in enumerate(said)",
            "A tower uses its own channels, too: add what it says itself."),
)  # fmt: skip

_BLOCK = "W[:, :, t * C : (t + 1) * C, t * CO : (t + 1) * CO]"

BLOCK_WEIGHTS = (
    Mistake("every tower sees all", _BLOCK, "W[:, :, :, t * CO : (t + 1) * CO]",
            "Outputs of tower t see its own inputs alone: the other blocks are 0."),
    Mistake("inputs and outputs crossed", _BLOCK, "W[:, :, (T - 1 - t) * C : (T - t) * C, t * CO : (t + 1) * CO]",
            "The inputs of tower t lead to the outputs of tower t: blocks on the diagonal."),
    Mistake("the same part in every block", "] = part", "] = parts[0]", "Each block holds its own tower's kernel."),
)  # fmt: skip

# ---- SGD

_RULE = "v[...] = self.momentum * v - lr * (p.grad + decay * p.value)\n            p.value[...] += v"

SGD_STEP = (
    Mistake("decay on the biases", "self.bias_decay if bias else self.weight_decay", "self.weight_decay", "Only weights decay."),
    Mistake("lr outside the velocity", _RULE, "v[...] = self.momentum * v - (p.grad + decay * p.value)\n            p.value[...] += lr * v",
            "The 2012 velocity holds lr: v ← 0.9·v − lr·(g + decay·w). Seen when lr changes."),
    Mistake("torch's rule", _RULE, "v[...] = self.momentum * v + p.grad + decay * p.value\n            p.value[...] -= lr * v",
            "That is torch's rule, v ← 0.9·v + g + decay·w, w ← w − lr·v; in 2012 lr is inside v, and v is added."),
    Mistake("velocity of the other sign", _RULE,
            "v[...] = self.momentum * v + lr * (p.grad + decay * p.value)\n            p.value[...] -= v",
            "w is right, v has the other sign: lr·(g + decay·w) is subtracted from v, and v is added to w."),
    Mistake("sign", "p.value[...] += v", "p.value[...] -= v", "w ← w + v: v points downhill already."),
    Mistake("momentum forgotten", "self.momentum * v - lr", "-lr", "v keeps 0.9 of itself."),
    Mistake("biases as slow as weights", "self.lr * self.bias_lr if bias else self.lr", "self.lr", "Biases learn at lr · bias_lr."),
    Mistake("decay forgotten", "p.grad + decay * p.value", "p.grad", "Weights decay: add decay · w to the gradient."),
    Mistake("decay without lr", "lr * (p.grad + decay * p.value)", "lr * p.grad - decay * p.value", "lr multiplies the decay, too."),
    Mistake("velocity not kept", "v[...] = self.momentum", "v = self.momentum",
            "No velocity is kept from step to step: `v[...] = …` changes the array in self.velocities, `v = …` does not."),
    Mistake("a new array for the weights", "p.value[...] += v", "p.value = p.value + v",
            "p.value changes in place: the layer and others hold that array."),
    Mistake("moves with lr = 0", "if lr == 0:\n                continue", "pass", "With lr = 0 nothing moves, not even v."),
    Mistake("averaged velocity", "self.momentum * v - lr *", "self.momentum * v - (1 - self.momentum) * lr *",
            "The gradient enters v whole, not times 1 − momentum."),
    Mistake("looks ahead", "p.value[...] += v", "p.value[...] += self.momentum * v - lr * (p.grad + decay * p.value)",
            "That is Nesterov's rule; here w ← w + v."),
)  # fmt: skip
