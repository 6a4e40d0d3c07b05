"""Places of the shipped sample that stand for facts: what of their attention survives where that is known."""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "notebooks"))

from needles import (
    SYSTEMS,
    Needle,
    by_fact,
    chosen,
    difference,
    draw,
    needles_of,
    page,
    run_all,
    spread,
    survives,
    true_share,
)

PROMPT, BUDGETS = 256, (16, 64)
# With 16 entries StreamingLLM has the first 4 and the last 12 of the prompt; of [10, 20) it has none.
FACTS = [
    {"depth": 0.0, "first": 0, "tokens": 4, "in_prompt": True, "step": 1, "steps": 3},
    {"depth": 0.5, "first": 10, "tokens": 10, "in_prompt": False, "step": 4, "steps": 2},
    {"depth": 1.0, "first": 245, "tokens": 11, "in_prompt": False, "step": 2, "steps": 4},
]


@pytest.fixture(scope="module")
def trace(tmp_path_factory, project_root: Path) -> Path:
    path = tmp_path_factory.mktemp("needles") / "sample.h5"
    path.symlink_to(project_root / "traces" / "samples" / "smollm2.h5")
    path.with_suffix(".json").write_text(json.dumps(FACTS))
    return path


@pytest.fixture(scope="module")
def needles(kvreplay, trace: Path) -> list[Needle]:
    run_all(trace, trace.parent / "results", BUDGETS)
    return list(needles_of(trace, trace.parent / "results", BUDGETS))


def softmax_over(trace: Path, fact: dict, layer: int) -> np.ndarray:
    """[heads]: what the fact gets of all attention, mean over its steps and the query heads of a group."""
    steps = range(fact["step"], fact["step"] + fact["steps"])
    with h5py.File(trace) as file:
        scale, at = file.attrs["attention_scale"], file["query_positions"][:].tolist()
        keys = file[f"layers/{layer}/keys"][:].astype(np.float64)
        queries = file[f"layers/{layer}/queries"][:].astype(np.float64)
    group = len(queries) // len(keys)
    shares = np.zeros((len(steps), len(queries)))
    for row, step in enumerate(steps):
        position = PROMPT + step
        for head, query in enumerate(queries[:, at.index(position)]):
            logits = scale * keys[head // group, : position + 1] @ query
            weights = np.exp(logits - logits.max())
            shares[row, head] = weights[fact["first"] : fact["first"] + fact["tokens"]].sum() / weights.sum()
    return shares.mean(axis=0).reshape(len(keys), group).mean(axis=1)


def test_the_facts_part_of_all_attention_is_the_softmax_over_it(needles, trace: Path) -> None:
    for fact in FACTS:
        for one in chosen(needles, system="full", depth=fact["depth"]):
            for layer in one.true_mass.layer.values:
                expected = softmax_over(trace, fact, int(layer))
                assert np.allclose(one.true_mass.sel(layer=layer) / one.steps, expected, atol=1e-5)
            assert np.array_equal(one.mass, one.true_mass)


def test_what_a_window_keeps_is_all_there_and_what_it_drops_is_not(needles) -> None:
    for depth, share in ((0.0, 100.0), (0.5, 0.0), (1.0, 100.0)):
        (one,) = chosen(needles, system="StreamingLLM once", budget=16, depth=depth)
        assert np.isclose(survives(one), share)


def test_every_system_has_a_row_for_every_budget_and_shares_are_shares(needles) -> None:
    assert {one.system for one in needles} >= {"full", *SYSTEMS}
    for system in SYSTEMS:
        for budget in BUDGETS:
            several = chosen(needles, system=system, budget=budget)
            assert [one.depth for one in several] == [fact["depth"] for fact in FACTS]
            assert all(0.0 <= survives(one) <= 100.0 for one in several)
    assert all((one.mass <= one.true_mass + 1e-12).all() for one in needles)
    lines = page(needles).splitlines()
    assert sum(line.startswith("| SnapKV |") for line in lines) == 2 * len(BUDGETS)


def test_a_share_is_of_all_attention_together(needles) -> None:
    """Not the mean of the heads' shares: a head that hardly looks at the fact hardly counts."""
    for one in chosen(needles, system="SnapKV", budget=16):
        assert np.isclose(survives(one), 100 * float(one.mass.sum()) / float(one.true_mass.sum()))
        assert np.isclose(true_share(one), 100 * float(one.true_mass.mean()) / one.steps)


def test_two_answers_of_a_fact_are_one_fact(needles) -> None:
    """What is asked for in two prompts that are one text up to the question."""
    again = [one._replace(trace="again", mass=0 * one.mass) for one in needles]
    facts = by_fact([*needles, *again])
    assert len(facts) == len(needles) == len(by_fact(needles))
    for once, twice in zip(by_fact(needles), facts, strict=True):
        assert np.isclose(survives(twice), survives(once) / 2)
        assert np.isclose(true_share(twice), true_share(once))
    one = needles[0]
    assert len(by_fact([one, one._replace(in_prompt=not one.in_prompt)])) == 2
    assert len(by_fact([one, one._replace(length=4 * one.length)])) == 2


def test_a_difference_is_of_pairs_and_has_an_interval_where_facts_are_enough(needles) -> None:
    (some,) = chosen(needles, system="StreamingLLM once", budget=16, depth=0.0)
    facts = [some._replace(depth=0.1 * at) for at in range(6)]
    shares = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 1.0])
    others = [one._replace(mass=share * one.mass) for one, share in zip(facts, shares, strict=True)]
    each = 100 * (1 - shares)
    half = 2.5706 * each.std(ddof=1) / np.sqrt(6)  # Student's, 5 degrees of freedom
    assert difference(facts, others[::-1]) == f"{each.mean():+.0f} ± {half:.0f} (5)"
    assert difference(facts[:3], others) == "20 (10 to 30)"
    assert (spread([1.0, 2.0, 6.0]), spread([2.0, 2.0]), spread([0.5, 1.0], 2)) == (
        "3 (1 to 6)", "2", "0.75 (0.50 to 1.00)",
    )  # fmt: skip


def test_entries_after_the_prompt_are_the_budget(needles) -> None:
    for system in SYSTEMS:
        for one in chosen(needles, system=system, budget=64):
            assert np.isclose(one.kept.mean(), 64, atol=0.5), system
    assert all((one.kept == PROMPT).all() for one in chosen(needles, system="full"))


def test_the_page_compares_facts_that_are_asked_for_both_ways(needles) -> None:
    both = [*needles, *(one._replace(trace="other", in_prompt=True) for one in needles if one.depth == 0.5)]
    lines = page(both).splitlines()
    assert "Differences between systems, of 1 facts between the ends:" in lines
    assert sum(line.startswith("| DynamicKV over ") for line in lines) == len(SYSTEMS) - 1
    assert "| AdaKV | 0 | 0 |" in lines  # the same answer, in and after the prompt
    layers = [line for line in lines if line.split(" | ")[0].strip("| ").isdigit()]
    assert len(layers) == needles[0].kept.sizes["layer"]
    shares = [float(line.split(" | ")[1]) for line in layers]
    assert abs(sum(shares) - 100) <= len(layers)


def test_the_picture_has_all_systems(needles) -> None:
    assert len(draw(needles, BUDGETS[0]).axes) == 2 * len(SYSTEMS) + 1


def test_a_folder_without_facts_is_told(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "notebooks" / "needles.py", tmp_path]
    done = subprocess.run([*map(str, command)], check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "there is no trace with a list of facts in" in done.stderr
