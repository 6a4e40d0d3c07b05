"""Contexts that questions share: what is planted is where it is said to be, and what is evicted for the first
question is missing for the third, but not in a request that forks from the context."""

import json
import random
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "traces" / "workloads"))
sys.path.insert(0, str(ROOT / "notebooks"))

from scbench import (
    SYSTEMS,
    Answer,
    Replayed,
    answers_of,
    as_requests,
    as_turns,
    chosen,
    complete,
    page,
    run_context,
)
from shared_contexts import TASKS, TURNS, shared_context
from shared_places import Texts

SEED = random.SystemRandom().randrange(10**6)


def rendered(messages: list[dict[str, str]], answer_next: bool) -> str:
    said = "".join(f"<{message['role']}>{message['content']}</>" for message in messages)
    return f"<system>Be brief.</>{said}<assistant>" if answer_next else f"<system>Be brief.</>{said}"


def encoded(text: str) -> tuple[list[int], list[tuple[int, int]]]:
    """A token is a word with the blank before it, a digit or a sign; the same text has the same number."""
    offsets = [match.span() for match in re.finditer(r" ?[a-zA-Z]+|.", text, re.DOTALL)]
    return [sum(map(ord, text[first:last])) for first, last in offsets], offsets


TOKENIZER = SimpleNamespace(render=rendered, encode=encoded)


