// Names beside markers, none over another:
//
//   for each name, the most important first:
//     of the places around its marker, the nearest one first: take the first that is inside and covers
//     neither a marker, a name nor the line; if there is none, one that covers the line
//   what has no place is counted
//
// They are placed anew after each zoom, as others come into view.

const LABEL_SIZE = 12;
const LABEL_DISTANCES = [9, 14, 20, 28, 38, 50, 64, 80, 100];
const LABEL_ANGLES = [45, -45, 135, -135, 0, 180, 90, -90, 22, -22, 67, -67, 112, -112, 157, -157].map(
    (degrees) => (degrees * Math.PI) / 180);
const LINE_GRAIN = 6;
const MARKER = 6;  // half a marker's width
const NEAR = 22;   // a name that is farther from its marker gets a line to it

const covers = (one, other) =>
    one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3];

function widthOf(text) {
  widthOf.context ??= document.createElement("canvas").getContext("2d");
  widthOf.context.font = `${LABEL_SIZE}px ${getComputedStyle(document.body).fontFamily}`;
  return widthOf.context.measureText(text).width * 1.05 + 4;
}

const shortened = (text) => (text.length <= 44 ? text : `${text.slice(0, 43)}…`);

// Small boxes along a line through `corners`, in pixels.
function boxesAlong(corners) {
  const boxes = [];
  for (let i = 1; i < corners.length; i += 1) {
    const [[x0, y0], [x1, y1]] = [corners[i - 1], corners[i]];
    const count = 1 + Math.ceil(Math.hypot(x1 - x0, y1 - y0) / LINE_GRAIN);
    for (let k = 0; k <= count; k += 1) {
      const [x, y] = [x0 + ((x1 - x0) * k) / count, y0 + ((y1 - y0) * k) / count];
      boxes.push([x - 2, y - 2, x + 2, y + 2]);
    }
  }
  return boxes;
}

// at: [x, y] of each name in data coordinates, those that matter most first; lines: likewise, of
// what no name may cover if there is another place. Returns how many had no place.
async function placeLabels(place, names, at, lines) {
  const {xaxis, yaxis} = place._fullLayout;
  const [width, height] = [xaxis._length, yaxis._length];
  const inPixels = ([x, y]) => [xaxis.d2p(x), yaxis.d2p(y)];
  const markers = at.map(inPixels);
  const lineBoxes = lines.flatMap((line) => boxesAlong(line.map(inPixels)));
  const visible = markers.map(([x, y]) => x >= 0 && x <= width && y >= 0 && y <= height);
  const taken =
      markers.filter((_, i) => visible[i]).map(([x, y]) => [x - MARKER, y - MARKER, x + MARKER, y + MARKER]);
  const annotations = [];
  let without = 0;
  names.forEach((name, i) => {
    if (!visible[i]) return;
    const text = name.length > 60 ? shortened(name) : name;
    const size = [widthOf(text), LABEL_SIZE + 4];
    const found = freePlace(markers[i], size, [...taken, ...lineBoxes], [width, height]) ??
        freePlace(markers[i], size, taken, [width, height]);
    if (!found) {
      without += 1;
      return;
    }
    taken.push(found.box);
    annotations.push({
      x: xaxis.type === "log" ? Math.log10(at[i][0]) : at[i][0],
      y: yaxis.type === "log" ? Math.log10(at[i][1]) : at[i][1],
      text: escaped(text),
      showarrow: true,
      arrowhead: 0,
      arrowwidth: 1,
      standoff: MARKER,
      arrowcolor: found.far ? css("quiet") : "rgba(0,0,0,0)",
      ax: found.centre[0],
      ay: found.centre[1],
      font: {size: LABEL_SIZE, color: css("text")},
      borderpad: 0,
      captureevents: false,
    });
  });
  await Plotly.relayout(place, {annotations});
  return without;
}

// The box [left, top, right, bottom] and its centre from the marker, in pixels.
function freePlace([x, y], [width, height], taken, [right, bottom]) {
  for (const distance of LABEL_DISTANCES) {
    for (const angle of LABEL_ANGLES) {
      const centre = [Math.cos(angle) * (distance + width / 2), -Math.sin(angle) * (distance + height / 2)];
      const box = [
        x + centre[0] - width / 2, y + centre[1] - height / 2, x + centre[0] + width / 2,
        y + centre[1] + height / 2
      ];
      const inside = box[0] >= 0 && box[1] >= 0 && box[2] <= right && box[3] <= bottom;
      if (inside && !taken.some((other) => covers(box, other))) return {box, centre, far: distance > NEAR};
    }
  }
  return null;
}

async function withoutLabels(place) {
  await Plotly.relayout(place, {annotations: []});
  return 0;
}
