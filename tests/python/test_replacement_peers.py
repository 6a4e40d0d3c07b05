"""Holds the replacement policies against libCacheSim, which shares no code with them: equal hits."""

import h5py
import libcachesim
import numpy as np
import pytest
from drivers import ROOT, run_driver

SAMPLE = ROOT / "traces" / "samples" / "smollm2.h5"

# `belady_min` must keep newcomers, as libCacheSim's Belady must; `belady` may drop them and so has more hits.
PEERS = {
    "lru": libcachesim.LRU,
    "fifo": libcachesim.FIFO,
    "lfu": libcachesim.LFU,
    "clock": libcachesim.Clock,
    "arc": libcachesim.ARC,
    "s3_fifo": libcachesim.S3FIFO,
    "belady_min": libcachesim.Belady,
}
NEVER = 2**63 - 1


def zipf(uses: int = 12000) -> list[int]:
    """Ids with Zipf's popularity, exponent 0.9, over 3,000 objects."""
    rng = np.random.default_rng(1)
    weights = np.arange(1, 3001) ** -0.9
    return rng.choice(3000, size=uses, p=weights / weights.sum()).tolist()


def loops_and_scans(uses: int = 12000) -> list[int]:
    """Loops over 40 to 150 objects, one to four times, scans of objects that never return, skewed uses."""
    rng = np.random.default_rng(2)
    ids: list[int] = []
    scanned = 10**6
    while len(ids) < uses:
        if rng.random() < 0.3:
            length = int(rng.integers(50, 300))
            ids += range(scanned, scanned + length)
            scanned += length
        else:
            ids += list(range(int(rng.integers(40, 150)))) * int(rng.integers(1, 5))
        ids += (5000 + rng.pareto(0.6, 200) % 1000).astype(int).tolist()
    return ids[:uses]


def pages_of_sample(first: int = 1000, steps: int = 300, page: int = 4, share: float = 0.05) -> list[int]:
    """Pages that two heads of the shipped sample ask for: a share of those there are, by their best keys."""
    ids: list[int] = []
    with h5py.File(SAMPLE) as trace:
        prompt = int(trace.attrs["prefill_len"])
        layer = trace["layers/26"]
        keys = layer["keys"][:].astype(np.float32)
        queries = layer["queries"][:, -(int(trace.attrs["seq_len"]) - prompt) :].astype(np.float32)
    group = queries.shape[0] // keys.shape[0]
    for step in range(first, first + steps):
        for head in range(2):
            pages = (prompt + step) // page
            query = queries[head * group : (head + 1) * group, step].mean(axis=0)
            scores = (keys[head, : pages * page] @ query).reshape(pages, page).max(axis=1)
            wanted = np.argsort(scores, kind="stable")[-max(1, round(share * pages)) :]
            ids += (head * 1000 + wanted).tolist()
    return ids


TRACES = {"zipf": zipf, "loops_and_scans": loops_and_scans, "pages_of_sample": pages_of_sample}


def peer_hits(name: str, ids: list[int], capacity: int) -> int:
    """Hits of libCacheSim's policy; ids from 1, places in time from 0."""
    next_use = [NEVER] * len(ids)
    last: dict[int, int] = {}
    for at in range(len(ids) - 1, -1, -1):
        next_use[at] = last.get(ids[at], NEVER)
        last[ids[at]] = at
    cache = PEERS[name](capacity, hashpower=14)
    return sum(
        cache.get(
            libcachesim.Request(
                obj_size=1,
                obj_id=one + 1,
                clock_time=at,
                op=libcachesim.ReqOp.OP_GET,
                next_access_vtime=next_use[at],
            )
        )
        for at, one in enumerate(ids)
    )


def our_hits(ids: list[int], capacity: int) -> dict[str, int]:
    """Hits of every policy that kvreplay has, by the driver beside this file."""
    printed = run_driver("cache_hits", capacity, stdin="\n".join(map(str, ids)).encode()).decode()
    return {name: int(hits) for name, hits in (line.split() for line in printed.splitlines())}


@pytest.mark.parametrize("capacity", [20, 100, 300])
@pytest.mark.parametrize("trace", TRACES)
def test_every_policy_has_the_hits_of_its_peer(trace: str, capacity: int) -> None:
    """Hits are equal to the last one, and the oracle's bound holds for all policies."""
    ids = TRACES[trace]()
    ours = our_hits(ids, capacity)
    assert {name: ours[name] for name in PEERS} == {name: peer_hits(name, ids, capacity) for name in PEERS}
    assert max(ours.values()) == ours["belady"]
    # A trace on which all policies do alike would show nothing.
    assert len({ours[name] for name in PEERS}) >= 5
