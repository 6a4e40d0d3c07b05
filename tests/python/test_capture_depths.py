"""What record_depths.py says of its facts: where they are told, and which steps answer them."""

import re
import sys
from types import SimpleNamespace

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "traces" / "workloads"))

from plant_needles import ask, tell
from record_depths import DEPTHS, LENGTHS, Places, converse, facts_of


def rendered(messages: list[dict[str, str]], answer_next: bool) -> str:
    said = "".join(f"<{message['role']}>{message['content']}</>" for message in messages)
    return f"{said}<assistant>" if answer_next else said


def encoded(text: str) -> tuple[list[int], list[tuple[int, int]]]:
    """A token is a word with the blank before it, a blank before a number, a digit or a sign."""
    offsets = [match.span() for match in re.finditer(r" (?=\d)|\d| ?[^\W\d]+|[^\w ]| ", text)]
    return list(range(len(offsets))), offsets


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("first", [0, 2, 5])
def test_facts_are_where_it_says_and_the_steps_are_those_of_their_numbers(length: int, first: int) -> None:
    conversation = converse(length, first)
    places = Places(SimpleNamespace(render=rendered, encode=encoded), conversation.messages)
    text = rendered(conversation.messages, False)
    _, offsets = encoded(text)

    def of(begin: int, count: int) -> str:
        return text[offsets[begin][0] : offsets[begin + count - 1][1]]

    assert of(0, places.prompt).endswith(f"{ask(conversation.told[first])}</><assistant>")
    assert places.end == len(offsets)
    facts = facts_of(conversation, places)
    assert [fact["depth"] for fact in facts] == list(DEPTHS)
    assert [fact["in_prompt"] for fact in facts] == [number == first for number in range(len(DEPTHS))]
    for fact, told in zip(facts, conversation.told, strict=True):
        assert of(fact["first"], fact["tokens"]).strip() == tell(told)
        assert fact["first"] + fact["tokens"] <= places.prompt
        # The step at a token asks for the one after it.
        assert of(places.prompt + fact["step"] + 1, fact["steps"]) == f" {told[2]}"
        assert 0 <= fact["step"] < places.end - places.prompt - fact["steps"]


def test_depths_are_parts_of_the_prompt() -> None:
    for length in LENGTHS:
        places = Places(
            SimpleNamespace(render=rendered, encode=encoded), (chat := converse(length, 1)).messages
        )
        for fact in facts_of(chat, places):
            assert abs(fact["first"] / places.prompt - fact["depth"]) < 0.06
