// The page begins: header, contents, theme; and what happens when one of them changes.

nodes.forEach((node, id) => Object.assign(node, { id }));

function drawHeader() {
  document.getElementById("title").textContent =
    `${page.network} ${page.variant === page.network.toLowerCase() ? "" : page.variant}`;
  document.getElementById("subtitle").textContent =
    `${counted(page.parameters)} parameters${towers() > 1 ? `, ${towers()} towers` : ""}, on ${page.images.map((one) => one.name).join(", ")}`;
  choose(
    document.getElementById("photos"),
    page.images.length > 1 ? page.images.map((one, i) => [one.name, i]) : [],
    state.image,
    (i) => {
      state.image = i;
      explained = 0;
      drawAll();
    },
  );
  choose(
    document.getElementById("scales"),
    [
      ["one scale for a layer", false],
      ["one for each map", true],
    ],
    state.ownScale,
    (own) => {
      state.ownScale = own;
      redraw();
    },
  );
  document.getElementById("theme").textContent = dark() ? "light" : "dark";
}

function drawContents() {
  const links = [["#photograph", "photograph"]];
  for (const node of nodes) {
    const target = `#layer-${node.stage}-${node.name}`;
    if (!links.some(([there]) => there === target)) links.push([target, node.name]);
  }
  links.push(["#classes", "classes"], ["#backwards", "backwards"]);
  document.getElementById("contents").replaceChildren(...links.map(([href, name]) => element("a", { href }, name)));
}

// Everything: another photograph.
function drawAll() {
  drawHeader();
  drawOverview();
  if (state.node) select(state.node, state.channel, state.r, state.q);
  drawSeen();
}

// The same with other colours.
function redraw() {
  drawHeader();
  redrawAtlases();
  for (const place of document.querySelectorAll(".legend")) place.draw();
  fillBackwards(document.getElementById("backwards"));
  if (state.node && !inspector.hidden) drawInspector();
  drawSeen();
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
}

document.getElementById("theme").addEventListener("click", () => {
  setTheme(dark() ? "light" : "dark");
  redraw();
});
const preference = window.matchMedia("(prefers-color-scheme: dark)");
preference.addEventListener("change", () => {
  setTheme(preference.matches ? "dark" : "light");
  redraw();
});
document.addEventListener("keydown", (event) => event.key === "Escape" && !inspector.hidden && closeInspector());

let width = window.innerWidth;
window.addEventListener("resize", () => {
  if (window.innerWidth === width) return; // a phone's address bar
  width = window.innerWidth;
  layoutAll();
  redraw();
});

setTheme(preference.matches ? "dark" : "light");
drawContents();
drawAll();
// On wide screens, where it covers nothing, one number is shown from the beginning.
if (window.matchMedia("(min-width: 1000px)").matches) {
  const first = nodes.find((node) => node.kind === "conv") ?? nodes[0];
  select(first, ...strongest(first));
}
