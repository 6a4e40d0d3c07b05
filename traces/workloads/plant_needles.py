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


def main() -> None:
    rng = random.Random(SEED)
    pages = prose_pages(" ".join((HERE / "prose.txt").read_text(encoding="utf-8").split()))
    owners = rng.sample([(name, thing) for name in NAMES for thing in THINGS], FIRST_FACTS + ROUNDS)
    facts = [(name, thing, rng.randrange(1000, 10000)) for name, thing in owners]
    told = [f"{next(pages)} {tell(fact)}" for fact in facts[:FIRST_FACTS]]
    conversation = []
    for number, fact in enumerate(facts[FIRST_FACTS:], start=FIRST_FACTS):
        told.append(f"{next(pages)} {tell(fact)}")
        name, thing, answer = facts[number - rng.randint(1, FARTHEST if number > FARTHEST else number)]
        question = f"What is the number of {name}'s {thing}?"
        conversation += [
            {"role": "user", "content": "\n\n".join([*told, question])},
            {"role": "assistant", "content": tell((name, thing, answer))},
        ]
        told = []
    print(json.dumps(conversation, indent=1))


def tell(fact: tuple[str, str, int]) -> str:
    """A fact as a sentence."""
    name, thing, number = fact
    return f"The number of {name}'s {thing} is {number}."


def prose_pages(prose: str) -> Iterator[str]:
    """Pieces of whole sentences of about PAGE_CHARACTERS."""
    at = 0
    while True:
        end = prose.index(". ", at + PAGE_CHARACTERS) + 1
        yield prose[at:end].strip()
        at = end


if __name__ == "__main__":
    main()
