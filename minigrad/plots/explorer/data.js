// What the page shows: the description, and the numbers that it points to.

const page = JSON.parse(document.getElementById("description").textContent);
const nodes = page.nodes;

// ---- numbers

// A float32 lies in four characters of base64, 24 bits: sign, exponent, and the first 15 bits of the mantissa (packing.py).
const text = document.getElementById("numbers").textContent;
const CODES = new Uint8Array(128);
for (let i = 0; i < 64; i++)
  CODES["ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".charCodeAt(i)] = i;

function bitsAt(i) {
  return (
    (CODES[text.charCodeAt(i)] << 18) |
    (CODES[text.charCodeAt(i + 1)] << 12) |
    (CODES[text.charCodeAt(i + 2)] << 6) |
    CODES[text.charCodeAt(i + 3)]
  );
}

const read = new WeakMap();

// The array at a place, a Float32Array or Uint8Array; read when it is first asked for.
function arrayAt(place) {
  if (!read.has(place)) read.set(place, place.bytes ? bytesAt(place) : floatsAt(place));
  return read.get(place);
}

const product = (shape) => shape.reduce((a, b) => a * b, 1);

function floatsAt({ at, shape }) {
  const bits = new Uint32Array(product(shape));
  for (let i = 0; i < bits.length; i++) bits[i] = bitsAt(at + 4 * i) << 8;
  return new Float32Array(bits.buffer);
}

function bytesAt({ at, shape }) {
  const bytes = new Uint8Array(product(shape));
  for (let i = 0; i < bytes.length; i += 3) {
    const bits = bitsAt(at + (4 * i) / 3);
    bytes[i] = bits >> 16;
    if (i + 1 < bytes.length) bytes[i + 1] = bits >> 8;
    if (i + 2 < bytes.length) bytes[i + 2] = bits;
  }
  return bytes;
}

// Three digits, as a person writes them: 0.0123, -4.57, 1234, 5.60 · 10⁻⁵.
function shown(number) {
  if (number === 0) return "0";
  const size = Math.abs(number);
  const sign = number < 0 ? "\u2212" : "";
  if (size >= 99.95 && size < 1e6) return sign + Math.round(size).toString();
  if (size >= 0.0009995 && size < 1e6) return sign + size.toPrecision(3);
  const [digits, power] = size.toExponential(2).split("e");
  const raised = [...String(Number(power))].map((c) =>
    c === "-" ? "\u207b" : "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"[c],
  );
  return `${sign}${digits}\u00b710${raised.join("")}`;
}

// The same in the little room of a square: .0123, 5.60e-5.
function briefly(number) {
  const size = Math.abs(number);
  if (size > 0 && size < 0.0009995) return number.toExponential(2).replaceAll("-", "\u2212");
  return shown(number).replace(/^(\u2212?)0\./, "$1.");
}

const counted = (n) => n.toLocaleString("en-US");

// ---- maps

// Which photograph is shown, and the number that is looked at: pixel (r, q) of a channel of a node.
const state = { image: 0, node: null, channel: 0, r: 0, q: 0, input: null, ownScale: false };
const image = () => page.images[state.image];

// Arrays of units are maps of one pixel, so that everything has channels, rows and columns.
function sizes(shape) {
  return shape.length === 3 ? { H: shape[0], W: shape[1], C: shape[2] } : { H: 1, W: 1, C: shape[0] };
}

// The maps of a node, or of the image where node is null: H, W, C, values (C, H, W).
function mapsOf(node) {
  if (node === null) {
    const [C, H, W] = image().x.shape;
    return { H, W, C, values: arrayAt(image().x) };
  }
  return { ...sizes(node.shape), values: valuesOf(node) };
}

const maxima = new Map();

// The numbers of a node. Those of a ReLU and of a pooling are not in the file: each is the largest of some that are (maxima.py).
function valuesOf(node) {
  const place = image().values[node.id];
  if (place) return arrayAt(place);
  const key = `${state.image} ${node.id}`;
  if (!maxima.has(key)) maxima.set(key, largest(node));
  return maxima.get(key);
}

