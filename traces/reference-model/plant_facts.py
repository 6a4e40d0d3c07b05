#!/usr/bin/env python3
"""Makes the text that the sample trace is captured from: held-out prose with facts that come back.

    python plant_facts.py > sample.txt

Every 600 characters or so a fact is told; each is told again, word for word, a random way further on, so that
a model that looks back has something to find near and far. Public domain: Tolstoy, Anna Karenina.
"""

import json
import random
from pathlib import Path

HERE = Path(__file__).parent
EVERY_CHARACTERS = 600
SEED = 20


def main() -> None:
    rng = random.Random(SEED)
    prose = (HERE / "held-out.txt").read_text()
    words = json.loads((HERE / "facts.json").read_text())
    subjects = [(name, thing) for name in words["names"] for thing in words["things"]]
    inserts = []
    for place, (name, thing) in zip(
        range(0, len(prose) * 3 // 4, EVERY_CHARACTERS), rng.sample(subjects, len(subjects)), strict=False
    ):
        fact = f" The number of {name}'s {thing} is {rng.randrange(1000, 10000)}."
        inserts += [(place, fact), (place + int(rng.uniform(0.02, 0.25) * len(prose)), fact)]
    at = 0
    for place, fact in sorted(inserts):
        sentence_end = max(prose.find(". ", place) + 1, at)
        print(prose[at:sentence_end], fact, sep="", end="")
        at = sentence_end
    print(prose[at:], end="")


if __name__ == "__main__":
    main()
