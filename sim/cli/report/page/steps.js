// Any metric over steps, and by layer and head.

const shownSeries = {
  place: Math.max(0, seriesPlace("latency_s")),
  window: 1,
  by: "step",
  map: 0,
  mapPoint: null
};
const MANY_STEPS = 300;  // whose lines are thinner
const binSize = results.steps.steps_per_bin;

const overText = (one) => (
    one.over.length ?
        `, mean over ${
            one.over.map((dim) => ({kv_head: "KV heads", layer: "layers", sequence: "sequences"})[dim] ?? dim)
                .join(", ")
                .replace(/, ([^,]*)$/, " and $1")}` :
        "");

// A moving mean of `window` values around each, over those that there are; none where there is none itself.
function smoothed(values, window) {
  if (window <= 1) return values;
  const before = Math.floor((window - 1) / 2);
  return values.map((value, i) => {
    if (!isNumber(value)) return null;
    const near = values.slice(Math.max(0, i - before), i - before + window).filter(isNumber);
    return near.reduce((sum, one) => sum + one, 0) / near.length;
  });
}

// {mean, min, max} of a series of a point; the latter two where bins are of several steps.
function curvesOf(point, place) {
  const values = stepsOf(point).series[place];
  return Array.isArray(values) ? {mean: values} : values;
}

function stepPlaces(point) {
  const position = seriesPlace("position");
  const mean = curvesOf(point, shownSeries.place).mean;
  if (shownSeries.by === "position" && position >= 0) return curvesOf(point, position).mean;
  return mean.map(
      (_, bin) =>
          results.steps
              .numbers[Math.min(results.steps.numbers.length - 1, Math.floor((bin + 0.5) * binSize - 0.5))]);
}

function drawSteps() {
  const one = series[shownSeries.place];
  const shown = choice.points().filter(({point}) => stepsOf(point));
  const without = choice.points().length - shown.length;
  document.getElementById("steps-legend").replaceChildren(legend(shown, "line"));
  document.getElementById("steps-note").textContent = [
    `${one.long_name}${overText(one)}: ${one.formula}.`,
    binSize > 1 ? `Each place is the mean of ${binSize} steps, the band from the least to the most of them.` :
                  "",
    without ? `${plural(without, "point")} of those shown ${
                  without === 1 ? "has" : "have"} no steps on this page.` :
              "",
  ].filter(Boolean).join(" ");
  const curves = shown.map((entry) => ({...entry, ...curvesOf(entry.point, shownSeries.place)}));
  const scale = scaleOf(one.unit, curves.flatMap(({mean, max}) => max ?? mean));
  const scaled = (values) => values.map((value) => (isNumber(value) ? value * scale.factor : null));
  const figure = () => {
    return {
      traces: curves.flatMap(({name, point, slot, mean, min, max}, place) => {
        const x = stepPlaces(point);
        // What is the same as another is still to be seen below it.
        const line = {
          color: colour(slot),
          dash: dash(slot),
          width: Math.max(1.2, (x.length > MANY_STEPS ? 1.8 : 2.8) - 0.3 * place)
        };
        const bounds = min ?
            [
              {
                type: "scatter",
                mode: "lines",
                x,
                y: scaled(min),
                line: {width: 0, color: colour(slot)},
                hoverinfo: "skip"
              },
              {
                type: "scatter",
                mode: "lines",
                x,
                y: scaled(max),
                line: {width: 0, color: colour(slot)},
                fill: "tonexty",
                fillcolor: `${colour(slot)}55`,
                hoverinfo: "skip"
              },
            ] :
            [];
        return [
          ...bounds, {
            type: "scatter",
            mode: "lines",
            name,
            x,
            y: scaled(smoothed(mean, shownSeries.window)),
            line,
            hovertemplate: `${wrapped(name, 50)}<br>${shownSeries.by} %{x}: %{y:.4~g} ${scale.unit}`
          }
        ];
      }),
      layout: {
        height: isNarrow() ? 340 : 430,
        xaxis: {title: shownSeries.by === "step" ? "step" : "position in the sequence"},
        yaxis: {title: `${seriesName(one)}${scale.unit ? ` [${scale.unit}]` : ""}`},
      },
    };
  };
  draw("steps-plot", figure);
}

function groupOf(one) {
  if (one.policy) return one.policy;
  if (one.host) return "measured on the host";
  if (one.name.startsWith("critical_")) return "critical path";
  return one.over.length ? "by layer, as means" : "by step";
}

