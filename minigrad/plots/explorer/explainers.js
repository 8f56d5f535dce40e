// How a number was computed, for each kind of layer: the sentence, the numbers, and what they come to.

const EXPLAINERS = {
  conv: explainConv,
  linear: explainLinear,
  relu: explainRelu,
  tanh: explainTanh,
  lrn: explainNorm,
  pool: explainPool,
  dropout: explainDropout,
  flatten: explainFlatten,
};

function explain(node) {
  return (EXPLAINERS[node.kind] ?? explainOther)(node);
}

const words = (...parts) => element("p", {}, ...parts);

// The row of a node's W that belongs to a channel: an array, or null if the file does not hold it.
function weightsOf(node, channel) {
  const row = node.chosen.indexOf(channel);
  if (row < 0) return null;
  const all = arrayAt(node.W);
  const size = all.length / node.chosen.length;
  return all.subarray(row * size, (row + 1) * size);
}

function withoutWeights(node) {
  return [
    words(
      `The weights of this channel are not in this file: of ${node.name} it holds those of the ${node.chosen.length} ` +
        `channels of each tower that respond most strongly.`,
    ),
    words(
      element("code", {}, `${page.program} explore --channels ${node.shape.at(-1)} \u2026`),
      " makes one with all of them.",
    ),
    ledger([
      [`bias of ${node.name}`, arrayAt(node.b)[state.channel], "bias"],
      ["the network\u2019s number", valueAt(node, state.channel, state.r, state.q), "own", true],
    ]),
  ];
}

const inWords = ({ node, channel }) =>
  node === null
    ? `the photograph\u2019s ${channelName(null, channel)} (minus the mean)`
    : `${channelName(node, channel)} of ${nodeName(node)}`;

// What the window of a convolution sees of channel c, row after row.
function patchOf(node, input, c) {
  const { top, left, height: K } = windowOf(node, state.r, state.q);
  return Array.from({ length: K * K }, (_, i) => input.at(c, top + Math.floor(i / K), left + (i % K)));
}

// The products' sum for every input channel.
function sumsByChannel(node, input, weights) {
  const K = node.facts.kernel_size;
  return Array.from({ length: input.C }, (_, c) =>
    patchOf(node, input, c).reduce((sum, x, i) => sum + x * weights[c * K * K + i], 0),
  );
}

// The input channel that is shown: the one that was chosen, else the one that counts most.
function chosenInput(node, input) {
  if (state.input !== null) return state.input;
  const weights = weightsOf(node, state.channel);
  if (!weights) return 0;
  const sums = sumsByChannel(node, input, weights);
  return sums.reduce((best, sum, c) => (Math.abs(sum) > Math.abs(sums[best]) ? c : best), 0);
}

function explainConv(node) {
  const { channel, r, q } = state;
  const weights = weightsOf(node, channel);
  if (!weights) return withoutWeights(node);
  const input = inputOf(node);
  const K = node.facts.kernel_size;
  const c = chosenInput(node, input);
  const sums = sumsByChannel(node, input, weights);
  const from = input.origin(c);
  const kernel = Array.from(weights.subarray(c * K * K, (c + 1) * K * K));
  const parts = sums.map((value, i) => {
    const { node: there, channel: k } = input.origin(i);
    return {
      name:
        there === null
          ? channelName(null, k)
          : input.C > there.shape[2]
            ? `tower ${there.tower}, channel ${k}`
            : `channel ${k}`,
      value,
      chosen: i === c,
      pick: () => select(node, channel, r, q, i),
    };
  });
  return [
    words(
      `The kernel is laid on ${times(K, K)} pixels of each of the ${input.C} input channels, and number is multiplied by ` +
        `number. For ${inWords(from)}:`,
    ),
    ...patchTimesKernel(["patch", "kernel", "products"], patchOf(node, input, c), kernel, K),
    element("h3", {}, `The sum of these ${K * K} products, and of those of every other channel`),
    contributions(parts, 8, (n) => `the other ${n} channels`),
    ...total(
      node,
      sums.reduce((a, b) => a + b, 0),
      `all ${counted(K * K * input.C)} products together`,
    ),
  ];
}

// Sum, bias, the network's own number, and what the activation behind it makes of it.
function total(node, sum, what) {
  const { channel, r, q } = state;
  const bias = arrayAt(node.b)[channel];
  const lines = [
    [what, sum, "products"],
    ["bias", bias, "bias"],
    [`${node.name}: their sum`, sum + bias, "sum", true],
    ["the network\u2019s own number", valueAt(node, channel, r, q), "own"],
  ];
  const next = fedBy(node).find((other) => other.kind === "relu" || other.kind === "tanh");
  if (next) lines.push([`after ${next.name}`, valueAt(next, channel, r, q), "after", true]);
  return [ledger(lines)];
}

