// The whole network from the photograph to the classes: a card for each stage, its towers side by side, arrows for what they exchange.

const atlases = [];
const sight = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) if (entry.isIntersecting) atlases.find((atlas) => atlas.place === entry.target).draw();
  },
  { rootMargin: "300px" },
);

const times = (...numbers) => numbers.join("\u2009\u00d7\u2009");

// What a layer does, in a few words.
function about(node) {
  const { kernel_size: K, stride: S, size, p } = node.facts;
  const input = node.inputs.length ? node.inputs.reduce((sum, i) => sum + nodes[i].shape.at(-1), 0) : 3;
  switch (node.kind) {
    case "conv":
      return `${node.shape[2]} kernels of ${times(K, K, input)}${S > 1 ? `, ${S} pixels apart` : ""}`;
    case "pool":
      return `the largest of ${times(K, K)}, ${S} apart${S < K ? ": they overlap" : ""}`;
    case "lrn":
      return `${size} neighbouring channels quieten one another`;
    case "relu":
      return "what is below 0 becomes 0";
    case "tanh":
      return "everything between \u22121 and 1";
    case "dropout":
      return `in training each unit is silent with probability ${p}`;
    case "flatten":
      return "maps as one row of numbers";
    case "linear":
      return `${counted(node.shape[0])} sums of ${counted(node.inputs.reduce((sum, i) => sum + product(nodes[i].shape), 0))} products`;
    default:
      return node.text;
  }
}

function drawOverview() {
  sight.disconnect();
  atlases.length = 0;
  const stages = Math.max(...nodes.map((node) => node.stage)) + 1;
  const place = document.getElementById("network");
  place.replaceChildren(photoCard());
  place.append(
    arrows({ receivers: towersIn(0), bytes: [0] }, towersIn(0) > 1 ? "the whole image for every tower" : ""),
  );
  for (let s = 0; s < stages; s++) place.append(stageCard(s), arrows(page.exchanges[s]));
  place.append(classesCard(), backwardsCard());
  layoutAll();
  atlases.forEach((atlas) => sight.observe(atlas.place));
}

function layoutAll() {
  atlases.forEach((atlas) => atlas.layout());
  drawArrows();
}

function redrawAtlases() {
  // Observed anew, so that those in sight are drawn now and the others when they are reached.
  sight.disconnect();
  atlases.forEach((atlas) => sight.observe(atlas.place));
}

const towersIn = (stage) => new Set(nodes.filter((node) => node.stage === stage).map((node) => node.tower)).size;

function photoCard() {
  const [, H, W] = image().x.shape;
  return element(
    "section",
    { class: "card photo", id: "photograph" },
    element("div", { id: "seen" }),
    element(
      "div",
      {},
      element("h2", {}, image().name),
      element(
        "p",
        {},
        `${times(H, W, 3)} numbers from 0 to 255. The network is fed them minus the mean image of its training set` +
          `${page.scale === 1 ? "" : `, times ${shown(page.scale)}`}.`,
      ),
      element(
        "p",
        { class: "hint" },
        "Choose a map, and a pixel of it, to see how its number came about. The white frame is the part of the photograph that it can see.",
      ),
    ),
  );
}

function stageCard(s) {
  const here = nodes.filter((node) => node.stage === s);
  const names = [...new Set(here.map((node) => node.name))];
  const count = towersIn(s);
  const card = element("section", { class: "card stage", style: `--towers: ${count}` });
  if (count > 1) {
    card.append(
      element(
        "div",
        { class: "columns heads" },
        Array.from({ length: count }, (_, t) => element("h2", { class: `tower tower${t % 2}` }, `tower ${t}`)),
      ),
    );
  }
  for (const name of names) card.append(layerRow(here.filter((node) => node.name === name)));
  return card;
}

function layerRow(row) {
  const node = row[0];
  const shape = times(...node.shape.map(counted)) + (row.length > 1 ? " each" : "");
  const made = row.map((one) => new Atlas(one));
  atlases.push(...made);
  const heading = element(
    "div",
    { class: "layer-head" },
    element("h3", {}, node.name),
    element("span", { class: "about" }, about(node)),
    element("span", { class: "shape" }, shape),
    legend(node),
  );
  if (node.kind === "dropout") heading.append(dropoutSwitch(made));
  return element(
    "div",
    { class: "layer", id: `layer-${node.stage}-${node.name}` },
    heading,
    element(
      "div",
      { class: "columns" },
      made.map((atlas) => atlas.place),
    ),
  );
}