function seriesOptions() {
  const groups = new Map();
  series.forEach((one, place) => {
    const known = results.steps.means.some((means) => isNumber(means[place]));
    if (!known) return;
    const group = groupOf(one);
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push([place, seriesName(one)]);
  });
  return [...groups].map(([group, options]) => ({group, options}));
}

function beginSteps() {
  if (!hasSteps) {
    begin("steps", element("p", {}, "These results keep no steps; record.per_step: true keeps them."));
    return;
  }
  const few = results.steps.room < results.steps.asked;
  begin(
      "steps",
      few ? element(
                "p", {class: "banner"},
                `There is room for the steps of ${results.steps.room} of ${
                    plural(results.steps.asked, "point")}; --steps-of chooses whose.`) :
            null,
      element(
          "div", {class: "controls"},
          select(
              "metric", seriesOptions(), shownSeries.place,
              (place) => {
                shownSeries.place = Number(place);
                drawSteps();
              },
              {id: "series"}),
          select(
              "moving mean", [[1, "none"], [5, "5 places"], [20, "20 places"], [100, "100 places"]], 1,
              (value) => {
                shownSeries.window = Number(value);
                drawSteps();
              }),
          select(
              "over", [["step", "steps"], ["position", "position in the sequence"]], "step",
              (value) => {
                shownSeries.by = value;
                drawSteps();
              })),
      element("p", {class: "quiet", id: "steps-note"}), element("div", {id: "steps-legend"}),
      plotPlace("steps-plot", "a metric over steps"));
  drawSteps();
  choice.listeners.push(drawSteps);
}

function drawMap() {
  const {maps, layers, heads} = results.steps;
  const shown = choice.points().filter(({point}) => stepsOf(point));
  const place = document.getElementById("map-plot");
  place.hidden = !shown.length;
  if (!shown.length) return;
  const chosen = shown.find(({point}) => point === shownSeries.mapPoint) ?? shown[0];
  document.getElementById("map-point")
      .replaceChildren(...shown.map(
          ({point, name}) => element("option", {value: point, selected: point === chosen.point}, name)));
  const one = maps[shownSeries.map];
  const values = stepsOf(chosen.point).maps[shownSeries.map];
  const scale = scaleOf(one.unit, values);
  const rows = layers.map(
      (_, layer) => values.slice(layer * heads.length, (layer + 1) * heads.length)
                        .map((value) => (isNumber(value) ? value * scale.factor : null)));
  document.getElementById("map-note").textContent =
      `${one.long_name}, mean over the steps of ${chosen.name}: ${one.formula}.`;
  const figure = () => {
    return {
      traces: [{
        type: "heatmap",
        z: rows,
        x: heads.map(String),
        y: layers.map(String),
        colorscale: [[0, css("map-low")], [1, css("map-high")]],
        xgap: 2,
        ygap: 2,
        texttemplate: layers.length * heads.length <= 96 ? "%{z:.3~g}" : "",
        textfont: {color: css("text")},
        hovertemplate: `layer %{y}, KV head %{x}<br>${one.name} %{z:.4~g} ${scale.unit}`,
        colorbar: {title: {text: scale.unit, side: "top"}, outlinewidth: 0, thickness: 14},
        hoverongaps: false,
      }],
      layout: {
        height: Math.min(900, 130 + layers.length * 44),
        xaxis: {title: "KV head", type: "category", showgrid: false},
        yaxis: {title: "layer", type: "category", autorange: "reversed", showgrid: false},
      },
    };
  };
  draw("map-plot", figure);
}

function beginMap() {
  const {maps} = results.steps;
  if (!hasSteps || !maps.length) {
    begin("heads", element("p", {}, "These results keep nothing by layer and head."));
    return;
  }
  const first = maps.findIndex((one) => one.name === "recall");
  shownSeries.map = Math.max(0, first);
  begin(
      "heads",
      element(
          "div", {class: "controls"},
          select(
              "metric", maps.map((one, place) => [place, one.name]), shownSeries.map,
              (place) => {
                shownSeries.map = Number(place);
                drawMap();
              },
              {id: "map"}),
          select(
              "point", [], null,
              (point) => {
                shownSeries.mapPoint = Number(point);
                drawMap();
              },
              {id: "map-point"})),
      element("p", {class: "quiet", id: "map-note"}), plotPlace("map-plot", "a metric by layer and head"));
  drawMap();
  choice.listeners.push(drawMap);
}
