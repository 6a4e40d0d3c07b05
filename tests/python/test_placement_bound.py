"""Placement in two memories: the closed form of arXiv 2508.13231, its bounds, and plans by annealing."""

import itertools

import numpy as np
import pytest
from kvreplay.annealing import Cooling, _Search, anneal
from kvreplay.placement import (
    PAPER,
    Memories,
    Stream,
    Traffic,
    held_by,
    held_bytes,
    least_times,
    look_ahead,
    most_read,
    plan_times,
    step_time,
    traffic_of,
)

SMALL = Memories(hbm=8.0, link_read=2.0, link_write=4.0, internal=3.0)
SEEDS = range(8)


def a_stream(seed: int, steps: int = 12, pages: int = 6, share: float = 0.4) -> Stream:
    """Reads of pages of 10 bytes, two of which come to exist on the way."""
    draws = np.random.default_rng(seed)
    sizes = np.full((steps, pages), 10.0)
    sizes[: steps // 3, -1] = 0
    sizes[: steps // 2, -2] = 0
    reads = sizes * (draws.random((steps, pages)) < share)
    return Stream(reads, sizes, np.full(steps, 1.0), np.full(steps, 0.5))


def a_plan(stream: Stream, seed: int, capacity: float) -> np.ndarray:
    draws = np.random.default_rng(1000 + seed)
    plan = np.zeros(stream.reads.shape, dtype=bool)
    for step in range(len(plan)):
        for page in draws.permutation(plan.shape[1]):
            held = (stream.sizes[step] * plan[step]).sum() + stream.sizes[step, page]
            plan[step, page] = bool(stream.sizes[step, page] and held <= capacity and draws.random() < 0.7)
    return plan


def plain_time(
    a: float, b: float, reads: float, writes: float, into: float, back: float, m: Memories
) -> float:
    """The formula as it is printed."""
    hbm = (a * reads + b * writes + into + back) / m.hbm
    ext = (1 - a) * reads / min(m.link_read, m.internal) + max(
        ((1 - b) * writes + back) / m.link_write,
        into / m.link_read,
        ((1 - b) * writes + into + back) / m.internal,
    )
    return max(hbm, ext)


def test_a_step_by_hand():
    # HBM: (60 + 6 + 12 + 4) / 8 = 10.25. Beyond it: 40 / 2, and the longest of (2 + 4) / 4, 12 / 2, 18 / 3.
    traffic = Traffic(hbm_read=60, ext_read=40, hbm_written=6, ext_written=2, moved_in=12, moved_back=4)
    assert float(step_time(traffic, SMALL)) == pytest.approx(26.0, rel=1e-9)
    # All reads in HBM: 100 / 8 against nothing.
    assert float(step_time(Traffic(100, 0), SMALL)) == pytest.approx(12.5, rel=1e-9)
    # The configuration of the paper: a GB on each side.
    assert float(step_time(Traffic(1e9, 1e9), PAPER)) == pytest.approx(1 / 450, rel=1e-9)
    assert PAPER.best_share == pytest.approx(4900 / 5350, rel=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_steps_are_the_formula_as_printed(seed):
    draws = np.random.default_rng(seed)
    memories = Memories(*draws.uniform(1, 10, 4))
    a, b = draws.random(2)
    reads, writes, into, back = draws.uniform(0, 100, 4)
    traffic = Traffic(a * reads, (1 - a) * reads, b * writes, (1 - b) * writes, into, back)
    np.testing.assert_allclose(
        step_time(traffic, memories), plain_time(a, b, reads, writes, into, back, memories), rtol=1e-9
    )


def test_what_the_first_memory_holds_is_what_it_began_with_and_what_came_less_what_went():
    traffic = Traffic(0, 0, hbm_written=[1, 1, 1], moved_in=[0, 5, 0], moved_back=[0, 0, 7])
    np.testing.assert_array_equal(held_bytes(10, traffic), [11, 17, 11])


@pytest.mark.parametrize("memories", [SMALL, PAPER])
def test_without_migration_the_best_step_divides_bytes_as_bandwidths(memories):
    shares = np.linspace(0, 1, 100_001)
    times = step_time(Traffic(shares * 1e9, (1 - shares) * 1e9), memories)
    best = memories.best_share
    assert shares[times.argmin()] == pytest.approx(best, abs=1e-5)
    np.testing.assert_allclose(
        step_time(Traffic(best * 1e9, (1 - best) * 1e9), memories),
        1e9 / (memories.hbm + memories.ext),
        rtol=1e-9,
    )


@pytest.mark.parametrize("copies", ["inclusive", "exclusive"])
@pytest.mark.parametrize("seed", SEEDS)
def test_no_plan_reads_faster_than_both_bandwidths(seed, copies):
    stream = a_stream(seed)
    times = plan_times(stream, a_plan(stream, seed, 30), SMALL, copies)
    assert (times >= least_times(stream, SMALL) * (1 - 1e-12)).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_where_all_has_room_the_best_plan_that_moves_nothing_is_not_all_in_the_first(seed):
    stream = a_stream(seed, steps=6, pages=8, share=0.9)
    all_first = plan_times(stream, stream.exists, SMALL).sum()
    statics = [
        plan_times(stream, stream.exists & np.array(row, dtype=bool), SMALL).sum()
        for row in itertools.product([0, 1], repeat=8)
    ]
    best = int(np.argmin(statics))
    assert statics[best] < all_first and best != 2**8 - 1


@pytest.mark.parametrize("seed", SEEDS)
def test_where_nothing_moves_the_order_of_steps_does_not_matter(seed):
    whole = a_stream(seed)
    stream = Stream(whole.reads, np.full_like(whole.sizes, 10.0), whole.fixed, whole.written)
    plan = np.broadcast_to(a_plan(stream, seed, 30)[-1], stream.reads.shape)
    order = np.random.default_rng(seed).permutation(len(plan))
    mixed = Stream(stream.reads[order], stream.sizes, stream.fixed, stream.written)
    assert not np.any(traffic_of(stream, plan).moved_in)
    assert plan_times(mixed, plan, SMALL).sum() == pytest.approx(
        plan_times(stream, plan, SMALL).sum(), rel=1e-12
    )


def test_copies_that_are_exclusive_go_back_and_no_plan_is_faster_for_it():
    sizes = np.full((3, 2), 10.0)
    stream = Stream(sizes * 0, sizes, np.zeros(3), np.zeros(3))
    plan = np.array([[True, False], [False, True], [False, True]])
    for copies, back in (("inclusive", [0, 0, 0]), ("exclusive", [10, 0, 0])):
        traffic = traffic_of(stream, plan, copies)
        np.testing.assert_array_equal(traffic.moved_in, [10, 0, 0])
        np.testing.assert_array_equal(traffic.moved_back, back)
    # 10 in alone takes 10 / 2 on the link; with 10 back, the memory itself moves 20 / 3.
    assert plan_times(stream, plan, SMALL, "inclusive").sum() == pytest.approx(5.0, rel=1e-9)
    assert plan_times(stream, plan, SMALL, "exclusive").sum() == pytest.approx(20 / 3, rel=1e-9)


def test_what_begins_to_exist_is_placed_without_a_move():
    sizes = np.array([[10.0, 0.0], [10.0, 10.0]])
    stream = Stream(sizes * 0, sizes, np.zeros(2), np.zeros(2))
    moved = traffic_of(stream, np.array([[True, False], [True, True]]), "exclusive")
    assert not np.any(moved.moved_in) and not np.any(moved.moved_back)


@pytest.mark.parametrize("copies", ["inclusive", "exclusive"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_move_is_timed_as_the_whole_plan_would_be(seed, copies):
    stream = a_stream(seed)
    search = _Search(stream, a_plan(stream, seed, 30), 30, SMALL, copies)
    draws = np.random.default_rng(seed)
    tried = 0
    for _ in range(300):
        changes = search.draw(draws, 3.0)
        if not changes:
            continue
        tried += 1
        before = plan_times(stream, search.plan, SMALL, copies).sum()
        times, delta = search.try_out(changes)
        search.take(changes, times)
        after = plan_times(stream, search.plan, SMALL, copies)
        assert delta == pytest.approx(after.sum() - before, abs=1e-9)
        np.testing.assert_allclose(search.seconds, after, rtol=1e-9)
        np.testing.assert_allclose(search.held, held_by(stream, search.plan))
        assert (search.held <= 30).all()
    assert tried > 100


@pytest.mark.parametrize("copies", ["inclusive", "exclusive"])
@pytest.mark.parametrize("seed", SEEDS)
def test_annealing_costs_no_more_than_its_seed_and_keeps_to_the_capacity(seed, copies):
    stream = a_stream(seed)
    first = a_plan(stream, seed, 30)
    for moves in (1, 50, 2000):
        found = anneal(stream, first, 30, SMALL, seed, copies, Cooling(moves=moves, mean_span=3))
        assert (
            plan_times(stream, found, SMALL, copies).sum() <= plan_times(stream, first, SMALL, copies).sum()
        )
        assert (held_by(stream, found) <= 30).all() and not (found & ~stream.exists).any()
    np.testing.assert_array_equal(
        found, anneal(stream, first, 30, SMALL, seed, copies, Cooling(moves=2000, mean_span=3))
    )


def least_of_all(stream: Stream, capacity: float, memories: Memories, copies: str) -> float:
    """Over every plan there is."""
    steps, pages = stream.reads.shape
    rows = [np.array(row, dtype=bool) for row in itertools.product([0, 1], repeat=pages)]
    best = np.inf
    for chosen in itertools.product(rows, repeat=steps):
        plan = np.array(chosen)
        if not (plan & ~stream.exists).any() and (held_by(stream, plan) <= capacity).all():
            best = min(best, plan_times(stream, plan, memories, copies).sum())
    return best


@pytest.mark.parametrize("copies", ["inclusive", "exclusive"])
@pytest.mark.parametrize("seed", range(3))
def test_annealing_finds_the_best_of_all_plans_where_they_can_be_counted(seed, copies):
    stream = a_stream(seed, steps=4, pages=3, share=0.6)
    least = least_of_all(stream, 20, SMALL, copies)
    first = np.zeros(stream.reads.shape, dtype=bool)
    cooling = Cooling(moves=3000, hot=2.0, cold=0.01, mean_span=2)
    found = [
        plan_times(stream, anneal(stream, first, 20, SMALL, s, copies, cooling), SMALL, copies).sum()
        for s in range(3)
    ]
    assert min(found) == pytest.approx(least, rel=1e-9)
    assert all(cost >= least * (1 - 1e-12) for cost in found)


@pytest.mark.parametrize("seed", SEEDS)
def test_plans_that_know_the_future_keep_to_the_capacity(seed):
    stream = a_stream(seed)
    for plan in (most_read(stream, 25), look_ahead(stream, 25), look_ahead(stream, 25, kept=False)):
        assert (held_by(stream, plan) <= 25).all() and not (plan & ~stream.exists).any()
    assert not np.any(traffic_of(stream, most_read(stream, 25)).moved_in)


def test_what_cannot_be_is_refused():
    stream = a_stream(0)
    full = stream.exists
    with pytest.raises(ValueError, match="there is room for 20"):
        anneal(stream, full, 20, SMALL, 0)
    with pytest.raises(ValueError, match="do not exist"):
        traffic_of(stream, np.ones_like(full))
    with pytest.raises(ValueError, match="more of a page is read"):
        Stream(stream.sizes + 1, stream.sizes, stream.fixed, stream.written)
    with pytest.raises(ValueError, match="becomes smaller"):
        Stream(stream.reads * 0, stream.sizes[::-1], stream.fixed, stream.written)
    with pytest.raises(ValueError, match="must have 12 steps"):
        Stream(stream.reads, stream.sizes, stream.fixed[1:], stream.written)
    with pytest.raises(ValueError, match="above 0"):
        Memories(1, 1, 0, 1)
    with pytest.raises(ValueError, match="moves >= 1"):
        Cooling(moves=0)