function explainLinear(node) {
  const { channel } = state;
  const weights = weightsOf(node, channel);
  if (!weights) return withoutWeights(node);
  const input = inputOf(node);
  let sum = 0;
  const parts = Array.from(weights, (w, i) => {
    const x = input.at(i, 0, 0);
    sum += x * w;
    return { i, value: x * w, more: `${shown(x)} \u00d7 ${shown(w)}` };
  });
  const most = 12;
  for (const part of [...parts].sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, most)) {
    const from = input.origin(part.i);
    part.name = unitName(from.node, from.channel);
    part.pick = from.node && (() => select(from.node, from.channel, 0, 0));
  }
  return [
    words(`Every one of the ${counted(input.C)} inputs is multiplied by a weight of its own. Those that count most:`),
    contributions(parts, most, (n) => `the other ${counted(n)} inputs`),
    ...total(node, sum, `all ${counted(input.C)} products together`),
  ];
}

// A unit by the place that it comes from, if its layer is a flattened one.
function unitName(node, unit) {
  if (node === null) return `number ${unit}`;
  const tower = towers() > 1 ? `tower ${node.tower}, ` : "";
  if (node.kind !== "flatten") return `${tower}unit ${unit}`;
  const place = flattened(node, unit);
  const whose = place.node === null ? "" : towers() > 1 ? `tower ${place.node.tower}, ` : "";
  return `${whose}map ${place.channel} (${place.r}, ${place.q})`;
}

// Where a flattened unit was before: row by row, in each the columns, in each the channels.
function flattened(node, unit) {
  const input = inputOf(node);
  const { node: from, channel } = input.origin(unit % input.C);
  return { node: from, channel, r: Math.floor(unit / input.C / input.W), q: Math.floor(unit / input.C) % input.W };
}

function before(node) {
  return inputOf(node).at(state.channel, state.r, state.q);
}

function explainRelu(node) {
  const x = before(node);
  const y = valueAt(node, state.channel, state.r, state.q);
  return [
    formula("y = max(0, x)"),
    curve((v) => Math.max(0, v), x, Math.max(1e-6, layerRange(nodes[node.inputs[0]] ?? node).most)),
    ledger([
      ["before", x, "before"],
      ["after", y, "after", true],
    ]),
    words(
      x > 0
        ? "Above 0 nothing changes, and going back the gradient passes as it is."
        : "Below 0 nothing is left, and going back no gradient passes.",
    ),
  ];
}

function explainTanh(node) {
  const x = before(node);
  return [
    formula("y = tanh(x)"),
    curve(Math.tanh, x, 3),
    ledger([
      ["before", x, "before"],
      ["after", valueAt(node, state.channel, state.r, state.q), "after", true],
    ]),
    words("Far from 0 the curve is flat, so that going back little of the gradient passes."),
  ];
}

