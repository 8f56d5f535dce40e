// Numbers in rows and squares: patch times kernel, bars of what counts most, and sums line by line.

// A square of numbers. With more than 5 x 5 they are colours alone, and the line below says one at a time.
function square(title, numbers, K, scale, name) {
  return element(
    "figure",
    { class: "square", style: `--k: ${K}` },
    element("figcaption", {}, title),
    element(
      "div",
      { class: K > 5 ? "cells tiny" : "cells", "data-square": name },
      numbers.map((value, i) => {
        const { colour, ink } = fieldColours(value, scale);
        const words = K > 5 ? "" : briefly(value);
        return element(
          "span",
          {
            "data-i": i,
            class: words.length > 6 ? "longest" : words.length > 5 ? "long" : null,
            style: `background: ${colour}; color: ${ink}`,
          },
          words,
        );
      }),
    ),
  );
}

// Three squares, number by number: what came in, the kernel, their products.
function patchTimesKernel(titles, patch, kernel, K) {
  const products = patch.map((x, i) => x * kernel[i]);
  const readout = element("p", { class: "readout", "aria-live": "polite" });
  const group = element(
    "div",
    {
      class: "triple",
      tabindex: 0,
      "data-keep": "triple",
      role: "application",
      "aria-label": "Patch, kernel and products. Arrow keys go from one to the next.",
    },
    square(titles[0], patch, K, { ...range(patch), signed: true }, "patch"),
    signed("\u00d7", square(titles[1], kernel, K, { ...range(kernel), signed: true }, "kernel")),
    signed("=", square(titles[2], products, K, { ...range(products), signed: true }, "products")),
  );
  let at = products.reduce((best, value, i) => (Math.abs(value) > Math.abs(products[best]) ? i : best), 0);
  function say(i) {
    at = i;
    for (const cell of group.querySelectorAll(".cells span"))
      cell.classList.toggle("here", Number(cell.dataset.i) === i);
    readout.textContent = `row ${Math.floor(i / K)}, column ${i % K}: ${shown(patch[i])} \u00d7 ${shown(kernel[i])} = ${shown(products[i])}`;
  }
  for (const kind of ["pointerover", "click"]) {
    group.addEventListener(
      kind,
      (event) => event.target.dataset.i !== undefined && say(Number(event.target.dataset.i)),
    );
  }
  group.addEventListener("keydown", (event) => {
    if (!(event.key in ARROWS)) return;
    const [down, right] = ARROWS[event.key];
    say(clamp(at + down * K + right, 0, K * K - 1));
    event.preventDefault();
  });
  say(at);
  return [group, readout];
}

const signed = (sign, what) => element("div", { class: "signed" }, element("span", { class: "sign" }, sign), what);

// Those of `parts` ({name, value, more, pick, chosen}) that count most, as bars around 0, and all others in one line.
function contributions(parts, most, rest) {
  const order = parts.map((_, i) => i).sort((a, b) => Math.abs(parts[b].value) - Math.abs(parts[a].value));
  const first = order.slice(0, most);
  const others = order.slice(most).reduce((sum, i) => sum + parts[i].value, 0);
  const longest = Math.max(...first.map((i) => Math.abs(parts[i].value))) || 1;
  const rows = first.map((i) => contribution(parts[i], longest));
  if (order.length > most) rows.push(contribution({ name: rest(order.length - most), value: others }, null));
  return element("div", { class: "contributions" }, rows);
}

function contribution({ name, more, value, pick, chosen }, longest) {
  const side = value < 0 ? "right" : "left";
  const bar = longest
    ? element(
        "span",
        { class: "around" },
        element("i", {
          class: value < 0 ? "below" : "above",
          style: `${side}: 50%; width: ${(50 * Math.abs(value)) / longest}%`,
        }),
      )
    : null;
  const parts = [
    element("span", { class: "name" }, name),
    more ? element("span", { class: "more" }, more) : null,
    bar,
    element("b", { class: "number" }, shown(value)),
  ];
  return pick
    ? element(
        "button",
        { type: "button", class: "contribution", "aria-pressed": String(Boolean(chosen)), onclick: pick },
        ...parts,
      )
    : element("div", { class: "contribution" }, ...parts);
}

// Lines [words, number, what], the last one below a rule.
function ledger(lines) {
  return element(
    "table",
    { class: "ledger" },
    element(
      "tbody",
      {},
      lines.map(([words, value, what, strong]) =>
        element(
          "tr",
          { class: strong ? "total" : null },
          element("th", { scope: "row" }, words),
          element("td", {}, number(value, what)),
        ),
      ),
    ),
  );
}
