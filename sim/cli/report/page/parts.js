// What time and energy are made of, and how latencies are spread.

// Of a step's mean latency; the rest is what links between tiers of memory take that nothing hides.
function latencyParts(list) {
  const names = ["latency_mean", "compute_mean", "policy_mean", "exposed_io_mean"].map(metricOf);
  if (names.some((metric) => !metric)) return null;
  const [latency, compute, policy, exposed] = names.map((metric) => list.map((one) => meanOf(one, metric)));
  const parts = [
    {name: "computing", slot: 0, values: compute.map((value, i) => value - policy[i])},
    {name: "policy", slot: 4, values: policy},
    {name: "flash that nothing hides", slot: 1, values: exposed},
  ];
  const rest = latency.map((value, i) => value - compute[i] - exposed[i]);
  if (rest.some((value, i) => Math.abs(value) > 1e-9 * latency[i]))
    parts.push({name: "links that nothing hides", slot: 3, values: rest});
  return {parts, total: latency};
}

// Means over the steps and seeds of a series.
function seriesMeans(list, place) {
  return list.map((variant) => {
    const values = variant.points.map((point) => meanOfSeries(point, place));
    return values.every(isNumber) ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
  });
}

const ENERGY = [
  ["compute_energy_j", "cores that compute", 0],
  ["base_energy_j", "rest of the phone", 7],
  ["dram_energy_j", "DRAM", 2],
  ["flash_energy_j", "flash", 1],
  ["host_io_energy_j", "core that submits", 3],
];

// What operations are for, as series and timelines have it, each with a slot of colour of its own; those that
// are much of most steps have one that is not hatched.
const PURPOSES = [
  ["query_projection", "Q projection", 10],
  ["key_value_projection", "K/V projection", 16],
  ["score", "score", 4],
  ["read", "read", 1],
  ["attention", "attention", 6],
  ["output_projection", "O projection", 17],
  ["feed_forward", "feed forward", 0],
  ["update", "update", 8],
  ["write", "write", 9],
  ["output_head", "output head", 7],
  ["representative_read", "representative read", 3],
  ["swap_in", "swap in", 5],
  ["guess", "guess", 14],
  ["prefetch", "prefetch", 2],
  ["tier_read", "tier read", 12],
  ["demotion", "demotion", 15],
  ["placement", "placement", 13],
];
const slotOfPurpose = (name) => PURPOSES.find(([, title]) => title === name)?.[2] ?? 19;

// Series of the critical path, by purpose.
const criticalSeries =
    PURPOSES.map(([key, name, slot]) => ({place: seriesPlace(`critical_${key}_s`), name, slot}))
        .filter(({place}) => place >= 0);

function seriesParts(list, chosen) {
  return chosen.map(({place, name, slot}) => ({name, slot, values: seriesMeans(list, place)}))
      .filter((part) => part.values.some((value) => isNumber(value) && value !== 0));
}

function totals(parts) {
  return parts.length ?
      parts[0].values.map((_, row) => parts.reduce((sum, part) => sum + (part.values[row] ?? 0), 0)) :
      [];
}

function stackIn(id, heading, text, parts, unit, title, names) {
  const box = document.getElementById(`${id}-box`);
  if (!parts.length || !names.length) {
    if (plots.delete(`${id}-plot`)) Plotly.purge(`${id}-plot`);
    box.replaceChildren();
    return;
  }
  if (!document.getElementById(`${id}-plot`)) {
    box.replaceChildren(
        element("h3", {}, heading), element("p", {class: "quiet"}, text),
        element("div", {id: `${id}-legend`}), plotPlace(`${id}-plot`, heading));
  }
  document.getElementById(`${id}-legend`).replaceChildren(legend(parts));
  stack(`${id}-plot`, names, parts, scaleOf(unit, totals(parts)), title);
}

function drawParts() {
  const list = choice.shown().map(({variant}) => variant);
  const names = list.map((one) => one.name);
  const latency = latencyParts(list);
  stackIn(
      "latency", "Mean latency of a step, by part",
      "Flash and links under computing take no time of their own.", latency?.parts ?? [], "s", "mean latency",
      names);
  stackIn(
      "critical", "What bounds a step",
      "The critical path, which is as long as the step: mean over the steps, by what it is spent on.",
      seriesParts(list, criticalSeries), "s", "mean time on the critical path", names);
  stackIn(
      "energy", "Mean energy of a step, by part",
      "Most figures of energy are assumed; the configuration names each.",
      seriesParts(
          list,
          ENERGY.map(([name, title, slot]) => ({place: seriesPlace(name), name: title, slot}))
              .filter(({place}) => place >= 0)),
      "J", "mean energy", names);
  drawSpread();
  const readIn = prefillTable();
  const box = document.getElementById("read-in");
  box.replaceChildren(...(readIn ? [element("h3", {}, "Reading in"), readIn] : []));
}

