"""Holds the pairing's matching against networkx, on graphs far larger than trying all matchings allows."""

import networkx as nx
import numpy as np
import pytest
from drivers import run_driver


def random_graph(seed: int) -> nx.Graph:
    """Up to 70 vertices; few distinct weights make ties and nested blossoms, many make neither."""
    rng = np.random.default_rng(seed)
    graph = nx.gnp_random_graph(int(rng.integers(20, 70)), rng.choice([0.05, 0.1, 0.5, 1.0]), seed=seed)
    heaviest = int(rng.choice([1, 2, 5, 1000, 10**9]))
    for a, b in graph.edges:
        graph.edges[a, b]["weight"] = int(rng.integers(1, heaviest + 1))
    return graph


def odd_cycles(seed: int) -> nx.Graph:
    """Triangles and longer odd rings that share vertices: blossoms within blossoms."""
    rng = np.random.default_rng(seed)
    graph = nx.Graph()
    for _ in range(25):
        ring = rng.choice(70, size=int(rng.choice([3, 5, 7, 9])), replace=False).tolist()
        nx.add_cycle(graph, ring, weight=int(rng.integers(1, 4)))
    graph.add_nodes_from(range(70))
    return graph


def weight_of_ours(graph: nx.Graph) -> int:
    """Weight of what the driver prints, which must be a matching."""
    lines = "\n".join(f"{a} {b} {weight}" for a, b, weight in graph.edges(data="weight"))
    partners = list(map(int, run_driver("heaviest_matching", len(graph), stdin=lines.encode()).split()))
    assert len(partners) == len(graph)
    pairs = {(a, b) for a, b in enumerate(partners) if b >= 0}
    assert pairs == {(b, a) for a, b in pairs}
    return sum(graph.edges[pair]["weight"] for pair in pairs) // 2


@pytest.mark.parametrize("make", [random_graph, odd_cycles])
def test_matching_weighs_what_networkx_finds(make) -> None:
    """Equal weights; which edges they are may differ where several matchings weigh most."""
    for seed in range(25):
        graph = make(seed)
        theirs = sum(graph.edges[edge]["weight"] for edge in nx.max_weight_matching(graph))
        assert weight_of_ours(graph) == theirs, f"{make.__name__}({seed})"
