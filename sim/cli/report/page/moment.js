// One step: what bounds the typical and the slowest one of each point, and, where a timeline was given, every
// operation of a step on the resource that it took.

const moment = {
  point: 0,
  step: 0
};
const {timeline} = results;
const US = 1e-6;

function drawBounds() {
  const rows =
      choice.points()
          .filter(({point}) => stepsOf(point)?.median)
          .flatMap(
              ({name, point}) => ["median", "slowest"].map(
                  (kind) => ({
                    name: `${name}: ${kind} step, ${results.steps.numbers[stepsOf(point)[kind].step]}`,
                    values: stepsOf(point)[kind].values
                  })));
  const parts =
      criticalSeries
          .map(({place, name, slot}) => ({name, slot, values: rows.map((row) => row.values[place])}))
          .filter((part) => part.values.some((value) => value > 0));
  stackIn(
      "bounds", "The critical path of a typical and of the slowest step",
      "Of each point, the step whose latency is the median (the lower of two) and the longest. " +
          "The bars add up to its latency; they tell what bounds it, not when it was.",
      parts, "s", "time on the critical path", rows.map((row) => row.name));
}

const spansOf = () => timeline.points[moment.point].steps[moment.step];
const pathOf = (spans) => spans.filter((span) => span[5] === 1);

function spanText([track, name, begin, duration, layer, critical, requests, bytes]) {
  return [
    `<b>${escaped(timeline.names[name])}</b>, layer ${layer}`,
    `${withUnit(duration * US, scaleOf("s", [duration * US]))} from ${
        withUnit(begin * US, scaleOf("s", [begin * US]))}`,
    requests ? `${plural(requests, "request")}, ${valueText(bytes, "B")}` : timeline.tracks[track],
    critical ? "on the critical path" : "not on the critical path"
  ].join("<br>");
}

function drawTimeline() {
  const step = spansOf();
  const scale = scaleOf("s", [step.latency_us * US]);
  const factor = scale.factor * US;
  const used = [...new Set(step.spans.map((span) => span[1]))].sort((a, b) => a - b);
  const tracks = [...new Set(step.spans.map((span) => span[0]))].sort((a, b) => a - b);
  const row = new Map(tracks.map((track, i) => [track, i]));
  document.getElementById("timeline-legend")
      .replaceChildren(legend(
          used.map((name) => ({name: timeline.names[name], slot: slotOfPurpose(timeline.names[name])}))));
  const bars = (spans, critical) => {
    const slots = spans.map((span) => slotOfPurpose(timeline.names[span[1]]));
    return {
      type: "bar",
      orientation: "h",
      base: spans.map((span) => span[2] * factor),
      x: spans.map((span) => span[3] * factor),
      y: spans.map((span) => row.get(span[0])),
      width: critical ? 0.8 : 0.5,
      customdata: spans.map(spanText),
      hovertemplate: "%{customdata}",
      showlegend: false,
      marker: {color: slots.map(colour), opacity: critical ? 1 : 0.6, line: {width: 0}, ...patterns(slots)},
    };
  };
  const figure = () => {
    return {
      traces: [bars(step.spans.filter((span) => span[5] !== 1), false), bars(pathOf(step.spans), true)],
      layout: {
        barmode: "overlay",
        height: 130 + tracks.length * 58,
        xaxis: {
          title: `time from the step's begin [${scale.unit}]`,
          range: [0, step.latency_us * factor * 1.01]
        },
        yaxis: {
          tickvals: tracks.map((_, i) => i),
          ticktext: tracks.map((track) => wrapped(timeline.tracks[track], 12)),
          autorange: "reversed",
          showgrid: false,
          fixedrange: true
        },
      },
    };
  };
  draw("timeline-plot", figure);
  document.getElementById("timeline-path").replaceChildren(pathTable(step));
}

// What the critical path is spent on, in operations and time.
function pathTable(step) {
  const by = new Map();
  for (const span of pathOf(step.spans)) {
    const sum = by.get(span[1]) ?? {count: 0, us: 0};
    by.set(span[1], {count: sum.count + 1, us: sum.us + span[3]});
  }
  const rows = [...by].sort((a, b) => b[1].us - a[1].us);
  const scale = scaleOf("s", [step.latency_us * US]);
  const cell = (text) => element("td", {}, text);
  const total = rows.reduce((sum, [, {us}]) => sum + us, 0);
  return scrolling(
      "the critical path of the step",
      element(
          "table", {},
          element(
              "thead", {},
              element(
                  "tr", {},
                  ["on the critical path", "operations", `time [${scale.unit}]`, "share of the step"].map(
                      (text, i) => element("th", {scope: "col", class: i ? "" : "name"}, text)))),
          element(
              "tbody", {},
              rows.map(
                  ([name, {count, us}]) => element(
                      "tr", {}, element("th", {scope: "row", class: "name"}, timeline.names[name]),
                      cell(String(count)), cell(scaledText(us * US, scale)),
                      cell(`${rounded((100 * us) / step.latency_us)} %`))),
              element(
                  "tr", {}, element("th", {scope: "row", class: "name"}, "all"),
                  cell(String(pathOf(step.spans).length)), cell(scaledText(total * US, scale)),
                  cell(`${rounded((100 * total) / step.latency_us)} %`)))));
}

function timelineControls() {
  const {steps} = timeline.points[moment.point];
  return element(
      "div", {class: "controls", id: "timeline-controls"},
      select(
          "point", timeline.points.map((one, place) => [place, points[one.point].name]), moment.point,
          (place) => {
            moment.point = Number(place);
            moment.step = 0;
            document.getElementById("timeline-controls").replaceWith(timelineControls());
            drawTimeline();
          },
          {id: "timeline-point"}),
      select(
          "step",
          steps.map(
              (one, place) =>
                  [place,
                   `step ${one.step}, position ${one.position}: ${valueText(one.latency_us * US, "s")}`]),
          moment.step, (place) => {
            moment.step = Number(place);
            drawTimeline();
          }));
}

function beginMoment() {
  const given = timeline && timeline.points.length > 0;
  begin(
      "moment", element("div", {id: "bounds-box"}), element("h3", {}, "Timeline of a step"),
      given ?
          [
            element(
                "p", {class: "quiet"},
                `From ${timeline.file}, in simulated time. Tall bars are the critical path: each begins ` +
                    "when the one before it ends. Drag over a part to see more of it.",
                timeline.left_out ? ` ${plural(timeline.left_out, "step")} of the file had no room.` : ""),
            timelineControls(),
            element("div", {id: "timeline-legend"}),
            plotPlace("timeline-plot", "operations of a step over time"),
            element("div", {id: "timeline-path"}),
          ] :
          element(
              "p", {}, "No timeline was given. ",
              element("code", {}, "kvreplay run CONFIG.yaml -o RESULT.h5 --timeline TIMELINE.json"),
              " records the operations of some steps (--timeline-steps), and ",
              element("code", {}, "kvreplay report RESULT.h5 --timeline TIMELINE.json -o REPORT.html"),
              " draws them here."));
  drawBounds();
  choice.listeners.push(drawBounds);
  if (given) drawTimeline();
}