function dropoutSwitch(made) {
  const button = element("button", { type: "button", class: "small", "aria-pressed": "false" }, "as in training");
  button.addEventListener("click", () => {
    const training = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(training));
    for (const atlas of made) {
      atlas.training = training;
      atlas.draw();
    }
  });
  return button;
}

// The colours of a layer and what they stand for.
function legend(node) {
  const place = element("span", { class: "legend" });
  place.draw = () => {
    const scale = layerRange(node);
    const { colours } = palette(scale);
    const stops = Array.from(
      { length: 9 },
      (_, i) => `rgb(${colours.slice(4 * Math.round((i / 8) * 255), 4 * Math.round((i / 8) * 255) + 3).join(",")})`,
    );
    place.replaceChildren(
      scale.signed ? shown(-scale.most) : "0",
      element("i", { style: `background: linear-gradient(to right, ${stops.join(",")})` }),
      shown(scale.most),
    );
  };
  place.draw();
  return place;
}

// ---- arrows

function arrows(exchange, text) {
  const place = element("div", { class: "exchange" });
  place.exchange = exchange;
  place.words = text ?? exchangeInWords(exchange);
  return place;
}

function exchangeInWords({ receivers, bytes }) {
  if (bytes.length === 1) return "";
  const equal = bytes.every((size) => size === bytes[0]);
  const each = equal
    ? `${counted(bytes[0])} bytes from each tower`
    : bytes.map((size) => `${counted(size)} bytes`).join(", ");
  return receivers > 1 ? `${each}: afterwards every tower knows all channels` : `${each}, joined`;
}

function drawArrows() {
  for (const place of document.querySelectorAll(".exchange")) {
    const { receivers, bytes } = place.exchange;
    const width = place.clientWidth;
    const height = 54;
    const at = (i, count) => ((i + 0.5) / count) * width;
    const svg = element("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    for (let from = 0; from < bytes.length; from++) {
      for (let to = 0; to < receivers; to++) {
        const crossing = bytes.length > 1 && receivers > 1 && from !== to;
        const [x0, x1] = [at(from, bytes.length), at(to, receivers) + (crossing ? 14 * Math.sign(from - to) : 0)];
        const start = x0 + (crossing ? 14 * Math.sign(to - from) : 0);
        const kind = bytes.length > 1 ? `tower${from % 2}` : "whole";
        svg.append(
          element("path", {
            class: `arrow ${kind}`,
            d: `M ${start} 2 C ${start} ${height * 0.62}, ${x1} ${height * 0.38}, ${x1} ${height - 9}`,
          }),
          element("path", {
            class: `head ${kind}`,
            d: `M ${x1 - 5} ${height - 10} L ${x1 + 5} ${height - 10} L ${x1} ${height - 1} Z`,
          }),
        );
      }
    }
    place.replaceChildren(svg, element("p", {}, place.words));
  }
}

// ---- the end

function classesCard() {
  const { logits, probabilities, classes } = image();
  const scores = arrayAt(logits);
  const p = arrayAt(probabilities);
  return element(
    "section",
    { class: "card", id: "classes" },
    element("h2", {}, "What it says"),
    element("p", {}, "Softmax makes probabilities of the scores: e to the power of each, divided by the sum of all."),
    element(
      "div",
      { class: "bars" },
      classes.map((k) =>
        element(
          "button",
          {
            type: "button",
            class: "bar",
            "data-class": k,
            title: "How this score came about",
            onclick: () => selectClass(k),
          },
          element("span", { class: "fill", style: `width: ${Math.max(0.3, 100 * p[k])}%` }),
          element("span", { class: "name" }, page.classes[k]),
          element(
            "span",
            { class: "value" },
            element("b", { "data-number": "probability" }, percent(p[k])),
            ` score ${shown(scores[k])}`,
          ),
        ),
      ),
    ),
  );
}

const percent = (p) => (p >= 0.0995 ? `${(100 * p).toFixed(1)} %` : `${shown(100 * p)} %`);

// The unit of the last layer that is the score of class k.
function selectClass(k) {
  const last = nodes.filter((node) => fedBy(node).length === 0);
  let unit = k;
  for (const node of last) {
    if (unit < node.shape.at(-1)) return select(node, unit, 0, 0);
    unit -= node.shape.at(-1);
  }
}