@pytest.mark.parametrize("task", TASKS)
def test_what_an_answer_needs_stands_once_and_where_the_tokens_say(task: str) -> None:
    print(f"seeds from {SEED}")
    assert len({shared_context(task, seed) for seed in range(SEED, SEED + 5)}) > 1
    for seed in range(SEED, SEED + 5):
        context = shared_context(task, seed)
        assert context == shared_context(task, seed)
        assert len(context.questions) == len({one.asks for one in context.questions}) == TURNS
        texts = Texts(TOKENIZER, context)
        for way, written in [("turn", texts.turns), *(("request", one) for one in texts.requests.values())]:
            whole = rendered(written.messages, False)
            _, offsets = encoded(whole)

            def of(begin: int, count: int, whole=whole, offsets=offsets) -> str:
                return whole[offsets[begin][0] : offsets[begin + count - 1][1]]

            assert of(0, texts.context) == f"<system>Be brief.</><user>{context.text}"
            at = texts.turns.answer(0)[0] if way == "turn" else texts.context
            for question, asked in zip(context.questions, texts.questions(), strict=True):
                if way == "request" and question.asks not in whole:
                    continue
                assert context.text.count(question.needs[0]) == 1
                found = [of(*span).strip() for span in asked["spans"]]
                for needed, tokens in zip(question.needs, found, strict=True):
                    assert needed.strip() in tokens and len(tokens) - len(needed) <= 2
                said = asked[way]
                at += said["prefill"]
                assert of(at, said["decode"]).strip() == question.answer
                # The step at a token asks for the one after it; none asks for the answer's first.
                told = of(at + said["step"] + 1, said["steps"]).strip()
                assert told in question.says and question.says.endswith(told)
                assert said["step"] >= 0 and said["steps"] > 0
                at += said["decode"]
            assert at == sum(written.answer(len(written.messages) // 2 - 1))


def test_answers_are_right() -> None:
    """Found again from the context alone, by other means than those that planted them."""
    print(f"seed {SEED}")

    def asked(task: str) -> tuple[str, list]:
        context = shared_context(task, SEED)
        return context.text, list(context.questions)

    text, questions = asked("key_value")
    for one in questions:
        assert json.loads(text)[one.asks.split('"')[1]] == one.says
    text, questions = asked("prefix_suffix")
    for one in questions:
        begin, end = re.match(r".*begins with (\w+) and ends with (\w+)\?", one.asks).groups()
        assert re.findall(rf"\b{begin}\w+{end}\b", text) == [one.says]
    text, questions = asked("multi_hop")
    known = dict(re.findall(r"VAR (\w+) = (.*)", text))
    for one in questions:
        value = re.search(r"VAR (\w+)\?", one.asks)[1]
        while not value.isdecimal():
            value = known[value.removeprefix("VAR ")]
        assert one.answer.endswith(f" = {value}.")
    text, questions = asked("find")
    numbers = [*map(int, re.findall(r"\d+", text))]
    ordered = sorted(numbers)
    ranks = {"smallest": min(numbers), "second smallest": ordered[1], "median": int(np.median(numbers)),
             "second largest": ordered[-2], "largest": max(numbers)}  # fmt: skip
    for one in questions:
        assert int(one.says) == ranks[re.search(r"the ([a-z ]+) of", one.asks)[1]]
    text, questions = asked("many_shot")
    assert not any(one.answer in text for one in questions)
    text, questions = asked("code_lookup")
    for one in questions:
        first, second = re.findall("`(.*?)`", one.asks)
        using = [part for part in text.split("\n}") if re.search(rf"\b{first}\b", part)]
        assert using == [part for part in text.split("\n}") if re.search(rf"\b{second}\b", part)]
        assert len(using) == 1 and f"{using[0]}\n}}".strip() == one.answer


def test_one_is_printed_as_it_is() -> None:
    command = [sys.executable, ROOT / "traces" / "workloads" / "shared_contexts.py", "choices", "3"]
    printed = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    context = shared_context("choices", 3)
    assert printed["text"] == context.text
    assert [one["answer"] for one in printed["questions"]] == [one.answer for one in context.questions]


# The sample's prompt has 256 tokens. With 4 sinks and 124 recent entries, StreamingLLM has in the step at p,
# besides the sinks, those from p - 124 on. The first turn decodes at 256 to 263: from 139 on at last. The
# third begins at 256 + 8 + 16 + 8 + 16 = 304: from 180 on. The third request reads 4 after the context and
# decodes at 260 to 267: from 143 on at last. So all of [150, 160) is there in the first turn and in the
# request, and nothing of it in the third turn; [100, 110) is nowhere there.
KEPT, LOST = (150, 10), (100, 10)
STEPS = {"decode": 8, "step": 2, "steps": 6}
QUESTIONS = [
    {"spans": [KEPT], "turn": {"prefill": 0, **STEPS}, "request": None},
    {"spans": [LOST], "turn": {"prefill": 16, **STEPS}, "request": {"prefill": 4, **STEPS}},
    {"spans": [KEPT], "turn": {"prefill": 16, **STEPS}, "request": {"prefill": 4, **STEPS}},
]
RECORD = {"task": "sample", "family": "string", "seed": 1, "context": 256, "questions": QUESTIONS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contexts") / "sample_1"
    folder.mkdir()
    for name in ("turns", "request_2", "request_3"):
        (folder / f"{name}.h5").symlink_to(ROOT / "traces" / "samples" / "smollm2.h5")
    (folder / "spans.json").write_text(json.dumps(RECORD))
    return folder


@pytest.fixture(scope="module")
def answers(kvreplay, folder: Path) -> list[Answer]:
    run_context(folder, folder / "results")
    return list(answers_of(folder, folder / "results"))


def test_turns_go_on_in_one_sequence_and_requests_fork_from_the_context() -> None:
    assert as_turns(RECORD)[0] == [
        {"decode": 8}, {"prefill": 16}, {"decode": 8}, {"prefill": 16}, {"decode": 8},
    ]  # fmt: skip
    assert as_requests(RECORD)[0] == [
        {"fork": 0, "sequences": "1..2"},
        {"prefill": 4, "sequences": "1"}, {"decode": 8, "sequences": "1"}, {"drop": True, "sequences": "1"},
        {"prefill": 4, "sequences": "2"}, {"decode": 8, "sequences": "2"},
    ]  # fmt: skip


def test_what_is_evicted_in_turn_1_is_missing_in_turn_3_and_there_in_a_fork(answers: list[Answer]) -> None:
    def survives(way: str, number: int) -> float:
        (one,) = chosen(answers, system="StreamingLLM", way=way, number=number)
        return one.survives

    assert np.isclose(survives("turn", 1), 100)
    assert survives("turn", 3) == 0
    assert np.isclose(survives("request", 3), 100)
    assert survives("turn", 2) == survives("request", 2) == 0


def test_systems_that_keep_everything_have_some_of_it_in_every_turn(answers: list[Answer]) -> None:
    assert {one.system for one in answers} == set(SYSTEMS)
    for one in chosen(answers, system="single entries"):
        assert 0 < one.survives <= 100


def test_the_entries_of_a_head_are_128_and_what_is_generated_meanwhile(answers: list[Answer]) -> None:
    for one in chosen(answers, way="turn", number=3):
        generated = STEPS["decode"] / 2 + 0.5 if one.system in ("H2O", "SnapKV", "AdaKV") else 1
        assert abs(one.entries - 128 - generated) <= 4, one.system


def test_the_true_attention_is_that_of_the_turn_whatever_the_system(answers: list[Answer]) -> None:
    for way, number in (("turn", 1), ("turn", 3), ("request", 2)):
        masses = [one.true_mass for one in chosen(answers, way=way, number=number)]
        assert np.allclose(masses, masses[0]) and len(masses) == len(SYSTEMS)


@pytest.mark.usefixtures("answers")
def test_heads_that_look_for_an_answer_give_its_piece_twice_what_others_do(folder: Path) -> None:
    """Of the first question, whose piece the third needs too: the other answer is the second's."""
    with h5py.File(folder / "results" / "turn.h5") as file:
        found = Replayed(file, RECORD, "turn")
        masses = file["span_true_mass"][found.points["SnapKV"][0]]  # of KEPT, the first span
        ratio = masses[2:8].mean(axis=0) / masses[10:16].mean(axis=0)
        expected = ratio >= min(2.0, ratio.max())
        np.testing.assert_array_equal(found.looking(found.decoded[0]), expected)
    assert expected.sum() > 0


def test_the_page_has_a_row_for_every_system(answers: list[Answer]) -> None:
    families = [one._replace(task=family, family=family) for one in answers
                for family in ("string", "semantic", "global", "mixed")]  # fmt: skip
    lines = page(families).splitlines()
    assert lines[0].startswith("4 tasks, 1 seed.")
    assert sum(line.startswith("| SnapKV |") for line in lines) == 5
    assert lines.count("| StreamingLLM | 100 | 0 | 0 | 0 | 100 |") == 2


def test_seeds_that_a_task_lacks_are_left_out() -> None:
    folders = [Path(name) for name in ("find_1", "find_2", "many_shot_1", "find_10", "many_shot_10")]
    assert [path.name for path in complete(folders)] == ["find_1", "many_shot_1", "find_10", "many_shot_10"]


def test_a_folder_without_contexts_is_told(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "notebooks" / "scbench.py", tmp_path]
    done = subprocess.run([*map(str, command)], check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "there is no recorded context in" in done.stderr
