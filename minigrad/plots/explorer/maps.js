// Maps as pictures: all maps of a node in one, and a single one enlarged.

// ---- all of a node

const gap = ({ W, C }) => (W === 1 && C > 128 ? 1 : 2);

// The width of a map's picture in CSS pixels: large ones are made smaller, small ones larger.
function cellSize({ W, C }) {
  if (W === 1) return C > 4096 ? 3 : C > 1024 ? 4 : C > 128 ? 8 : 16;
  return (
    [
      [3, 18],
      [8, 24],
      [16, 30],
      [32, 38],
    ].find(([most]) => W <= most)?.[1] ?? 44
  );
}

function columnsFor({ W, C }, cell, between, width) {
  const fitting = Math.max(1, Math.floor((width + between) / (cell + between)));
  if (W === 1)
    return Math.min(C, [256, 192, 128, 96, 64, 48, 32, 24, 16, 8, 4].find((columns) => columns <= fitting) ?? 1);
  return Math.ceil(C / Math.ceil(C / fitting));
}

class Atlas {
  constructor(node) {
    this.node = node;
    this.canvas = element("canvas", { "aria-hidden": "true" });
    this.cursor = element("div", { class: "cursor", hidden: true });
    const what = node.shape.length === 3 ? `${node.shape[2]} maps` : `${node.shape[0]} units`;
    this.place = element(
      "div",
      {
        class: "atlas",
        tabindex: 0,
        role: "application",
        "aria-label": `${nodeName(node)}: ${what}. Arrow keys choose one, Enter enlarges it.`,
        "data-node": node.id,
        onclick: (event) => this.clicked(event),
        onkeydown: (event) => this.pressed(event),
      },
      this.canvas,
      this.cursor,
    );
    this.drawn = null;
  }

  // Where things are, for the width that the page gives; drawn when it comes into sight.
  layout() {
    const size = sizes(this.node.shape);
    const width = this.place.clientWidth;
    const base = cellSize(size);
    this.gap = gap(size);
    this.columns = columnsFor(size, base, this.gap, width);
    this.rows = Math.ceil(size.C / this.columns);
    const room = Math.floor((width + this.gap) / this.columns) - this.gap;
    this.width =
      size.W === 1 ? clamp(room, base, 2 * base) : clamp(room, base, Math.round((towers() > 1 ? 1.6 : 2.2) * base));
    this.height = Math.max(1, Math.round((this.width * size.H) / size.W));
    this.size = size;
    this.canvas.style.width = `${this.columns * (this.width + this.gap) - this.gap}px`;
    this.canvas.style.height = `${this.rows * (this.height + this.gap) - this.gap}px`;
    this.drawn = null;
    this.mark();
  }

  corner(channel) {
    return {
      x: (channel % this.columns) * (this.width + this.gap),
      y: Math.floor(channel / this.columns) * (this.height + this.gap),
    };
  }

  draw() {
    const key = `${state.image} ${state.ownScale} ${dark()} ${this.training}`;
    if (this.drawn === key) return;
    this.drawn = key;
    const { H, W, C } = this.size;
    const { values } = mapsOf(this.node);
    const context = sized(
      this.canvas,
      this.columns * (this.width + this.gap) - this.gap,
      this.rows * (this.height + this.gap) - this.gap,
    );
    context.imageSmoothingEnabled = W > this.width;
    context.imageSmoothingQuality = "high";
    const mask = this.training ? arrayAt(image().masks[this.node.id]) : null;
    for (let c = 0; c < C; c++) {
      const { x, y } = this.corner(c);
      if (W * H === 1) {
        context.fillStyle = fieldColours(values[c], scaleOf(this.node, c)).colour;
        context.fillRect(x, y, this.width, this.height);
      } else {
        context.drawImage(
          drawable(paint(values, c * H * W, W, H, scaleOf(this.node, c))),
          x,
          y,
          this.width,
          this.height,
        );
      }
      if (mask && mask[c * H * W] === 0) cross(context, x, y, this.width, this.height);
    }
  }

  mark() {
    const here = state.node === this.node;
    this.cursor.hidden = !here;
    this.place.classList.toggle("chosen", here);
    if (!here) return;
    const { x, y } = this.corner(state.channel);
    Object.assign(this.cursor.style, {
      left: `${x}px`,
      top: `${y}px`,
      width: `${this.width}px`,
      height: `${this.height}px`,
    });
  }

