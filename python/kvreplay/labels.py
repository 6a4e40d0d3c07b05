"""Writes names beside markers so that none covers another."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation, Text

SIZE = 8.0  # of letters
SMALL_SIZE = 6.5  # where names are many
MANY = 25
MARKER = 4.0  # half a marker's size; this and all sizes are in points, distances from the marker's centre
GAP = 1.0  # between what is drawn and a name
NEAR = 16.0  # a name that is farther from its marker gets a line to it
GRAIN = 3.0  # lines keep boxes of this distance free
DISTANCES = (6, 9, 13, 18, 24, 31, 40, 52, 66, 82, 100, 120)
ANGLES = np.radians((45, 0, -45, 90, -90, 135, 180, -135, 22, -22, 67, -67, 112, -112, 157, -157))


def short_names(names: Sequence[str]) -> tuple[list[str], str]:
    """Of points that are called by the same keys, as "share=0.1,capacity=1MiB", the values alone and the keys
    in their order; otherwise the names, and nothing."""
    parts = [[one.partition("=") for one in name.split(",")] for name in names]
    keys = {tuple(key for key, _, _ in one) for one in parts}
    if len(keys) != 1 or not all(equals for one in parts for _, equals, _ in one):
        return list(names), ""
    return [", ".join(value for _, _, value in one) for one in parts], ", ".join(keys.pop())


def place_labels(
    axes: Axes,
    at: np.ndarray,
    names: Sequence[str],
    line: np.ndarray | None = None,
    *,
    half_sizes: np.ndarray | float = MARKER,
) -> None:
    """Writes each name at the free place nearest to its marker, earlier ones first, and in the upper right
    corner how many had no room.

    `at` is [name, 2]; `line`, [corner, 2], is one that no name may cover if there is another place; both are
    in data coordinates. `half_sizes` are those of the markers, [name] or one for all, in points. The axes
    must have their final size and limits.
    """
    halves = np.broadcast_to(half_sizes, len(names))
    size = SIZE if len(names) <= MANY else SMALL_SIZE
    note = axes.text(
        1, 1, _left_out(len(names)), transform=axes.transAxes, fontsize=size, ha="right", va="top"
    )
    room = Room(axes, at, halves, line, note)
    left_out = 0
    for marker, half, name in zip(at, halves, names, strict=True):
        text = axes.annotate(name, marker, (0, 0), textcoords="offset points", fontsize=size)
        text.set(ha="left", va="bottom", in_layout=False)
        offset = room.take(axes.transData.transform(marker) / room.scale, half, text)
        if offset is None:
            text.remove()
            left_out += 1
        else:
            text.xyann = tuple(offset)
    if left_out:
        note.set_text(_left_out(left_out))
    else:
        note.remove()


def _left_out(count: int) -> str:
    return "1 name has no room" if count == 1 else f"{count} names have no room"


class Room:
    """What of the axes is taken: boxes (x0, y0, x1, y1)."""

    def __init__(
        self, axes: Axes, at: np.ndarray, halves: np.ndarray, line: np.ndarray | None, note: Text
    ) -> None:
        axes.figure.canvas.draw()
        self._axes = axes
        self.scale = axes.figure.dpi / 72
        self._inside = np.array(axes.get_window_extent().extents) / self.scale
        markers = _boxes(axes.transData.transform(at) / self.scale, halves[:, np.newaxis])
        self._taken = np.vstack((markers, np.array(note.get_window_extent().extents) / self.scale))
        corners = axes.transData.transform(np.empty((0, 2)) if line is None else line) / self.scale
        ways = [_boxes(_between(start, end), GAP) for start, end in pairwise(corners)]
        self._line = np.vstack((np.empty((0, 4)), *ways))

    def take(self, marker: np.ndarray, half: float, text: Annotation) -> np.ndarray | None:
        """The offset of the text's lower left corner from its marker where there is a free place, over the
        line only if there is no other. That is taken then, and what leads to it, if it is far, is drawn."""
        extent = text.get_window_extent()
        size = np.array((extent.width, extent.height)) / self.scale
        offsets = _offsets(size, half)
        boxes = np.concatenate((offsets - GAP / 2, offsets + size + GAP / 2), axis=1) + np.tile(marker, 2)
        inside = (boxes[:, :2] >= self._inside[:2]) & (boxes[:, 2:] <= self._inside[2:])
        offsets, boxes = offsets[inside.all(axis=1)], boxes[inside.all(axis=1)]
        for taken in (np.vstack((self._taken, self._line)), self._taken):
            for place in np.flatnonzero(~_covers(boxes, taken)):
                end = np.clip((0, 0), offsets[place], offsets[place] + size)
                lead = _lead(marker, half, end)
                if not _covers(lead, taken).any():
                    self._taken = np.vstack((self._taken, boxes[place], lead))
                    if len(lead):
                        _draw_lead(self._axes, text, half, end)
                    return offsets[place]
        return None


def _lead(marker: np.ndarray, half: float, end: np.ndarray) -> np.ndarray:
    """What a line from a marker to `end` beside it takes; nothing where that is near."""
    distance = np.hypot(*end)
    if distance <= NEAR - MARKER + half:
        return np.empty((0, 4))
    return _boxes(_between(marker + end * (half + MARKER) / distance, marker + end)[:-1], GAP / 2)


def _covers(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Of each box, whether it covers a part of any of the others."""
    one = boxes[:, np.newaxis]
    apart = (one[..., :2] >= others[:, 2:]) | (one[..., 2:] <= others[:, :2])
    return ~apart.any(axis=2).all(axis=1)


def _offsets(size: np.ndarray, half: float) -> np.ndarray:
    """From the marker to the lower left corner of a box of that size, nearest first; [place, 2]."""
    towards = np.stack((np.cos(ANGLES), np.sin(ANGLES)), axis=1)
    away = (np.array(DISTANCES) - MARKER + half)[:, np.newaxis, np.newaxis] * towards
    return (away - size * (1 - towards) / 2).reshape(-1, 2)


def _boxes(centres: np.ndarray, half: float | np.ndarray) -> np.ndarray:
    return np.concatenate((centres - half, centres + half), axis=1)


def _between(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Places on the way, [place, 2], not farther than GRAIN from one another."""
    count = 2 + int(np.hypot(*(end - start)) / GRAIN)
    return np.linspace(start, end, count)


def _draw_lead(axes: Axes, text: Annotation, half: float, end: np.ndarray) -> None:
    style = {"arrowstyle": "-", "color": "0.5", "linewidth": 0.6, "shrinkA": 0, "shrinkB": half}
    line = axes.annotate("", text.xy, tuple(end), textcoords="offset points", arrowprops=style, zorder=1)
    line.set_in_layout(False)