function largest(node) {
  const { kernel_size: K = 1, stride: S = 1 } = node.facts;
  const { H, W, C } = sizes(node.shape);
  const { at } = inputOf(node);
  const values = new Float32Array(C * H * W).fill(node.kind === "relu" ? 0 : -Infinity);
  for (let n = 0; n < values.length; n++) {
    const [c, r, q] = [Math.floor(n / (H * W)), Math.floor(n / W) % H, n % W];
    for (let i = 0; i < K; i++)
      for (let j = 0; j < K; j++) values[n] = Math.max(values[n], at(c, r * S + i, q * S + j));
  }
  return values;
}

// What a node is fed: the maps of its inputs side by side. at(c, r, q) is 0 beyond the edges, as in padding.
function inputOf(node) {
  const from = node.inputs.length ? node.inputs.map((i) => nodes[i]) : [null];
  const parts = from.map(mapsOf);
  const { H, W } = parts[0];
  const C = parts.reduce((sum, part) => sum + part.C, 0);
  function origin(c) {
    let p = 0;
    while (c >= parts[p].C) c -= parts[p++].C;
    return { node: from[p], maps: parts[p], channel: c };
  }
  function at(c, r, q) {
    if (r < 0 || q < 0 || r >= H || q >= W) return 0;
    const { maps, channel } = origin(c);
    return maps.values[(channel * H + r) * W + q];
  }
  return { H, W, C, at, origin };
}

function valueAt(node, channel, r, q) {
  const { H, W, values } = mapsOf(node);
  return values[(channel * H + r) * W + q];
}

// The largest number without its sign, and whether some are negative: of one map, or of a layer in all of its towers.
function range(values, from = 0, to = values.length) {
  let most = 0;
  let signed = false;
  for (let i = from; i < to; i++) {
    const value = values[i];
    if (value < 0) signed = true;
    if (Math.abs(value) > most) most = Math.abs(value);
  }
  return { most: most || 1, signed };
}

function scaleOf(node, channel) {
  const { H, W, values } = mapsOf(node);
  const whole = node === null ? { ...range(values), signed: true, grey: true } : layerRange(node);
  if (!state.ownScale || H * W === 1 || channel === undefined) return whole;
  return { most: range(values, channel * H * W, (channel + 1) * H * W).most, signed: whole.signed };
}

const ranges = new Map();

function layerRange(node) {
  const key = `${state.image} ${node.stage} ${node.name}`;
  if (!ranges.has(key)) {
    const all = twins(node).map((twin) => range(mapsOf(twin).values));
    ranges.set(key, { most: Math.max(...all.map((one) => one.most)), signed: all.some((one) => one.signed) });
  }
  return ranges.get(key);
}

// The same layer in all towers.
const twins = (node) => nodes.filter((other) => other.stage === node.stage && other.name === node.name);

// The layers that a node feeds.
const fedBy = (node) => nodes.filter((other) => other.inputs.includes(node.id));

const towers = () => Math.max(...nodes.map((node) => node.tower)) + 1;

function nodeName(node) {
  if (node === null) return "the photograph";
  return towers() > 1 ? `${node.name}, tower ${node.tower}` : node.name;
}

function channelName(node, channel) {
  if (node === null) return ["red", "green", "blue"][channel] ?? `channel ${channel}`;
  return node.shape.length === 3 ? `channel ${channel}` : `unit ${channel}`;
}

// ---- where a pixel looks

// The window on the input of a convolution or of a pooling for its output (r, q): first row and column, which may lie outside, and its size.
function windowOf(node, r, q) {
  const { kernel_size: K, stride: S, padding = [0, 0, 0, 0] } = node.facts;
  return { top: r * S - padding[0], left: q * S - padding[2], height: K, width: K };
}

// The part of the photograph that pixel (r, q) of a node can see through all the layers before it; everything for a unit.
function seen(node, r, q) {
  let field = { top: r, left: q, bottom: r, right: q };
  const [, H, W] = image().x.shape;
  while (node !== null) {
    if (node.kind === "conv" || node.kind === "pool") {
      const first = windowOf(node, field.top, field.left);
      const last = windowOf(node, field.bottom, field.right);
      field = {
        top: first.top,
        left: first.left,
        bottom: last.top + last.height - 1,
        right: last.left + last.width - 1,
      };
    } else if (!["relu", "tanh", "lrn", "dropout"].includes(node.kind)) {
      return { top: 0, left: 0, height: H, width: W };
    }
    node = node.inputs.length ? nodes[node.inputs[0]] : null;
  }
  return {
    top: field.top,
    left: field.left,
    height: field.bottom - field.top + 1,
    width: field.right - field.left + 1,
  };
}