  clicked(event) {
    const box = this.canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left) / (this.width + this.gap));
    const row = Math.floor((event.clientY - box.top) / (this.height + this.gap));
    const channel = row * this.columns + column;
    if (column < 0 || column >= this.columns || row < 0 || channel >= this.size.C) return;
    const { x, y } = this.corner(channel);
    const inside = (start, length, count) => clamp(Math.floor((start / length) * count), 0, count - 1);
    select(
      this.node,
      channel,
      inside(event.clientY - box.top - y, this.height, this.size.H),
      inside(event.clientX - box.left - x, this.width, this.size.W),
    );
  }

  pressed(event) {
    if (event.key === "Enter") {
      if (state.node !== this.node) select(this.node, ...strongest(this.node));
      enlarged();
    } else if (event.key in ARROWS) {
      const [down, right] = ARROWS[event.key];
      if (state.node !== this.node) select(this.node, ...strongest(this.node));
      else select(this.node, clamp(state.channel + down * this.columns + right, 0, this.size.C - 1), state.r, state.q);
    } else return;
    event.preventDefault();
  }
}

function cross(context, x, y, width, height) {
  context.fillStyle = dark() ? "#23262c" : "#f4f2ee";
  context.fillRect(x, y, width, height);
  context.strokeStyle = dark() ? "#8b8f98" : "#7d7a74";
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x + 1, y + 1);
  context.lineTo(x + width - 1, y + height - 1);
  context.stroke();
}

// The channel and the pixel with the largest number of a node: [channel, r, q].
function strongest(node) {
  const { H, W, values } = mapsOf(node);
  const shownFirst = node.chosen ? new Set(node.chosen) : null; // those whose weights are there
  let best = -1;
  for (let i = 0; i < values.length; i++) {
    if (shownFirst && !shownFirst.has(Math.floor(i / (H * W)))) continue;
    if (best < 0 || values[i] > values[best]) best = i;
  }
  return [Math.floor(best / (H * W)), Math.floor(best / W) % H, best % W];
}

// ---- one map

// A map as large as `side` pixels. window, pixel: {top, left, height, width} to be outlined, which may lie beyond the edges; around: pixels
// of padding to show on each side (top, bottom, left, right). pick(r, q) is called for what is clicked.
function mapView({ node, channel, side, window: outlined, around = [0, 0, 0, 0], pick, label, keep }) {
  const { H, W, values } = mapsOf(node);
  const pixels = paint(values, channel * H * W, W, H, scaleOf(node, channel));
  return pictureView({ pixels: drawable(pixels), H, W, side, outlined, around, pick, label, keep });
}

function pictureView({ pixels, H, W, side, outlined, around = [0, 0, 0, 0], pick, label, keep }) {
  const [top, bottom, left, right] = around;
  const unit = side / Math.max(H + top + bottom, W + left + right);
  const { canvas, context } = canvasOf(unit * (W + left + right), unit * (H + top + bottom), {
    class: "map",
    role: "img",
    "aria-label": label,
  });
  hatch(context, unit * (W + left + right), unit * (H + top + bottom));
  context.imageSmoothingEnabled = unit < 1;
  context.imageSmoothingQuality = "high";
  context.drawImage(pixels, unit * left, unit * top, unit * W, unit * H);
  if (outlined)
    outline(
      context,
      unit * (outlined.left + left),
      unit * (outlined.top + top),
      unit * outlined.width,
      unit * outlined.height,
    );
  if (pick) {
    canvas.classList.add("pickable");
    canvas.addEventListener("click", (event) => {
      const r = Math.floor(event.offsetY / unit) - top;
      const q = Math.floor(event.offsetX / unit) - left;
      pick(clamp(r, 0, H - 1), clamp(q, 0, W - 1));
    });
  }
  if (keep) Object.assign(canvas.dataset, { keep });
  return canvas;
}

// What lies beyond the edges of a map: zeros.
function hatch(context, width, height) {
  context.fillStyle = dark() ? "#1d2025" : "#ebe8e1";
  context.fillRect(0, 0, width, height);
}

function outline(context, x, y, width, height) {
  const least = Math.max(0, (6 - width) / 2); // a pixel that is too small to be seen gets a larger frame
  for (const [colour, line] of [
    ["#000", 4],
    ["#fff", 2],
  ]) {
    context.strokeStyle = colour;
    context.lineWidth = line;
    context.strokeRect(x - least, y - least, width + 2 * least, height + 2 * least);
  }
}

// The photograph, as large as `side` pixels.
function photograph(side, options) {
  const [H, W] = image().pixels.shape;
  const bytes = arrayAt(image().pixels);
  const pixels = new ImageData(W, H);
  for (let i = 0; i < H * W; i++) pixels.data.set([bytes[3 * i], bytes[3 * i + 1], bytes[3 * i + 2], 255], 4 * i);
  return pictureView({ pixels: drawable(pixels), H, W, side, label: "The photograph", ...options });
}
