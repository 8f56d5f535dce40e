// One number of the network: the map it stands in, the part of the image it can see, and how it was computed.

const inspector = document.getElementById("inspector");

// ---- choosing

function select(node, channel, r, q, input = null) {
  Object.assign(state, { node, channel, r, q, input });
  const { H, W } = sizes(node.shape);
  state.r = clamp(r, 0, H - 1);
  state.q = clamp(q, 0, W - 1);
  atlases.forEach((atlas) => atlas.mark());
  drawInspector();
  drawSeen();
}

function enlarged() {
  inspector.querySelector("[data-keep=map]")?.focus();
}

function closeInspector() {
  const atlas = atlases.find((one) => one.node === state.node);
  inspector.hidden = true;
  atlas?.place.focus({ preventScroll: true });
}

// The photograph with the part of it that the number can see.
function drawSeen() {
  const place = document.getElementById("seen");
  const side = Math.min(224, place.parentElement.clientWidth * 0.45);
  place.replaceChildren(photograph(side, { outlined: state.node && seen(state.node, state.r, state.q) }));
}

// ---- drawing

function drawInspector() {
  const { node } = state;
  const focused = inspector.contains(document.activeElement) ? document.activeElement.dataset.keep : null;
  const scroll = inspector.hidden || inspector.dataset.of !== `${node.id}` ? 0 : inspector.scrollTop;
  inspector.hidden = false;
  inspector.dataset.of = node.id;
  const parts = [head(node), ...pictures(node), ...explain(node), whatFollows(node)];
  inspector.replaceChildren(...parts.filter((part) => part));
  inspector.scrollTop = scroll;
  if (focused) inspector.querySelector(`[data-keep="${focused}"]`)?.focus({ preventScroll: true });
}

function head(node) {
  const { C } = sizes(node.shape);
  const step = (by) => select(node, (state.channel + by + C) % C, state.r, state.q);
  const twin = twins(node);
  return element(
    "div",
    { class: "head" },
    element(
      "div",
      { class: "row" },
      element("h2", {}, node.name),
      twin.length > 1
        ? element(
            "div",
            { class: "choice" },
            twin.map((other) =>
              element(
                "button",
                {
                  type: "button",
                  "aria-pressed": String(other === node),
                  onclick: () => select(other, Math.min(state.channel, other.shape.at(-1) - 1), state.r, state.q),
                },
                `tower ${other.tower}`,
              ),
            ),
          )
        : null,
      element("button", { type: "button", class: "close", "aria-label": "Close", onclick: closeInspector }, "\u00d7"),
    ),
    element(
      "div",
      { class: "row" },
      element(
        "button",
        { type: "button", "data-keep": "before", "aria-label": "The channel before", onclick: () => step(-1) },
        "\u2039",
      ),
      element("span", { class: "channel" }, classOf(node) ?? `${channelName(node, state.channel)} of ${counted(C)}`),
      element(
        "button",
        { type: "button", "data-keep": "after", "aria-label": "The next channel", onclick: () => step(1) },
        "\u203a",
      ),
      element("span", { class: "value" }, number(valueAt(node, state.channel, state.r, state.q), "value")),
    ),
  );
}

// The class that a unit of the last layer is the score of.
function classOf(node) {
  if (fedBy(node).length) return null;
  const before = nodes.filter((other) => !fedBy(other).length && other.id < node.id);
  return `score of ${page.classes[before.reduce((sum, other) => sum + other.shape.at(-1), state.channel)]}`;
}

// The map, enlarged; beside it the map before, with the place that the number comes from, and the part of the photograph that it can see.
function pictures(node) {
  const { W } = sizes(node.shape);
  if (W === 1) return [];
  const room = Math.min(inspector.clientWidth - 2 * 18, 480) - 16;
  const side = Math.floor(room * 0.34);
  const beside = node.kind === "other" ? [] : [pictureBefore(node, side)];
  if (node.inputs.length)
    beside.push(captioned(photograph(side, { outlined: seen(node, state.r, state.q) }), "what it can see"));
  return [
    element(
      "div",
      { class: "pictures" },
      enlargedMap(node, Math.floor(room * 0.66)),
      element("div", { class: "beside" }, beside),
    ),
  ];
}

function enlargedMap(node, side) {
  const { H, W } = sizes(node.shape);
  const map = mapView({
    node,
    channel: state.channel,
    side,
    window: { top: state.r, left: state.q, height: 1, width: 1 },
    pick: (r, q) => select(node, state.channel, r, q, state.input),
    label: `Channel ${state.channel} of ${nodeName(node)}, enlarged. Arrow keys move the pixel, Escape goes back.`,
    keep: "map",
  });
  map.tabIndex = 0;
  map.addEventListener("keydown", (event) => {
    if (!(event.key in ARROWS)) return;
    const [down, right] = ARROWS[event.key];
    select(node, state.channel, clamp(state.r + down, 0, H - 1), clamp(state.q + right, 0, W - 1), state.input);
    event.preventDefault();
  });
  return captioned(map, `row ${state.r}, column ${state.q} of ${times(H, W)}`);
}

const captioned = (picture, ...words) => element("figure", {}, picture, element("figcaption", {}, ...words));

function pictureBefore(node, side) {
  const { r, q } = state;
  const windowed = node.kind === "conv" || node.kind === "pool";
  const input = inputOf(node);
  const from = input.origin(node.kind === "conv" ? chosenInput(node, input) : state.channel);
  const picture = mapView({
    node: from.node,
    channel: from.channel,
    side,
    window: windowed ? windowOf(node, r, q) : { top: r, left: q, height: 1, width: 1 },
    around: node.facts.padding,
    pick: from.node && ((row, column) => select(from.node, from.channel, row, column)),
    label: "Where the number comes from",
  });
  return captioned(picture, `from ${nodeName(from.node)}, ${channelName(from.node, from.channel)}`);
}

// ---- going on

// Buttons to the same place in the layers behind.
function whatFollows(node) {
  const buttons = fedBy(node)
    .map((next) => ({ next, place: placeIn(node, next) }))
    .filter(({ place }) => place)
    .map(({ next, place }) =>
      element("button", { type: "button", onclick: () => select(next, ...place) }, `${nodeName(next)} \u2192`),
    );
  if (!buttons.length)
    return fedBy(node).length
      ? ""
      : element("p", { class: "follows" }, element("a", { href: "#classes" }, "the probabilities \u2193"));
  return element("div", { class: "follows" }, element("span", {}, "where it goes on: "), buttons);
}

// A number behind, [channel, r, q] and perhaps the input channel, that this one goes into; null if that is every one.
function placeIn(node, next) {
  const { channel, r, q } = state;
  const ahead = next.inputs.slice(0, next.inputs.indexOf(node.id)).reduce((sum, i) => sum + nodes[i].shape.at(-1), 0);
  if (["relu", "tanh", "lrn", "dropout"].includes(next.kind)) return [channel + ahead, r, q];
  const { kernel_size: K, stride: S, padding = [0, 0, 0, 0] } = next.facts;
  const { H, W } = sizes(next.shape);
  const middle = (place, around, count) => clamp(Math.round((place + around - (K - 1) / 2) / S), 0, count - 1);
  if (next.kind === "pool") return [channel + ahead, middle(r, 0, H), middle(q, 0, W)];
  if (next.kind === "conv")
    return [strongest(next)[0], middle(r, padding[0], H), middle(q, padding[2], W), channel + ahead];
  if (next.kind === "flatten") {
    const input = inputOf(next);
    return [(r * input.W + q) * input.C + channel + ahead, 0, 0];
  }
  return [strongest(next)[0], 0, 0];
}
