// The theme, and a colour, a dash and a mark for each of the things that are drawn beside one another.

const COLOURS = 10;
const DASHES = ["solid", "dash", "dot", "dashdot"];
const DASH_LENGTHS = {
  solid: "none",
  dash: "7 4",
  dot: "2 3",
  dashdot: "8 3 2 3"
};
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "star"];

const root = document.documentElement;
const css = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
const colour = (slot) => css(`c${slot % COLOURS}`);
const dash = (slot) => DASHES[Math.floor(slot / COLOURS) % DASHES.length];
const symbol = (slot) => SYMBOLS[slot % SYMBOLS.length];

const themeListeners = [];
const dark = window.matchMedia("(prefers-color-scheme: dark)");
let theme = dark.matches ? "dark" : "light";

function applyTheme(next) {
  theme = next;
  root.dataset.theme = theme;
  document.getElementById("theme").textContent = theme === "dark" ? "light page" : "dark page";
  for (const listener of themeListeners) listener();
}

function beginTheme() {
  applyTheme(theme);
  document.getElementById("theme").addEventListener(
      "click", () => applyTheme(theme === "dark" ? "light" : "dark"));
  dark.addEventListener("change", (event) => applyTheme(event.matches ? "dark" : "light"));
  // Paper is white.
  let before = theme;
  window.addEventListener("beforeprint", () => {
    before = theme;
    applyTheme("light");
  });
  window.addEventListener("afterprint", () => applyTheme(before));
}

function hatch(x) {
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  for (const [name, value] of Object.entries({x1: x, y1: 12, x2: x + 6, y2: 0, "stroke-width": 1.6})) {
    line.setAttribute(name, value);
  }
  line.style.stroke = "var(--ground)";
  return line;
}

// The sign of a line or a bar in a legend.
function swatch(slot, kind = "bar") {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("width", "26");
  svg.setAttribute("height", "12");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("overflow", "hidden");
  const mark = document.createElementNS("http://www.w3.org/2000/svg", kind === "line" ? "line" : "rect");
  const shape =
      kind === "line" ? {x1: 0, y1: 6, x2: 26, y2: 6, "stroke-width": 3} : {x: 5, width: 14, height: 12};
  for (const [name, value] of Object.entries(shape)) mark.setAttribute(name, value);
  mark.style[kind === "line" ? "stroke" : "fill"] = `var(--c${slot % COLOURS})`;
  if (kind === "line") mark.style.strokeDasharray = DASH_LENGTHS[dash(slot)];
  svg.append(mark);
  if (kind === "bar" && slot >= COLOURS) svg.append(...[6, 11, 16].map(hatch));
  return svg;
}
