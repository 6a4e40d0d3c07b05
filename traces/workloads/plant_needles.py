#!/usr/bin/env python3
"""Makes needles.json: a conversation that tells facts between pages of prose and asks for them much later.

    traces/workloads/plant_needles.py > traces/workloads/needles.json

The first message is long (most of a prompt of 2,048 tokens) and holds a dozen facts. Every further one is a
page with a fact of its own and asks for one that was told 1 to 20 facts earlier; the assistant answers right.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
SEED = 20
ROUNDS = 38
FIRST_FACTS = 12
PAGE_CHARACTERS = 560
FARTHEST = 20
NAMES = (
    *("Anna", "Peter", "Mary", "John", "Nicholas", "David", "Joseph", "Sonya"),
    *("Boris", "Levin", "Kitty", "Paul", "Thomas", "Simon", "Rachel", "Henry"),
)
THINGS = (
    *("horse", "house", "key", "door", "letter", "room", "ship", "sword"),
    *("box", "field", "ring", "book", "carriage", "garden", "tower", "lamp"),
)

Fact = tuple[str, str, int]  # whose, of what, the number


def main() -> None:
    rng = random.Random(SEED)
    pages = prose_pages(prose())
    facts = some_facts(rng, FIRST_FACTS + ROUNDS)
    told = [f"{next(pages)} {tell(fact)}" for fact in facts[:FIRST_FACTS]]
    conversation = []
    for number, fact in enumerate(facts[FIRST_FACTS:], start=FIRST_FACTS):
        told.append(f"{next(pages)} {tell(fact)}")
        asked = facts[number - rng.randint(1, FARTHEST if number > FARTHEST else number)]
        conversation += [
            {"role": "user", "content": "\n\n".join([*told, ask(asked)])},
            {"role": "assistant", "content": tell(asked)},
        ]
        told = []
    print(json.dumps(conversation, indent=1))


def prose() -> str:
    return " ".join((HERE / "prose.txt").read_text(encoding="utf-8").split())


def some_facts(rng: random.Random, count: int) -> list[Fact]:
    owners = rng.sample([(name, thing) for name in NAMES for thing in THINGS], count)
    return [(name, thing, rng.randrange(1000, 10000)) for name, thing in owners]


def tell(fact: Fact) -> str:
    """A fact as a sentence."""
    name, thing, number = fact
    return f"The number of {name}'s {thing} is {number}."


def ask(fact: Fact) -> str:
    name, thing, _ = fact
    return f"What is the number of {name}'s {thing}?"


def prose_pages(text: str, characters: int = PAGE_CHARACTERS) -> Iterator[str]:
    """Pieces of whole sentences, a little longer than that."""
    at = 0
    while True:
        end = text.index(". ", at + characters) + 1
        yield text[at:end].strip()
        at = end


if __name__ == "__main__":
    main()
