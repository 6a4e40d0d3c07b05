// Every point over two summaries, the line of those that none beats, and who beats whom.

const MANY_BEATEN = 100;
const pareto = {
  x: defaultX,
  y: defaultY,
  betterX: defaultX?.better,
  betterY: defaultY?.better,
  labels: true,
  equalDram: false,
  log: "wide"
};
const dram = metricOf("dram_total_max");
const WIDE = 20;  // ends of an axis that are farther apart are drawn on a logarithmic one

const criteria = () => {
  const two = [[pareto.x, pareto.betterX], [pareto.y, pareto.betterY]].map(
      ([metric, better]) => ({value: (one) => meanOf(one, metric), sign: signOf(better)}));
  return pareto.equalDram && dram ? [...two, {value: (one) => meanOf(one, dram), sign: 1}] : two;
};

const isDirected = () => Boolean(pareto.betterX && pareto.betterY);

function scaleType(values) {
  const known = values.filter(isNumber);
  const least = Math.min(...known);
  if (pareto.log === "linear" || least <= 0) return "linear";
  return pareto.log === "log" || Math.max(...known) > WIDE * least ? "log" : "linear";
}

// The corners of the line along the axes that divides what was reached from what was not.
function frontLine(front, at) {
  const corners = front.map(at).sort((a, b) => a[0] - b[0]);
  const line = [];
  corners.forEach(([x, y], i) => {
    // Left to right: where less is better in x, what a corner reaches holds until the next.
    if (i > 0) line.push(pareto.betterX === "lower" ? [x, corners[i - 1][1]] : [corners[i - 1][0], y]);
    line.push([x, y]);
  });
  return line;
}

const paretoTitle = (metric, better, length) => {
  const name = metric.long_name.length <= 46 ? metric.long_name : metric.name;
  const unit = metric.scale.unit ? ` [${metric.scale.unit}]` : "";
  return wrapped(name + unit + (better ? `, ${better} is better` : ""), length);
};

// Names beside the markers, and how many had no room; anew after a zoom.
async function labelPareto(place, names, at, lines) {
  const label = async () => {
    const without = pareto.labels ? await placeLabels(place, names, at, lines) : await withoutLabels(place);
    const text = without ? `${plural(without, "name")} had no room; hovering or zooming shows them.` : "";
    document.getElementById("pareto-without").textContent = text;
  };
  place.label = label;
  if (!place.dataset.listens) {
    place.dataset.listens = "yes";
    place.on("plotly_relayout", (change) => {
      if (!("annotations" in change)) place.label();  // which the labels themselves change
    });
  }
  await label();
}

function paretoPlot(list, front) {
  const {x, y} = pareto;
  const known = list.filter((one) => isNumber(meanOf(one, x)) && isNumber(meanOf(one, y)));
  const at = (one) => [meanOf(one, x) * x.scale.factor, meanOf(one, y) * y.scale.factor];
  const isFront = new Set(front);
  const groups = [known.filter((one) => !isFront.has(one)), known.filter((one) => isFront.has(one))];
  const errors = (group, metric) => ({
    type: "data",
    array: group.map((one) => (halfOf(one, metric) ?? 0) * metric.scale.factor),
    thickness: 1,
    width: 3,
    color: css("quiet"),
    visible: severalSeeds,
  });
  const points = (group, ofFront) => ({
    type: "scatter",
    mode: "markers",
    x: group.map((one) => at(one)[0]),
    y: group.map((one) => at(one)[1]),
    error_x: errors(group, x),
    error_y: errors(group, y),
    marker: {
      size: ofFront ? 11 : 8,
      color: css(ofFront ? "c0" : "c7"),
      symbol: ofFront ? "circle" : "circle-open",
      line: {width: ofFront ? 0 : 2}
    },
    customdata: group.map(hoverText),
    hovertemplate: "%{customdata}",
  });
  const line = pareto.equalDram ? [] : frontLine(front.filter((one) => known.includes(one)), at);
  const named = [...groups[1], ...groups[0]];
  const figure = () => {
    return {
      traces: [
        {
          type: "scatter",
          mode: "lines",
          x: line.map(([a]) => a),
          y: line.map(([, b]) => b),
          line: {color: css("c0"), width: 1.5},
          hoverinfo: "skip",
        },
        points(groups[0], false),
        points(groups[1], true),
      ],
      layout: {
        height: isNarrow() ? 420 : 560,
        xaxis: {
          title: paretoTitle(x, pareto.betterX, isNarrow() ? 40 : 90),
          type: scaleType(named.map((one) => at(one)[0])),
        },
        yaxis: {
          title: paretoTitle(y, pareto.betterY, isNarrow() ? 44 : 66),
          type: scaleType(named.map((one) => at(one)[1])),
        },
      },
    };
  };
  const lines = [line, ...named.flatMap((one) => intervalsOf(one, at))];
  const {names, places} = joinedNames(named, at);
  draw("pareto-plot", figure, (place) => labelPareto(place, names, places, lines));
}

// The bars over seeds of a variant, as lines.
function intervalsOf(variant, at) {
  const [x, y] = at(variant);
  const [halfX, halfY] =
      [pareto.x, pareto.y].map((metric) => (halfOf(variant, metric) ?? 0) * metric.scale.factor);
  return [[[x - halfX, y], [x + halfX, y]], [[x, y - halfY], [x, y + halfY]]].filter(
      (_, i) => [halfX, halfY][i] > 0);
}

