// What the points are, where they come from and what the numbers mean.

const {common, differing} = results.configuration;
const differs = new Map(differing.map(({key, values}) => [key, values]));

// The value of a key, of each point or of all.
const valueOf = (key, point) => differs.get(key)?.[point] ?? common[key];
const valuesOf =
    (key) => [...new Set(points.map((_, point) => valueOf(key, point)).filter((value) => value != null))];

const keyTable = (label, head, rows) => scrolling(
    label,
    element(
        "table", {class: "keys"},
        head ? element(
                   "thead", {},
                   element(
                       "tr", {},
                       head.map(
                           (text, i) =>
                               element("th", {scope: "col", class: i ? "" : "name"}, breakable(text))))) :
               null,
        element("tbody", {}, rows)));

function differingTable() {
  const shown = choice.shown().map(({variant}) => variant);
  const rows = differing.filter(({key}) => !key.startsWith("system.about.") && key !== "run.seed")
                   .filter(({values}) => new Set(shown.map((one) => values[one.points[0]])).size > 1)
                   .map(
                       ({key, values}) => element(
                           "tr", {}, element("th", {class: "name", scope: "row"}, element("code", {}, key)),
                           shown.map(
                               (one) => element(
                                   "td", {},
                                   values[one.points[0]] == null ? element("span", {class: "quiet"}, "–") :
                                                                   values[one.points[0]]))));
  return rows.length ?
      keyTable("what differs between the points shown", ["key", ...shown.map((one) => one.name)], rows) :
      element(
          "p", {},
          shown.length > 1 ? "The points shown differ in nothing but seeds." :
                             "One point is shown; tick more of them in the summary.");
}

function wholeConfiguration(point) {
  const keys = [...new Set([...Object.keys(common), ...differs.keys()])]
                   .filter((key) => valueOf(key, point) != null)
                   .sort();
  const groups = new Map();
  for (const key of keys) {
    const group = key.split(".")[0];
    groups.set(group, [...(groups.get(group) ?? []), key]);
  }
  return [...groups].map(
      ([group, ofGroup]) => element(
          "details", {},
          element(
              "summary", {}, group, element("span", {class: "quiet"}, ` (${plural(ofGroup.length, "key")})`)),
          keyTable(
              `configuration: ${group}`, null,
              ofGroup.map(
                  (key) => element(
                      "tr", {class: differs.has(key) ? "differs" : ""},
                      element("th", {class: "name", scope: "row"}, element("code", {}, key)),
                      element("td", {}, valueOf(key, point)))))));
}

function beginConfiguration() {
  const whole = element("div");
  const drawWhole = (point) => whole.replaceChildren(...wholeConfiguration(point));
  const table = element("div");
  const drawDiffering = () => table.replaceChildren(differingTable());
  begin(
      "configuration", element("h3", {}, "What differs between the points shown"), table,
      element("h3", {}, "All of a point"),
      element(
          "div", {class: "controls"},
          select(
              "point", points.map((point, place) => [place, point.name]), 0,
              (place) => drawWhole(Number(place)))),
      element(
          "p", {class: "quiet"},
          "Resolved: every value, given or default. Marked is what some points have otherwise."),
      whole);
  drawWhole(0);
  drawDiffering();
  choice.listeners.push(drawDiffering);
}

function modelErrorTable() {
  const rows = points.flatMap((point) => point.model_errors.map((error) => [point.name, error]));
  if (!rows.length) return null;
  const percent = (value) => (isNumber(value) ? `${rounded(100 * value)} %` : "–");
  return scrolling(
      "models held against the device",
      element(
          "table", {},
          element(
              "thead", {},
              element(
                  "tr", {},
                  [
                    "batches, model against device", "model", "batches", "median error", "p95", "p99",
                    "total time"
                  ].map((text, i) => element("th", {scope: "col", class: i ? "" : "name"}, text)))),
          element(
              "tbody", {},
              rows.map(
                  ([name, error]) =>
                      element("tr", {}, element("th", {class: "name", scope: "row"}, breakable(name)), [
                        error.model, String(error.batches), percent(error.median), percent(error.p95),
                        percent(error.p99), percent(error.total_time)
                      ].map((text) => element("td", {}, text)))))));
}

function beginProvenance() {
  const rows = Object.entries(results.provenance)
                   .map(
                       ([name, value]) => element(
                           "tr", {}, element("th", {class: "name", scope: "row"}, breakable(name)),
                           element("td", {}, element("code", {}, value))));
  const errors = modelErrorTable();
  begin(
      "provenance", keyTable("provenance", null, rows),
      errors ? [element("h3", {}, "Batches that a real device served, and what its models said"), errors] :
               []);
}

function beginMeanings() {
  const row = (one) => element(
      "tr", {},
      element(
          "th", {class: "name", scope: "row"}, element("code", {}, one.host ? `host/${one.name}` : one.name)),
      [
        one.unit === "1" ? "" : one.unit, one.long_name, one.formula,
        {higher: "higher is better", lower: "lower is better"}[one.better] ?? ""
      ].map((text) => element("td", {}, text)));
  const seen = new Set();
  const once = series.filter((one) => !seen.has(one.name + one.host) && seen.add(one.name + one.host));
  const head = ["name", "unit", "meaning", "formula", ""];
  begin(
      "meanings",
      element(
          "p", {},
          "Quality is of single steps under exact inputs: local errors, not accuracy. " +
              "Times and energies are simulated; what is under host/ was measured."),
      element(
          "details", {},
          element("summary", {}, plural(metrics.length, "summary").replace("summarys", "summaries")),
          keyTable("summaries", head, metrics.map(row))),
      once.length ? element(
                        "details", {}, element("summary", {}, `${once.length} metrics by step`),
                        keyTable("metrics by step", head, once.map(row))) :
                    null);
}
