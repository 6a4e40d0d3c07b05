// What the page is about, and which points of it are shown. Parts of the page listen to the choice.

const results = JSON.parse(document.getElementById("results").textContent);
const {points, variants, axes, series, summaries} = results;
const MOST_SHOWN = 12;
const FIRST_SHOWN = 6;

// Summaries that some variant has a value of, with the scale of their column.
const metrics =
    summaries
        .map(
            (summary, place) =>
                ({...summary, place, scale: scaleOf(summary.unit, variants.map((one) => one.mean[place]))}))
        .filter((summary) => variants.some((one) => isNumber(one.mean[summary.place])));
const metricOf = (name) => metrics.find((metric) => metric.name === name);
const meanOf = (variant, metric) => variant.mean[metric.place];
const halfOf = (variant, metric) => variant.half_width[metric.place];
const severalSeeds = variants.some((variant) => variant.points.length > 1);

// What the sweep varies, of a variant: all its points are alike in it.
const axisValue = (variant, axis) => points[variant.points[0]].axes[axis.name];

function axisText(value, axis) {
  if (value == null) return "–";
  if (!isNumber(value) || !axis.unit) return String(value);
  return axis.unit === "B" ? sizeText(value) : valueText(value, axis.unit);
}

// The steps of a point, null where they are not on the page.
const stepsRead = new Map();
function stepsOf(point) {
  if (!stepsRead.has(point)) {
    const source = document.getElementById(`steps-${point}`);
    stepsRead.set(point, source ? JSON.parse(source.textContent) : null);
  }
  return stepsRead.get(point);
}
const hasSteps = results.steps.points.length > 0;
const seriesName = (one) => (one.label ? `${one.name} [${one.label}]` : one.name);
const seriesPlace = (name) => series.findIndex((one) => one.name === name && !one.host);
const meanOfSeries = (point, place) => results.steps.means[point]?.[place];

// Whether `one` is at least as good in all of `values` and better in one; values: [number, 1 or -1] by
// getter, 1 where less is better.
function beats(one, other, criteria) {
  let better = false;
  for (const {value, sign} of criteria) {
    const difference = sign * (value(other) - value(one));
    if (!(difference >= 0)) return false;
    better ||= difference > 0;
  }
  return better;
}

// Of `list`, those that have all values, and who beats each.
function dominance(list, criteria) {
  const known = list.filter((one) => criteria.every(({value}) => isNumber(value(one))));
  return known.map((one) => ({one, by: known.filter((other) => beats(other, one, criteria))}));
}

const signOf = (better) => (better === "higher" ? -1 : 1);
const defaultX = metricOf("latency_p50") ?? metrics.find((metric) => metric.better === "lower") ?? metrics[0];
const defaultY = metricOf("output_error_mean") ??
    metrics.find((metric) => metric.better && metric !== defaultX) ?? metrics.at(-1);

// The variants that are drawn step by step, each with a slot of colour of its own for as long as it is shown.
const choice = {
  slots: new Map(),
  seed: "first",
  listeners: [],
  has(variant) {
    return this.slots.has(variant);
  },
  add(variant) {
    if (this.slots.size >= MOST_SHOWN) return false;
    const used = new Set(this.slots.values());
    let slot = 0;
    while (used.has(slot)) slot += 1;
    this.slots.set(variant, slot);
    this.tell();
    return true;
  },
  remove(variant) {
    this.slots.delete(variant);
    this.tell();
  },
  tell() {
    for (const listener of this.listeners) listener();
  },
  // [{variant, slot}], as in the table of the summary.
  shown() {
    return variants.filter((one) => this.slots.has(one))
        .map((variant) => ({variant, slot: this.slots.get(variant)}));
  },
  // [{name, point, slot}]: one seed of each, or all.
  points() {
    return this.shown().flatMap(
        ({variant, slot}) => (this.seed === "all" ? variant.points : variant.points.slice(0, 1))
                                 .map((point) => ({name: points[point].name, point, slot})));
  },
};

// Those of the front first, of those that lie at one place the first.
function chooseFirst() {
  const all = variants.length <= MOST_SHOWN - 4;
  const directed = [defaultX, defaultY].filter((metric) => metric?.better);
  const criteria =
      directed.map((metric) => ({value: (one) => meanOf(one, metric), sign: signOf(metric.better)}));
  const front = dominance(variants, criteria).filter(({by}) => !by.length).map(({one}) => one);
  const placed = new Set();
  for (const variant of new Set(all ? variants : [...front, ...variants])) {
    const place = directed.map((metric) => meanOf(variant, metric)).join();
    const lacksSteps = hasSteps && !results.steps.points.includes(variant.points[0]);
    if (!all && (choice.slots.size >= FIRST_SHOWN || placed.has(place) || lacksSteps)) continue;
    placed.add(place);
    choice.slots.set(variant, choice.slots.size);
  }
}