// The share of steps that took no longer, from a hundred quantiles of all steps.
function drawSpread() {
  const shown = choice.points().filter(({point}) => stepsOf(point)?.quantiles.length);
  const box = document.getElementById("spread-box");
  if (!shown.length) {
    if (plots.delete("spread-plot")) Plotly.purge("spread-plot");
    box.replaceChildren();
    return;
  }
  const scale = scaleOf("s", shown.map(({point}) => stepsOf(point).quantiles.at(-1)));
  if (!document.getElementById("spread-plot")) {
    box.replaceChildren(
        element("h3", {}, "Distribution of latency"),
        element("p", {class: "quiet"}, "The share of all steps that took no longer; dotted: p50, p95, p99."),
        plotPlace("spread-plot", "distribution of latency"), element("div", {id: "spread-table"}));
  }
  const percent = [...Array(101).keys()];
  const figure = () => {
    return {
      traces:
          shown.map(({name, point, slot}) => ({
                      type: "scatter",
                      mode: "lines",
                      name,
                      x: stepsOf(point).quantiles.map((value) => value * scale.factor),
                      y: percent,
                      line: {color: colour(slot), dash: dash(slot), width: 2.2},
                      hovertemplate: `${wrapped(name, 50)}<br>%{y} % of steps within %{x:.4~g} ${scale.unit}`,
                    })),
      layout: {
        height: 360,
        xaxis: {title: `latency [${scale.unit}]`, type: spreadType(shown)},
        yaxis: {title: "share of steps [%]", range: [0, 101]},
        shapes: [50, 95, 99].map((y) => ({
                                   type: "line",
                                   xref: "paper",
                                   x0: 0,
                                   x1: 1,
                                   y0: y,
                                   y1: y,
                                   line: {color: css("quiet"), width: 1, dash: "dot"}
                                 })),
      },
    };
  };
  draw("spread-plot", figure);
  const columns = [["p50", 50], ["p95", 95], ["p99", 99], ["most", 100]];
  document.getElementById("spread-table")
      .replaceChildren(scrolling(
          "percentiles of latency",
          element(
              "table", {},
              element(
                  "thead", {},
                  element(
                      "tr", {}, element("th", {class: "name", scope: "col"}, "point"),
                      columns.map(
                          ([name]) => element(
                              "th", {scope: "col"}, name, element("span", {class: "unit"}, scale.unit))))),
              element(
                  "tbody", {},
                  shown.map(
                      ({name, point}) => element(
                          "tr", {}, element("th", {class: "name", scope: "row"}, breakable(name)),
                          columns.map(
                              ([, place]) => element(
                                  "td", {title: stepsOf(point).quantiles[place]},
                                  scaledText(stepsOf(point).quantiles[place], scale)))))))));
}

// What prompts and later messages take to be read in, where that is charged.
function prefillTable() {
  const shown = choice.points();
  const rows =
      shown
          .flatMap(
              ({name, point}) =>
                  (results.prefills[0]?.values[point] ?? []).map((_, prefill) => [name, prefill, point]))
          .filter(([, prefill,
                    point]) => results.prefills.some((metric) => isNumber(metric.values[point][prefill])));
  if (!rows.length) return null;
  return scrolling(
      "what is read in",
      element(
          "table", {},
          element(
              "thead", {},
              element(
                  "tr", {},
                  element("th", {class: "name", scope: "col"}, "read in: 0 the prompts, then turns"),
                  results.prefills.map(
                      (metric) => element("th", {scope: "col", title: metric.long_name}, metric.name)))),
          element(
              "tbody", {},
              rows.map(
                  ([name, prefill, point]) => element(
                      "tr", {}, element("th", {class: "name", scope: "row"}, `${name}: ${prefill}`),
                      results.prefills.map(
                          (metric) =>
                              element("td", {}, valueText(metric.values[point][prefill], metric.unit))))))));
}

function spreadType(shown) {
  const ends = shown.map(({point}) => stepsOf(point).quantiles);
  const least = Math.min(...ends.map((one) => one[0]));
  return least > 0 && Math.max(...ends.map((one) => one.at(-1))) > WIDE * least ? "log" : "linear";
}

function beginParts() {
  begin(
      "parts",
      hasSteps ?
          null :
          element(
              "p", {}, "These results keep no steps (record.per_step: false); here is what summaries say."),
      element(
          "div", {class: "two"},
          ["latency", "critical", "energy", "spread"].map((id) => element("div", {id: `${id}-box`}))),
      element("div", {id: "read-in"}));
  drawParts();
  choice.listeners.push(drawParts);
}
