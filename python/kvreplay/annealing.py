"""The least time that is found for a stream of reads whose future is known: simulated annealing over plans.

    plan = the seed; temperature from `hot` to `cold` by a constant factor, in units of a page read from ext
    each move:  a page and a step drawn, half of them among those that are read
                a span of steps around it, its length drawn geometrically
                flip: the page goes to the other memory for as much of the span as it is all in one
                swap: of two pages in different memories, both, for as much of the span as both are
                refused where a step would hold more than the capacity
                taken where it costs less, or by exp(-more / temperature)
    the best plan met is the result, so that it costs no more than the seed

A move changes what its steps read and what moves before its first and its last; only these are timed anew.
"""

from dataclasses import dataclass

import numpy as np

from .placement import (
    Copies,
    Floats,
    Memories,
    Plan,
    Stream,
    Traffic,
    held_by,
    plan_times,
    step_time,
    traffic_of,
)


@dataclass(frozen=True)
class Cooling:
    """How long, and from where to where; temperatures in the time that a page takes to be read from ext."""

    moves: int = 40_000
    hot: float = 0.5
    cold: float = 0.005
    mean_span: float = 12.0

    def __post_init__(self) -> None:
        if self.moves < 1 or not self.hot >= self.cold > 0 or self.mean_span < 1:
            raise ValueError(f"needs moves >= 1, hot >= cold > 0 and mean_span >= 1: {self}")


@dataclass(frozen=True)
class Change:
    """A page that goes to the other memory for steps `begin` to `end`, in all of which it is in one."""

    page: int
    begin: int
    end: int


def anneal(
    stream: Stream,
    seed_plan: Plan,
    capacity: float,
    memories: Memories,
    seed: int,
    copies: Copies = "inclusive",
    cooling: Cooling | None = None,
) -> Plan:
    """A plan of at most `capacity` bytes in every step that takes no longer than `seed_plan`.

    Raises ValueError where `seed_plan` itself holds more.
    """
    cooling = cooling or Cooling()
    search = _Search(stream, seed_plan, capacity, memories, copies)
    draws = np.random.default_rng(seed)
    per_page = stream.sizes.max() / memories.ext
    factor = (cooling.cold / cooling.hot) ** (1.0 / max(1, cooling.moves - 1))
    temperature = cooling.hot * per_page
    best, best_cost, cost = search.plan.copy(), 0.0, 0.0  # costs relative to the seed's
    for _ in range(cooling.moves):
        changes = search.draw(draws, cooling.mean_span)
        if changes:
            times, delta = search.try_out(changes)
            if delta <= 0 or draws.random() < np.exp(-delta / temperature):
                search.take(changes, times)
                cost += delta
                if cost < best_cost:
                    best, best_cost = search.plan.copy(), cost
        temperature *= factor
    # Sums of differences are not the difference of sums to the last bit.
    finds_more = plan_times(stream, best, memories, copies).sum()
    return best if finds_more <= plan_times(stream, seed_plan, memories, copies).sum() else seed_plan.copy()


@dataclass
class _Times:
    """Of the steps from `begin` on, as a move would leave them."""

    begin: int
    hbm: Floats
    ext: Floats
    came: Floats
    left: Floats
    seconds: Floats


