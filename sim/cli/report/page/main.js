// The head of the page, and all of its parts in order.

const FEW_NOTES = 6;

function factsOf() {
  const {provenance} = results;
  const list = (key, otherwise) => {
    const values = valuesOf(key);
    return values.length ? (values.length <= 3 ? values.join(", ") : plural(values.length, otherwise)) : null;
  };
  const seeds = new Set(points.map((point) => point.seed));
  const commit = provenance.commit ?? "";
  const lineOf = (text) => (text ?? "").split("\n")[0];
  return [
    ["trace", list("trace.path", "trace")?.split("/").at(-1) ?? lineOf(provenance.trace_path)],
    ["model", list("model.name", "model") ?? list("model.type", "model")],
    ["phone", list("phone.name", "phone")],
    ["storage", list("device.name", "device")],
    [
      "steps",
      hasSteps ? `${results.steps.numbers.length}` :
          list("run.steps", "length") === "0" ? null :
                                                list("run.steps", "length")
    ],
    ["points", `${variants.length}`],
    seeds.size > 1 ? ["seeds", `${seeds.size}`] : ["seed", `${[...seeds][0]}`],
    [
      "program",
      `kvreplay ${provenance.kvreplay_version ?? ""}, ${commit.slice(0, 10)}${
          commit.includes("dirty") ? ", changed since" : ""}`
    ],
  ].filter(([, text]) => text);
}

function beginNotes() {
  if (!results.notes.length) return;
  document.getElementById("notes-box").hidden = false;
  const lines = results.notes.map((note, number) => {
    const of = points.filter((point) => point.notes.includes(number)).map((point) => point.name);
    const names = of.length === points.length ? "" :
        of.length <= 4                        ? ` (${of.join("; ")})` :
                                                ` (${of.length} of ${points.length} points)`;
    return element("li", {}, note, names ? element("span", {class: "of"}, names) : null);
  });
  const rest = lines.splice(lines.length > FEW_NOTES + 1 ? FEW_NOTES : lines.length);
  document.getElementById("notes").replaceChildren(...lines);
  if (rest.length) {
    const more =
        element("details", {}, element("summary", {}, `${rest.length} more`), element("ul", {}, rest));
    document.getElementById("notes-box").append(more);
  }
}

function beginHead() {
  const name = valuesOf("name");
  const title = name.length === 1 && name[0] ? name[0] : results.file;
  document.title = `${title}: kvreplay report`;
  document.getElementById("title").textContent = title;
  const description = valuesOf("description");
  document.getElementById("description").textContent = description.length === 1 ? description[0] : "";
  document.getElementById("facts").replaceChildren(
      ...factsOf().map(([key, text]) => element("div", {}, element("dt", {}, key), element("dd", {}, text))));
  const incomplete = document.getElementById("incomplete");
  incomplete.hidden = results.complete;
  incomplete.textContent = `These results are not complete: ${points.length} of ${
      results.points_planned} points are here. What is best and what beats what may change with the others.`;
  document.getElementById("contents")
      .replaceChildren(...[...document.querySelectorAll("main > section")].map(
          (section) => element("a", {href: `#${section.id}`}, section.dataset.title)));
  document.getElementById("made-by").textContent = `Made by ${results.made_by} from ${
      results.file}. Drawn with plotly.js ${Plotly.version} (MIT licence).`;
  beginNotes();
}

function beginShown() {
  const list = element("div");
  const drawShown = () => {
    list.replaceChildren(element(
        "ul", {class: "legend"},
        choice.shown().map(
            ({variant, slot}) => element(
                "li", {}, swatch(slot, "line"), variant.name,
                element(
                    "button", {
                      type: "button",
                      "aria-label": `do not show ${variant.name}`,
                      onclick: () => {
                        choice.remove(variant);
                        drawTable();
                      }
                    },
                    "×")))));
    if (!choice.slots.size) list.replaceChildren(element("p", {}, "None; tick some in the summary."));
  };
  begin(
      "shown", element("p", {class: "quiet"}, "What is below is of these; they are ticked in the summary."),
      list,
      severalSeeds ? element(
                         "div", {class: "controls"},
                         select(
                             "by step", [["first", "the first seed of each"], ["all", "every seed"]], "first",
                             (value) => {
                               choice.seed = value;
                               choice.tell();
                             })) :
                     null);
  drawShown();
  choice.listeners.push(drawShown);
}

function beginPage() {
  beginTheme();
  beginHead();
  chooseFirst();
  beginTable();
  beginPareto();
  beginShown();
  beginParts();
  beginSteps();
  beginMap();
  beginMoment();
  beginConfiguration();
  beginProvenance();
  beginMeanings();
  let narrow = isNarrow();
  window.addEventListener("resize", () => {
    if (narrow === isNarrow()) return;
    narrow = isNarrow();
    for (const place of plots.keys()) drawAgain(place);
  });
  document.body.dataset.ready = "yes";
}

beginPage();