// One name for those that lie at one place: of the first, and how many others there are.
function joinedNames(named, at) {
  const byPlace = new Map();
  for (const one of named) {
    const key = at(one).map((value) => value.toPrecision(4)).join();
    byPlace.set(key, [...(byPlace.get(key) ?? []), one]);
  }
  const groups = [...byPlace.values()];
  return {
    names: groups.map(
        (group) =>
            (group.length > 1 ? `${shortened(group[0].name)} and ${group.length - 1} more` : group[0].name)),
    places: groups.map((group) => at(group[0])),
  };
}

function hoverText(variant) {
  const line = (metric) => `${metric.heading}: ${withUnit(meanOf(variant, metric), metric.scale)}` +
      (halfOf(variant, metric) > 0 ? ` ± ${withUnit(halfOf(variant, metric), metric.scale)}` : "");
  const swept = axes.filter((axis) => axisValue(variant, axis) != null)
                    .map((axis) => `${axis.name} = ${axisText(axisValue(variant, axis), axis)}`);
  const shownMetrics = [...new Set([pareto.x, pareto.y, dram].filter(Boolean))];
  return [
    `<b>${wrapped(variant.name, 60)}</b>`, ...shownMetrics.map((metric) => escaped(line(metric))),
    ...swept.map(escaped)
  ].join("<br>");
}

function paretoTable(ranked) {
  const beatenBy = new Map();
  for (const {by} of ranked)
    for (const one of by) beatenBy.set(one, (beatenBy.get(one) ?? 0) + 1);
  const sign = signOf(pareto.betterX);
  const rows = [...ranked].sort(
      (a, b) => (a.by.length > 0) - (b.by.length > 0) ||
          sign * (meanOf(a.one, pareto.x) - meanOf(b.one, pareto.x)));
  const columns = [...new Set([pareto.x, pareto.y, dram].filter(Boolean))];
  const names = (by) =>
      by.slice(0, 3).map((one) => one.name).join("; ") + (by.length > 3 ? `; ${by.length - 3} more` : "");
  const head = element(
      "tr", {}, element("th", {class: "name", scope: "col"}, "point"),
      columns.map(
          (metric) => element(
              "th", {scope: "col"}, metric.heading, element("span", {class: "unit"}, metric.scale.unit))),
      element("th", {scope: "col"}, "beats"), element("th", {scope: "col", class: "text"}, "is beaten by"));
  const body =
      rows.slice(0, MANY_BEATEN)
          .map(
              ({one, by}) => element(
                  "tr", {}, element("th", {class: "name", scope: "row"}, breakable(one.name)),
                  columns.map((metric) => metricCell(one, metric, {best: new Set(), near: new Set()})),
                  element("td", {}, String(beatenBy.get(one) ?? 0)),
                  element("td", {class: by.length ? "long" : "long best"}, by.length ? names(by) : "none")));
  return [
    scrolling(
        "which point beats which",
        element("table", {}, element("thead", {}, head), element("tbody", {}, body))),
    rows.length > MANY_BEATEN ?
        element(
            "p", {class: "quiet"},
            `The first ${MANY_BEATEN} of ${rows.length}; the filter of the summary holds here too.`) :
        null
  ].filter(Boolean);
}

function drawPareto() {
  const list = filtered();
  const ranked = isDirected() ? dominance(list, criteria()) : [];
  paretoPlot(list, ranked.filter(({by}) => !by.length).map(({one}) => one));
  document.getElementById("pareto-table").replaceChildren(...(isDirected() ? paretoTable(ranked) : [
    element("p", {}, "It is not said which way both are better, so no point beats another; choose it above.")
  ]));
}

function beginPareto() {
  const options =
      metrics.map((metric) => [metric.name, metric.host ? `${metric.name} (measured)` : metric.name]);
  const ways = [["lower", "lower"], ["higher", "higher"], ["", "not said"]];
  const controls = () => {
    const metricSelect = (axisName, better) =>
        [select(
             `${axisName}: summary`, options, pareto[axisName].name,
             (name) => {
               pareto[axisName] = metricOf(name);
               pareto[better] = pareto[axisName].better;
               again();
             },
             {id: `pareto-${axisName}`}),
         select(
             `better in ${axisName}`, ways, pareto[better] ?? "",
             (way) => {
               pareto[better] = way || null;
               again();
             }),
    ];
    return element(
        "div", {class: "controls", id: "pareto-controls"}, metricSelect("x", "betterX"),
        metricSelect("y", "betterY"),
        select(
            "scales", [["wide", "logarithmic where wide"], ["linear", "linear"], ["log", "logarithmic"]],
            pareto.log,
            (value) => {
              pareto.log = value;
              again();
            }),
        tick("names", pareto.labels, (on) => {
          pareto.labels = on;
          again();
        }), dram ? tick("only at no more DRAM", pareto.equalDram, (on) => {
          pareto.equalDram = on;
          again();
        }, {id: "equal-dram"}) : null);
  };
  const again = () => {
    const had = document.activeElement?.id;
    document.getElementById("pareto-controls").replaceWith(controls());
    if (had) document.getElementById(had)?.focus();
    drawPareto();
  };
  begin(
      "pareto",
      element(
          "p", {}, "A point is beaten by one that is at least as good in both and better in one",
          dram ? ", and that takes no more DRAM where that is ticked" : "",
          ". The line joins those that none beats; means are compared."),
      controls(), plotPlace("pareto-plot", "points over two summaries"),
      element("p", {class: "quiet", id: "pareto-without", "aria-live": "polite"}),
      element("div", {id: "pareto-table"}));
  drawPareto();
  table.listeners.push(drawPareto);
}
