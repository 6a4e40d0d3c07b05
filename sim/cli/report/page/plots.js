// How plots look, whatever they show. `draw` may be called again for the same place; themes draw all anew.

const NARROW = 600;
const plots = new Map();  // what to draw, by place

const isNarrow = () => window.innerWidth < NARROW;

function axis(given = {}) {
  return {
    gridcolor: css("grid"),
    linecolor: css("line"),
    zerolinecolor: css("line"),
    tickcolor: css("line"),
    automargin: true,
    fixedrange: false,
    ...given,
    title: {text: given.title ?? "", standoff: 8, font: {size: 13}},
  };
}

function merged(layout) {
  const {xaxis, yaxis, ...rest} = layout;
  return {
    paper_bgcolor: css("ground"),
    plot_bgcolor: css("ground"),
    font:
        {family: getComputedStyle(document.body).fontFamily, size: isNarrow() ? 11 : 13, color: css("text")},
    margin: {l: 10, r: 12, t: 28, b: 10},
    showlegend: false,
    hovermode: "closest",
    dragmode: isNarrow() ? false : "zoom",
    hoverlabel: {
      bgcolor: css("panel"),
      bordercolor: css("line"),
      font: {color: css("text"), size: 13},
      align: "left",
      namelength: -1
    },
    modebar: {bgcolor: "rgba(0,0,0,0)", color: css("quiet"), activecolor: css("accent")},
    xaxis: axis(xaxis),
    yaxis: axis(yaxis),
    ...rest,
  };
}

const CONFIG = {
  responsive: true,
  displaylogo: false,
  doubleClick: "reset",
  modeBarButtons: [["toImage"], ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
  toImageButtonOptions: {format: "svg", filename: "kvreplay"},
};

// `make` returns {traces, layout}, with the colours of the theme of that moment. `then` comes after each
// drawing.
function draw(place, make, then) {
  plots.set(place, {make, then});
  return drawAgain(place);
}

async function drawAgain(place) {
  const {make, then} = plots.get(place);
  const {traces, layout} = make();
  const box = document.getElementById(place);
  box.style.height = `${layout.height}px`;  // or what stands below moves up while the library measures
  await Plotly.react(box, traces, merged(layout), CONFIG);
  if (then) await then(box);
}

themeListeners.push(() => {
  for (const place of plots.keys()) drawAgain(place);
});

// A place for a plot; `label` says what it shows to those who do not see it.
const plotPlace = (id, label) => element("div", {class: "plot", id, role: "img", "aria-label": label});

// In lines of at most `length` letters, broken at words where there are some.
function wrapped(text, length) {
  const lines = [""];
  for (const word of text.split(/(?<=[ ,=/_.])/)) {
    if (lines.at(-1) && lines.at(-1).length + word.length > length) lines.push("");
    lines[lines.length - 1] += word;
  }
  return lines.map((line) => escaped(line)).join("<br>");
}

// The library takes some tags in texts.
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const nameOfBar = (text) => wrapped(text, isNarrow() ? 16 : 34);

// Room for the longest of the names beside them.
function heightOfBar(names) {
  const lines = Math.max(...names.map((name) => nameOfBar(name).split("<br>").length));
  return Math.max(isNarrow() ? 48 : 40, 10 + 16 * lines);
}

// Horizontal bars, the first on top. parts: [{name, slot, values}], in the unit that `scale` makes of theirs.
function stack(place, names, parts, scale, title) {
  const rows = names.map((_, row) => row);
  const totals = rows.map((row) => parts.reduce((sum, part) => sum + (part.values[row] ?? 0), 0));
  const figure = () => {
    return {
      traces: parts.map((part) => ({
                          type: "bar",
                          orientation: "h",
                          name: part.name,
                          y: rows,
                          x: part.values.map((value) => (value ?? 0) * scale.factor),
                          marker: {
                            color: colour(part.slot),
                            line: {color: css("ground"), width: 1},
                            ...patterns(part.values.map(() => part.slot))
                          },
                          customdata: part.values.map(
                              (value, row) =>
                                  [escaped(names[row]), withUnit(value, scale),
                                   rounded((100 * (value ?? 0)) / totals[row])]),
                          hovertemplate: "%{customdata[0]}<br>%{customdata[1]}, %{customdata[2]} %",
                        })),
      layout: {
        barmode: "relative",
        bargap: 0.3,
        height: 90 + rows.length * heightOfBar(names),
        xaxis: {title: `${title}${scale.unit ? ` [${scale.unit}]` : ""}`, rangemode: "tozero"},
        yaxis: {
          tickvals: rows,
          ticktext: names.map(nameOfBar),
          autorange: "reversed",
          showgrid: false,
          zeroline: false
        },
      },
    };
  };
  draw(place, figure);
}

// Beyond the colours that there are, bars are hatched.
const patterns = (slots) => ({
  pattern: {
    shape: slots.map((slot) => (slot < COLOURS ? "" : "/")),
    fillmode: "overlay",
    fgcolor: css("ground"),
    size: 6,
    solidity: 0.3,
  }
});

const legend = (entries, kind) => element(
    "ul", {class: "legend"}, entries.map(({name, slot}) => element("li", {}, swatch(slot, kind), name)));
