// Numbers as people read them, and the elements they stand in.

const PREFIXES =
    [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"]];
const SCALED = new Set(["s", "J", "B", "B/s"]);

const isNumber = (value) => typeof value === "number";

// Three significant digits, more only before the point.
function rounded(value) {
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e6) return String(value);
  if (size < 0.995) return value.toPrecision(3);
  return value.toFixed(size < 9.995 ? 2 : size < 99.95 ? 1 : 0);
}

// One unit for all of `values`, in which the largest is 1 to 1000; shares become per cent.
function scaleOf(unit, values) {
  let largest = 0;
  for (const value of values)
    if (isNumber(value)) largest = Math.max(largest, Math.abs(value));
  if (unit === "1") return largest > 0 && largest <= 1 ? {factor: 100, unit: "%"} : {factor: 1, unit: ""};
  if (!SCALED.has(unit)) return {factor: 1, unit};
  const [size, prefix] = PREFIXES.find(([size]) => largest >= size) ?? [1, ""];
  return {factor: 1 / size, unit: prefix + unit};
}

const scaledText = (value, scale) => (isNumber(value) ? rounded(value * scale.factor) : "–");
const withUnit = (value, scale) =>
    isNumber(value) ? `${rounded(value * scale.factor)}${scale.unit ? ` ${scale.unit}` : ""}` : "–";
const valueText = (value, unit) => withUnit(value, scaleOf(unit, [value]));

// As configurations write sizes, where that is exact.
function sizeText(bytes) {
  const power = [4, 3, 2, 1].find((one) => bytes >= 1024 ** one && bytes % 1024 ** one === 0);
  return power ? `${bytes / 1024 ** power} ${["", "Ki", "Mi", "Gi", "Ti"][power]}B` : valueText(bytes, "B");
}

// attributes: text, or a listener under "on..."; children: elements and texts.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on"))
      made.addEventListener(name.slice(2), value);
    else if (value === true)
      made.setAttribute(name, "");
    else if (value !== false && value != null)
      made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child != null));
  return made;
}

// A name that may be broken after what joins its parts, and within them where it must.
const breakable = (text) => text.split(/(?<=[,;/_.])/).flatMap((part) => [part, element("wbr")]);

// The heading that the page's source gives a part of it.
function begin(id, ...children) {
  const section = document.getElementById(id);
  section.replaceChildren(element("h2", {}, section.dataset.title), ...children.flat().filter(Boolean));
  return section;
}

// options: [value, text] each, or {group, options}.
function select(label, options, value, onchange, attributes = {}) {
  const option = ([key, text]) =>
      element("option", {value: key, selected: String(key) === String(value)}, text);
  const list = options.map(
      (one) => one.group ? element("optgroup", {label: one.group}, one.options.map(option)) : option(one));
  const box = element("select", {...attributes, onchange: (event) => onchange(event.target.value)}, list);
  return element("label", {}, label, box);
}

function tick(label, checked, onchange, attributes = {}) {
  const box = element(
      "input", {...attributes, type: "checkbox", onchange: (event) => onchange(event.target.checked)});
  box.checked = checked;
  return element("label", {class: "tick"}, box, label);
}

// A table that scrolls in its own box; `label` says what it is to those who hear it.
const scrolling = (label, table) =>
    element("div", {class: "wide", tabindex: "0", role: "region", "aria-label": label}, table);

const plural = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;