// The curve of a function from -most to most, with a dot at x.
function curve(f, x, most) {
  const [width, height] = [220, 110];
  const across = (v) => width / 2 + (clamp(v, -most, most) / most) * (width / 2 - 8);
  const top = Math.max(Math.abs(f(most)), 1e-9);
  const up = (v) => height / 2 - (clamp(v, -top, top) / top) * (height / 2 - 8);
  const points = Array.from({ length: 81 }, (_, i) => -most + (i / 40) * most);
  return element(
    "svg",
    { class: "curve", viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" },
    element("line", { x1: 0, x2: width, y1: height / 2, y2: height / 2 }),
    element("line", { x1: width / 2, x2: width / 2, y1: 0, y2: height }),
    element("path", { d: points.map((v, i) => `${i ? "L" : "M"} ${across(v)} ${up(f(v))}`).join(" ") }),
    element("circle", { cx: across(x), cy: up(f(x)), r: 5 }),
  );
}

function explainNorm(node) {
  const { size, alpha, beta, k } = node.facts;
  const { channel, r, q } = state;
  const input = inputOf(node);
  const half = Math.floor(size / 2);
  const there = [];
  for (let c = Math.max(0, channel - half); c <= Math.min(input.C - 1, channel + half); c++)
    there.push({ c, x: input.at(c, r, q) });
  const squares = there.reduce((sum, { x }) => sum + x * x, 0);
  const s = k + alpha * squares;
  const scale = range(there.map(({ x }) => x));
  const rows = there.map(({ c, x }) => {
    const { colour, ink } = fieldColours(x, { ...layerRange(nodes[node.inputs[0]] ?? node), most: scale.most });
    return element(
      "tr",
      { class: c === channel ? "own" : null },
      element("th", { scope: "row" }, channelName(node, c)),
      element("td", { style: `background: ${colour}; color: ${ink}` }, number(x, `x${c - channel}`)),
      element("td", {}, shown(x * x)),
    );
  });
  return [
    words(
      `The same place in the ${there.length} channels around: the stronger they respond together, the more is taken from each.`,
    ),
    element(
      "table",
      { class: "neighbours" },
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          element("th", {}, ""),
          element("th", { scope: "col" }, "x"),
          element("th", { scope: "col" }, "x\u00b2"),
        ),
      ),
      element("tbody", {}, rows),
    ),
    ledger([
      ["sum of the squares", squares, "squares"],
      [`s = ${k} + ${shown(alpha)} \u00d7 that sum`, s, "s"],
      [`s to the power of ${beta}`, s ** beta, "power"],
      [`x divided by it`, input.at(channel, r, q) / s ** beta, "sum", true],
      ["the network\u2019s own number", valueAt(node, channel, r, q), "own"],
    ]),
  ];
}

function explainPool(node) {
  const { channel, r, q } = state;
  const input = inputOf(node);
  const { top, left, height: K } = windowOf(node, r, q);
  const numbers = patchOf(node, input, channel);
  const winner = numbers.reduce((best, value, i) => (value > numbers[best] ? i : best), 0); // a tie goes to the first
  const from = input.origin(channel);
  const grid = square(
    `${times(K, K)} pixels of ${nodeName(from.node)}`,
    numbers,
    K,
    scaleOf(from.node, from.channel),
    "window",
  );
  grid.querySelector(`[data-i="${winner}"]`).classList.add("winner");
  return [
    element("div", { class: "triple" }, grid),
    ledger([
      [`the largest: row ${top + Math.floor(winner / K)}, column ${left + (winner % K)}`, numbers[winner], "winner"],
      ["the network\u2019s own number", valueAt(node, channel, r, q), "own", true],
    ]),
    words("Going back, the whole gradient goes to this winner; the others get nothing from here."),
    from.node &&
      element(
        "button",
        {
          type: "button",
          onclick: () => select(from.node, from.channel, top + Math.floor(winner / K), left + (winner % K)),
        },
        "go to the winner",
      ),
  ];
}

function explainDropout(node) {
  const { p, scale_at } = node.facts;
  const { channel, r, q } = state;
  const { H, W } = sizes(node.shape);
  const x = before(node);
  const factor = arrayAt(image().masks[node.id])[(channel * H + r) * W + q];
  const test =
    scale_at === "test"
      ? `times ${1 - p}, since all units speak and not only ${shown(100 * (1 - p))} % of them`
      : "as it is";
  return [
    words(
      `In training every unit is silent with probability ${p}, drawn anew for each image and step, so that none can rely on another.`,
    ),
    ledger([
      ["what comes in", x, "before"],
      [`now, ${test}`, valueAt(node, channel, r, q), "own", true],
      [
        `in the next step of training it would be ${factor === 0 ? "silent" : factor === 1 ? "kept" : `kept, times ${shown(factor)}`}`,
        x * factor,
        "training",
      ],
    ]),
  ];
}

function explainFlatten(node) {
  const place = flattened(node, state.channel);
  return [
    words(
      `The maps are laid out in one row: row by row, in each the columns, in each the channels. Unit ${state.channel} was`,
    ),
    ledger([
      [
        `${nodeName(place.node)}, ${channelName(place.node, place.channel)}, row ${place.r}, column ${place.q}`,
        inputOf(node).at(state.channel % inputOf(node).C, place.r, place.q),
        "before",
      ],
      ["the network\u2019s own number", valueAt(node, state.channel, 0, 0), "own", true],
    ]),
    place.node &&
      element(
        "button",
        { type: "button", onclick: () => select(place.node, place.channel, place.r, place.q) },
        "go there",
      ),
  ];
}

function explainOther(node) {
  return [
    words(element("code", {}, node.text)),
    ledger([["the network\u2019s own number", valueAt(node, state.channel, state.r, state.q), "own", true]]),
  ];
}
