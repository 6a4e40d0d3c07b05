"""Where pages lie that attention reads in two memories at once: the time of a step, and of plans.

The time is the closed form of arXiv 2508.13231, whose symbols stand beside the names here:

    T     = max(T_HBM, T_ext)
    T_HBM = (a D_R + b D_W + D_M) / B_HBM
    T_ext = (1 - a) D_R / min(B_if_R, B_int)
            + max(((1 - b) D_W + D_M^W) / B_if_W, D_M^R / B_if_R, ((1 - b) D_W + D_M) / B_int)

The replay's step differs from it in two points: what a stage moves to where it belongs takes the link
behind the step's updates instead of sharing bandwidth with reads, and so do new entries, all of which the
last tier takes (b = 0). Reading alone (D_W = D_M = 0) is the same in both.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Copies = Literal["inclusive", "exclusive"]
Plan = NDArray[np.bool_]  # [steps, pages]: whether the page is in the first memory while the step reads
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Memories:
    """Bandwidths in bytes per second."""

    hbm: float  # B_HBM
    link_read: float  # B_if_R, from the second memory to where attention computes
    link_write: float  # B_if_W
    internal: float  # B_int, of the second memory itself

    def __post_init__(self) -> None:
        if not all(value > 0 for value in (self.hbm, self.link_read, self.link_write, self.internal)):
            raise ValueError(f"bandwidths must be above 0: {self}")

    @property
    def ext(self) -> float:
        """At which the second memory is read."""
        return min(self.link_read, self.internal)

    @property
    def best_share(self) -> float:
        """Of reads, what the first memory serves so that both end at once; nothing is written or moved."""
        return self.hbm / (self.hbm + self.ext)


# The configuration of arXiv 2508.13231; its HBM holds 23 GB.
PAPER = Memories(hbm=4900e9, link_read=450e9, link_write=450e9, internal=500e9)


@dataclass(frozen=True)
class Traffic:
    """Bytes of a step, or of many along one dimension."""

    hbm_read: ArrayLike  # a D_R
    ext_read: ArrayLike  # (1 - a) D_R
    hbm_written: ArrayLike = 0.0  # b D_W
    ext_written: ArrayLike = 0.0  # (1 - b) D_W
    moved_in: ArrayLike = 0.0  # D_M^R, from the second memory into the first
    moved_back: ArrayLike = 0.0  # D_M^W


def step_time(traffic: Traffic, memories: Memories) -> Floats:
    """Seconds of each step."""
    moved_in, moved_back = np.asarray(traffic.moved_in), np.asarray(traffic.moved_back)
    ext_written = np.asarray(traffic.ext_written)
    moved = moved_in + moved_back
    hbm = (np.asarray(traffic.hbm_read) + np.asarray(traffic.hbm_written) + moved) / memories.hbm
    links = np.maximum((ext_written + moved_back) / memories.link_write, moved_in / memories.link_read)
    behind = np.maximum(links, (ext_written + moved) / memories.internal)
    return np.maximum(hbm, np.asarray(traffic.ext_read) / memories.ext + behind)


def held_bytes(initial: float, traffic: Traffic) -> Floats:
    """What the first memory holds after each step: D_ini + sum(b D_W + D_M^R - D_M^W)."""
    grown = np.asarray(traffic.hbm_written) + np.asarray(traffic.moved_in) - np.asarray(traffic.moved_back)
    return initial + np.cumsum(grown)


@dataclass(frozen=True)
class Stream:
    """What a layer reads, step by step, in bytes. Arrays are [steps, pages] or [steps].

    `sizes` is 0 while a page does not exist, and never falls; `reads` is what is read of each page, wherever
    it lies. `fixed` is read in the first wherever pages lie, and `written` goes to the second.
    """

    reads: Floats
    sizes: Floats
    fixed: Floats
    written: Floats

    def __post_init__(self) -> None:
        steps = len(self.reads)
        if self.sizes.shape != self.reads.shape or (self.reads > self.sizes).any() or (self.reads < 0).any():
            raise ValueError("more of a page is read than there is")
        if (np.diff(self.sizes, axis=0) < 0).any():
            raise ValueError("a page becomes smaller")
        if self.fixed.shape != (steps,) or self.written.shape != (steps,):
            raise ValueError(f"fixed and written must have {steps} steps")

    @property
    def exists(self) -> NDArray[np.bool_]:
        return self.sizes > 0

    @property
    def all_reads(self) -> Floats:
        """D_R of each step."""
        return self.reads.sum(axis=1) + self.fixed


def held_by(stream: Stream, plan: Plan) -> Floats:
    """Bytes of pages in the first memory, in each step."""
    return (stream.sizes * plan).sum(axis=1)


def traffic_of(stream: Stream, plan: Plan, copies: Copies = "inclusive") -> Traffic:
    """What a plan comes to.

    Pages move when a step has been read, and count there. What begins to exist is in both memories already:
    to be placed then moves nothing. What leaves the first memory moves only where copies are exclusive.
    """
    if plan.shape != stream.reads.shape or (plan & ~stream.exists).any():
        raise ValueError("the plan places pages that do not exist")
    came = np.zeros(len(plan))
    left = np.zeros(len(plan))
    came[:-1] = (stream.sizes[:-1] * (~plan[:-1] & plan[1:])).sum(axis=1)
    if copies == "exclusive":
        left[:-1] = (stream.sizes[:-1] * (plan[:-1] & ~plan[1:])).sum(axis=1)
    return Traffic(
        hbm_read=(stream.reads * plan).sum(axis=1) + stream.fixed,
        ext_read=(stream.reads * ~plan).sum(axis=1),
        ext_written=stream.written,
        moved_in=came,
        moved_back=left,
    )


def plan_times(stream: Stream, plan: Plan, memories: Memories, copies: Copies = "inclusive") -> Floats:
    """Seconds of each step of a plan."""
    return step_time(traffic_of(stream, plan, copies), memories)


def least_times(stream: Stream, memories: Memories) -> Floats:
    """No plan of any policy reads a step in less: D_R over both bandwidths."""
    return stream.all_reads / (memories.hbm + memories.ext)


def most_read(stream: Stream, capacity: float) -> Plan:
    """Knows the future and moves nothing: the pages that all steps read most, by byte, as they fit."""
    worth = stream.reads.sum(axis=0) / np.maximum(stream.sizes[-1], 1)
    plan = np.zeros(stream.reads.shape, dtype=bool)
    held = np.zeros(len(plan))
    for page in np.argsort(-worth, kind="stable"):
        if worth[page] > 0 and (held + stream.sizes[:, page] <= capacity).all():
            plan[:, page] = stream.exists[:, page]
            held += stream.sizes[:, page]
    return plan


def look_ahead(stream: Stream, capacity: float, kept: bool = True) -> Plan:
    """Knows what the next step reads, and places that until there is no room, what is there already first.

    `kept`: where room is left, what was there stays, the lower pages first.
    """
    plan = np.zeros(stream.reads.shape, dtype=bool)
    before = np.zeros(plan.shape[1], dtype=bool)
    for step, (reads, sizes) in enumerate(zip(stream.reads, stream.sizes, strict=True)):
        wanted = 2 * (reads > 0) + before
        room = capacity
        for page in np.argsort(-wanted, kind="stable"):
            if sizes[page] and (wanted[page] >= 2 or (kept and before[page])) and sizes[page] <= room:
                plan[step, page] = True
                room -= sizes[page]
        before = plan[step]
    return plan