class _Search:
    def __init__(
        self, stream: Stream, plan: Plan, capacity: float, memories: Memories, copies: Copies
    ) -> None:
        self.stream, self.memories, self.copies, self.capacity = stream, memories, copies, capacity
        self.plan = plan.copy()
        self.held = held_by(stream, plan)
        if (self.held > capacity).any():
            raise ValueError(f"the seed holds {self.held.max():g} bytes; there is room for {capacity:g}")
        traffic = traffic_of(stream, plan, copies)
        self.hbm, self.ext = np.asarray(traffic.hbm_read).copy(), np.asarray(traffic.ext_read).copy()
        self.came, self.left = np.asarray(traffic.moved_in).copy(), np.asarray(traffic.moved_back).copy()
        self.seconds = step_time(traffic, memories)
        self.exists = stream.exists
        self.begins = self.exists.argmax(axis=0)
        self.read_at = [np.flatnonzero(row) for row in stream.reads]
        self.there = [np.flatnonzero(row) for row in self.exists]

    def draw(self, draws: np.random.Generator, mean_span: float) -> list[Change]:
        """A move that keeps to the capacity, or none."""
        steps = len(self.plan)
        at = int(draws.integers(steps))
        among = self.read_at[at] if draws.random() < 0.5 else self.there[at]
        if not len(among):
            return []
        page = int(among[draws.integers(len(among))])
        behind, ahead = draws.geometric(1.0 / mean_span, 2) - 1
        begin, end = self._uniform(page, at, max(0, at - int(behind)), min(steps, at + int(ahead) + 1))
        if draws.random() < 0.5:
            others = np.flatnonzero(self.exists[at] & (self.plan[at] != self.plan[at, page]))
            if not len(others):
                return []
            other = int(others[draws.integers(len(others))])
            begin, end = self._uniform(other, at, begin, end)
            changes = [Change(page, begin, end), Change(other, begin, end)]
        else:
            changes = [Change(page, begin, end)]
        return changes if self._fits(changes) else []

    def _fits(self, changes: list[Change]) -> bool:
        grown = sum(self._grown(change) for change in changes)
        return bool((self.held[changes[0].begin : changes[0].end] + grown <= self.capacity).all())

    def _grown(self, change: Change) -> Floats:
        """What the first memory holds more, in the change's steps."""
        sizes = self.stream.sizes[change.begin : change.end, change.page]
        return -sizes if self.plan[change.begin, change.page] else sizes

    def _uniform(self, page: int, at: int, begin: int, end: int) -> tuple[int, int]:
        """The part of begin..end around `at` in which the page exists and is where it is at `at`."""
        begin = max(begin, int(self.begins[page]))
        other = self.plan[begin:end, page] != self.plan[at, page]
        before = np.flatnonzero(other[: at - begin])
        after = np.flatnonzero(other[at - begin :])
        return (
            begin + int(before[-1]) + 1 if len(before) else begin,
            at + int(after[0]) if len(after) else end,
        )

    def try_out(self, changes: list[Change]) -> tuple[_Times, float]:
        """What the steps that the move touches would take, and how much longer that is."""
        begin = max(0, changes[0].begin - 1)
        end = changes[0].end
        there = slice(begin, end)
        times = _Times(
            begin,
            *(part[there].copy() for part in (self.hbm, self.ext, self.came, self.left, self.seconds)),
        )
        for change in changes:
            self._apply(change, times)
        times.seconds = step_time(
            Traffic(times.hbm, times.ext, 0.0, self.stream.written[there], times.came, times.left),
            self.memories,
        )
        return times, float(times.seconds.sum() - self.seconds[there].sum())

    def _apply(self, change: Change, times: _Times) -> None:
        page, begin, end = change.page, change.begin, change.end
        sign = -1.0 if self.plan[begin, page] else 1.0  # 1: comes to be in the first memory
        read = sign * self.stream.reads[begin:end, page]
        times.hbm[begin - times.begin : end - times.begin] += read
        times.ext[begin - times.begin : end - times.begin] -= read
        if begin > 0 and self.exists[begin - 1, page]:
            beyond = bool(self.plan[begin - 1, page])
            self._pass(times, begin - 1, page, before=(beyond, beyond), after=(sign < 0, sign > 0))
        if end < len(self.plan):
            beyond = bool(self.plan[end, page])
            self._pass(times, end - 1, page, before=(sign < 0, sign > 0), after=(beyond, beyond))

    def _pass(
        self, times: _Times, step: int, page: int, before: tuple[bool, bool], after: tuple[bool, bool]
    ) -> None:
        """Behind `step`, whether the page was and comes to be in the first memory, now and then."""
        size = self.stream.sizes[step, page]
        for was, comes, weight in zip(before, after, (-size, size), strict=True):
            if comes and not was:
                times.came[step - times.begin] += weight
            elif was and not comes and self.copies == "exclusive":
                times.left[step - times.begin] += weight

    def take(self, changes: list[Change], times: _Times) -> None:
        """Makes the move that was tried out."""
        there = slice(times.begin, times.begin + len(times.hbm))
        self.hbm[there], self.ext[there] = times.hbm, times.ext
        self.came[there], self.left[there] = times.came, times.left
        self.seconds[there] = times.seconds
        for change in changes:
            span = slice(change.begin, change.end)
            self.held[span] += self._grown(change)
            self.plan[span, change.page] = ~self.plan[span, change.page]
