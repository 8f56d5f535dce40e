// From a class back to the pixels: saliency, deconvnet, guided backpropagation and Grad-CAM, as pictures that were computed with the page.

let explained = 0; // which of the most probable classes

function backwardsCard() {
  const card = element("section", { class: "card", id: "backwards" });
  fillBackwards(card);
  return card;
}

function fillBackwards(card) {
  const found = image().backwards;
  const relus = nodes.some((node) => node.kind === "relu");
  const choice = element("div", { class: "choice wrap", role: "group", "aria-label": "Class" });
  choose(
    choice,
    image().classes.map((k, i) => [page.classes[k].split(",")[0], i]),
    explained,
    (i) => {
      explained = i;
      fillBackwards(card);
    },
  );
  card.replaceChildren(
    element("h2", {}, "Backwards: which pixels speak for"),
    choice,
    element("div", { class: "methods" }, methods(found, relus)),
    relus
      ? relusCompared()
      : words("This network has no ReLU, so saliency, deconvnet and guided backpropagation go the same way."),
  );
  if (found.cam) card.append(...camSum(found));
}

function methods(found, relus) {
  const [H, W] = image().pixels.shape;
  const made = [
    method("Photograph", photograph(200), "as the network sees it"),
    method(
      "Saliency",
      drawnPicture(found.saliency, H, W, spectrum),
      `the gradient of the score, without its sign; brightest: ${shown(found.saliency.most[explained])}`,
      "Simonyan, Vedaldi, Zisserman 2013",
    ),
  ];
  if (relus) {
    made.push(
      method(
        "Deconvnet",
        drawnPicture(found.deconvnet, H, W, signs),
        "ReLUs let back what is above 0",
        "Zeiler, Fergus 2014",
      ),
      method(
        "Guided backpropagation",
        drawnPicture(found.guided, H, W, signs),
        "ReLUs let back what is above 0 where they were open",
        "Springenberg et al. 2015",
      ),
    );
  }
  if (found.cam)
    made.push(
      method(
        "Grad-CAM",
        camOver(found),
        `where the maps of ${found.layer} that count for the class respond`,
        "Selvaraju et al. 2017",
      ),
    );
  return made;
}

function method(title, picture, caption, source) {
  return element(
    "figure",
    {},
    picture,
    element("figcaption", {}, element("strong", {}, title), " ", caption, source ? element("cite", {}, source) : null),
  );
}

// The colour of a pixel of which a picture has the numbers: shades, at least 0, or around grey, of three colours or of a grey photograph.
const spectrum = ([shade]) => VIRIDIS.subarray(4 * shade, 4 * shade + 3);
const signs = (numbers) => (numbers.length === 3 ? numbers : [numbers[0], numbers[0], numbers[0]]);

// One picture of those of a method.
function drawnPicture(place, H, W, colour) {
  const bytes = arrayAt(place.pictures);
  const size = place.pictures.shape[3] ?? 1;
  const from = explained * H * W * size;
  const pixels = new ImageData(W, H);
  for (let i = 0; i < H * W; i++) {
    pixels.data.set(colour(bytes.subarray(from + size * i, from + size * (i + 1))), 4 * i);
    pixels.data[4 * i + 3] = 255;
  }
  return pictureView({ pixels: drawable(pixels), H, W, side: 200, label: "Which pixels speak for the class" });
}

// Grad-CAM's map over the photograph in grey.
function camOver(found) {
  const canvas = photograph(200, { label: "Grad-CAM over the photograph" });
  const [, h, w] = found.cam.shape;
  const cam = arrayAt(found.cam).subarray(explained * h * w, (explained + 1) * h * w);
  const heat = drawable(paint(cam, 0, w, h, { ...range(cam), signed: false }));
  const context = canvas.getContext("2d");
  const side = [parseFloat(canvas.style.width), parseFloat(canvas.style.height)];
  context.globalCompositeOperation = "saturation";
  context.fillStyle = "#808080";
  context.fillRect(0, 0, ...side);
  context.globalCompositeOperation = "source-over";
  context.globalAlpha = 0.62;
  context.imageSmoothingEnabled = true;
  context.drawImage(heat, 0, 0, ...side);
  return canvas;
}

// The maps that Grad-CAM adds up, those with the most of it.
function camSum(found) {
  const [, C] = found.weights.shape;
  const weights = arrayAt(found.weights).subarray(explained * C, (explained + 1) * C);
  const there = nodes.filter((node) => node.name === found.layer);
  const parts = [];
  for (const node of there) {
    const { H, W, C: own, values } = mapsOf(node);
    for (let c = 0; c < own; c++) {
      let mean = 0;
      for (let i = c * H * W; i < (c + 1) * H * W; i++) mean += values[i] / (H * W);
      parts.push({ node, c, value: mean * weights[parts.length], weight: weights[parts.length] });
    }
  }
  parts.sort((a, b) => b.value - a.value);
  const most = parts
    .slice(0, 6)
    .map(({ node, c, weight }) =>
      element(
        "button",
        { type: "button", class: "cam-part", onclick: () => select(node, c, ...strongestIn(node, c)) },
        mapView({ node, channel: c, side: 64, label: `Channel ${c} of ${nodeName(node)}` }),
        element("span", {}, `${shown(weight)} \u00d7 channel ${c}${towers() > 1 ? `, tower ${node.tower}` : ""}`),
      ),
    );
  return [
    element("h3", {}, "What Grad-CAM adds up"),
    words(
      `Each map of ${found.layer} times the mean of the gradient over its places; below 0 the sum is cut off. The six that add most:`,
    ),
    element("div", { class: "cam-parts" }, most),
  ];
}

function strongestIn(node, channel) {
  const { H, W, values } = mapsOf(node);
  let best = 0;
  for (let i = 0; i < H * W; i++) if (values[channel * H * W + i] > values[channel * H * W + best]) best = i;
  return [Math.floor(best / W), best % W];
}

// Four numbers through the three kinds of ReLU.
function relusCompared() {
  const x = [2, -1, 3, -2];
  const dy = [-4, 5, 6, -7];
  const rows = [
    ["forward: what came in", x],
    ["backward: what comes back", dy],
    ["saliency: where x > 0", dy.map((d, i) => (x[i] > 0 ? d : 0))],
    ["deconvnet: where dy > 0", dy.map((d) => Math.max(0, d))],
    ["guided: where both are", dy.map((d, i) => (x[i] > 0 && d > 0 ? d : 0))],
  ];
  return element(
    "details",
    {},
    element("summary", {}, "Three choices of what a ReLU lets back"),
    element(
      "table",
      { class: "relus" },
      element(
        "tbody",
        {},
        rows.map(([name, numbers], i) =>
          element(
            "tr",
            { class: i === 1 ? "ruled" : null },
            element("th", { scope: "row" }, name),
            numbers.map((n) => element("td", { class: n === 0 ? "zero" : null }, String(n).replace("-", "\u2212"))),
          ),
        ),
      ),
    ),
    words(
      "Only the first is the derivative of what the network computes. The other two let nothing through that speaks " +
        "against the class: their pictures are clearer, and say less about this network.",
    ),
  );
}
