// The summary: a row for each variant, to be sorted, filtered and chosen from.

const MANY_ROWS = 100;
const MOST_VALUES = 24;  // of an axis that has a list to filter by

const table = {
  columns: metrics.filter((metric) => metric.overview),
  sort: null,  // {key, descending}; key: a metric, an axis or "name"
  text: "",
  axes: new Map(),  // axis -> text that is asked for
  all: false,
  listeners: [],
};
if (!table.columns.length) table.columns = metrics.slice(0, 10);

function filtered() {
  const words = table.text.toLowerCase().split(/\s+/).filter(Boolean);
  return variants.filter(
      (variant) => words.every((word) => variant.name.toLowerCase().includes(word)) &&
          [...table.axes].every(([axis, text]) => axisText(axisValue(variant, axis), axis) === text));
}

function sortValue(variant, key) {
  if (key === "name") return variant.name;
  return key.place === undefined ? axisValue(variant, key) : meanOf(variant, key);
}

function compared(a, b) {
  if (a == null || b == null) return (a == null) - (b == null);  // what has no value stands last
  const order =
      isNumber(a) && isNumber(b) ? a - b : String(a).localeCompare(String(b), "en", {numeric: true});
  return table.sort.descending ? -order : order;
}

function rowsInOrder() {
  const rows = filtered();
  return table.sort ?
      rows.sort((a, b) => compared(sortValue(a, table.sort.key), sortValue(b, table.sort.key))) :
      rows;
}

// By column, the best mean and, over seeds, those that its interval does not tell from it.
function bestOf(rows, metric) {
  if (!metric.better) return {best: new Set(), near: new Set()};
  const sign = signOf(metric.better);
  const known = rows.filter((row) => isNumber(meanOf(row, metric)));
  const least = Math.min(...known.map((row) => sign * meanOf(row, metric)));
  const best = known.filter((row) => sign * meanOf(row, metric) === least);
  const reach = Math.max(...best.map((row) => halfOf(row, metric) ?? 0));
  const near = known.filter((row) => {
    const half = halfOf(row, metric) ?? 0;
    return half + reach > 0 && sign * meanOf(row, metric) - half <= least + reach;
  });
  const told = best.length < known.length;  // where all are alike none is best
  return {best: new Set(told ? best : []), near: new Set(told ? near : [])};
}

function sortButton(key, text, unit) {
  const sorted = table.sort?.key === key;
  const arrow = sorted ? (table.sort.descending ? " ▾" : " ▴") : "";
  const turn = () => {
    const descending = sorted ? !table.sort.descending : key.better === "higher";
    table.sort = {key, descending};
    drawTable();
  };
  const title = key.long_name ? `${key.long_name}: ${key.formula}` : undefined;
  return element(
      "th", {
        scope: "col",
        class: key === "name" ? "name" : "",
        title,
        "aria-sort": sorted ? (table.sort.descending ? "descending" : "ascending") : "none",
      },
      element(
          "button", {type: "button", onclick: turn}, text + arrow,
          unit ? element("span", {class: "unit"}, unit) : null));
}

function metricCell(variant, metric, {best, near}) {
  const mean = meanOf(variant, metric);
  const half = halfOf(variant, metric);
  const kind = best.has(variant) ? "best" : near.has(variant) ? "near" : "";
  const title = isNumber(mean) ?
      `${mean}${isNumber(half) ? ` ± ${half}` : ""} ${metric.unit === "1" ? "" : metric.unit}` :
                                 undefined;
  return element(
      "td", {class: kind, title}, scaledText(mean, metric.scale),
      isNumber(half) && half > 0 ? element("span", {class: "half"}, ` ± ${scaledText(half, metric.scale)}`) :
                                   null);
}

function nameCell(variant) {
  const box = element("input", {
    type: "checkbox",
    onchange: (event) => {
      if (!event.target.checked)
        choice.remove(variant);
      else if (!choice.add(variant))
        event.target.checked = false;
    }
  });
  box.checked = choice.has(variant);
  const seeds = severalSeeds ?
      element("span", {class: "quiet seeds"}, ` (${plural(variant.points.length, "seed")})`) :
      null;
  return element(
      "th", {scope: "row", class: "name"},
      element("label", {class: "tick-name"}, box, element("span", {}, breakable(variant.name), seeds)));
}

function drawTable() {
  const rows = rowsInOrder();
  const marks = new Map(table.columns.map((metric) => [metric, bestOf(rows, metric)]));
  const shownRows = table.all ? rows : rows.slice(0, MANY_ROWS);
  const head = element(
      "tr", {}, sortButton("name", "point"), axes.map((axis) => sortButton(axis, axis.name)),
      table.columns.map((metric) => sortButton(metric, metric.heading, metric.scale.unit)));
  const body = shownRows.map(
      (variant) => element(
          "tr", {}, nameCell(variant),
          axes.map(
              (axis) => element(
                  "td", {class: isNumber(axisValue(variant, axis)) ? "" : "text"},
                  axisText(axisValue(variant, axis), axis))),
          table.columns.map((metric) => metricCell(variant, metric, marks.get(metric)))));
  document.getElementById("summary-table")
      .replaceChildren(
          scrolling(
              "summary of all points",
              element("table", {}, element("thead", {}, head), element("tbody", {}, body))),
          element(
              "p", {class: "quiet", "aria-live": "polite"},
              `${rows.length} of ${plural(variants.length, "point")}`,
              shownRows.length < rows.length ?
                  [
                    `, the first ${MANY_ROWS} are here. `,
                    element(
                        "button", {
                          type: "button",
                          onclick: () => {
                            table.all = true;
                            drawTable();
                          }
                        },
                        "all of them")
                  ] :
                  "."));
  for (const listener of table.listeners) listener();
}

function axisFilter(axis) {
  const values = [...new Set(variants.map((variant) => axisText(axisValue(variant, axis), axis)))];
  if (values.length < 2 || values.length > MOST_VALUES) return null;
  return select(axis.name, [["", "all"], ...values.map((value) => [value, value])], "", (value) => {
    if (value)
      table.axes.set(axis, value);
    else
      table.axes.delete(axis);
    drawTable();
  });
}

function columnChoices() {
  const boxes = metrics.map((metric) => {
    const box = element("input", {
      type: "checkbox",
      onchange: () => {
        const chosen = new Set(table.columns);
        if (!chosen.delete(metric)) chosen.add(metric);
        table.columns = metrics.filter((one) => chosen.has(one));
        drawTable();
      }
    });
    box.checked = table.columns.includes(metric);
    return element(
        "label", {title: metric.long_name}, box, metric.host ? `${metric.name} (measured)` : metric.name);
  });
  return element(
      "details", {class: "no-print"}, element("summary", {}, "columns"),
      element("div", {class: "choices"}, boxes));
}

function beginTable() {
  const search = element("input", {
    type: "search",
    id: "filter",
    placeholder: "words of a name",
    oninput: (event) => {
      table.text = event.target.value;
      drawTable();
    }
  });
  begin(
      "summary",
      element(
          "p", {}, severalSeeds ? "Means over seeds, ± half of their 95 % interval (Student's t). " : "",
          "The best of a column is marked",
          severalSeeds ? ", lighter what its interval does not tell from it" : "",
          ". Ticked points are drawn below, ", String(MOST_SHOWN), " at most."),
      element("div", {class: "controls"}, element("label", {}, "filter", search), axes.map(axisFilter)),
      columnChoices(), element("div", {id: "summary-table"}));
  drawTable();
}
