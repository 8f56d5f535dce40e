// Making elements. Names from files are only ever set as text.

function element(tag, attributes = {}, ...children) {
  const made = ["svg", "path", "line", "text", "circle", "rect", "g"].includes(tag)
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined)
      made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

const formula = (...parts) => element("p", { class: "formula" }, ...parts);

// A number of the network; what: its name for those who look for it.
const number = (value, what) => element("b", { class: "number", "data-number": what }, shown(value));

// A row of buttons of which one is pressed. options: [[text, value], ...].
function choose(place, options, value, chosen) {
  place.replaceChildren(
    ...options.map(([text, option]) =>
      element(
        "button",
        { type: "button", "aria-pressed": String(option === value), onclick: () => chosen(option) },
        text,
      ),
    ),
  );
}

// A canvas of so many CSS pixels, sharp on every screen, and its context in CSS pixels.
function canvasOf(width, height, attributes = {}) {
  const canvas = element("canvas", attributes);
  return { canvas, context: sized(canvas, width, height) };
}

function sized(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return context;
}

// ImageData as something that can be drawn in any size.
function drawable(pixels) {
  const canvas = element("canvas", { width: pixels.width, height: pixels.height });
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
