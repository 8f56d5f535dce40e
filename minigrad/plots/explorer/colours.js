// Colours that can be told apart with any kind of colour vision, and in grey: lightness grows or falls all along each scale.

const dark = () => document.documentElement.dataset.theme === "dark";

// viridis (Smith, van der Walt, Firing 2015), for numbers of at least 0.
const VIRIDIS = table(
  "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 28ae80 3fbc73 5ec962 84d44b addc30 d8e219 fde725",
);

// Blue for numbers below 0, orange above (Okabe and Ito 2008, darker and lighter); the middle is the page's own colour.
const AROUND_ZERO = {
  light: table("003a66 0a5f9e 3f8fc7 8fc1e3 f4f2ee f5c98a e39b3d c46a10 7d3c00"),
  dark: table("c4e6ff 7cc4f2 2f8fd0 1d5076 23262c 6e4418 c4701c f2a64a ffe0b0"),
};

// The photograph's own channels: dark below the mean, light above.
const GREYS = table("0b0b0b f4f4f4");

function table(hex) {
  const stops = hex.split(" ").map((colour) => [0, 2, 4].map((i) => parseInt(colour.slice(i, i + 2), 16)));
  const steps = 256;
  const colours = new Uint8ClampedArray(4 * steps);
  for (let i = 0; i < steps; i++) {
    const place = (i / (steps - 1)) * (stops.length - 1);
    const k = Math.min(Math.floor(place), stops.length - 2);
    for (let c = 0; c < 3; c++) colours[4 * i + c] = stops[k][c] + (place - k) * (stops[k + 1][c] - stops[k][c]);
    colours[4 * i + 3] = 255;
  }
  return colours;
}

// The colours for a range, and where among them a number stands: from 0 to 255.
function palette({ most, signed, grey }) {
  if (!signed) return { colours: VIRIDIS, place: (value) => Math.round(255 * Math.min(1, Math.max(0, value / most))) };
  const colours = grey ? GREYS : dark() ? AROUND_ZERO.dark : AROUND_ZERO.light;
  return { colours, place: (value) => Math.round(127.5 + 127.5 * Math.min(1, Math.max(-1, value / most))) };
}

// {colour, ink}: of a number's field, and of the number written on it.
function fieldColours(value, scale) {
  const { colours, place } = palette(scale);
  const [r, g, b] = colours.slice(4 * place(value), 4 * place(value) + 3);
  return { colour: `rgb(${r}, ${g}, ${b})`, ink: 0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#111" : "#fff" };
}

function paint(values, from, W, H, scale) {
  const { colours, place } = palette(scale);
  const pixels = new ImageData(W, H);
  for (let i = 0; i < W * H; i++)
    pixels.data.set(colours.subarray(4 * place(values[from + i]), 4 * place(values[from + i]) + 4), 4 * i);
  return pixels;
}
