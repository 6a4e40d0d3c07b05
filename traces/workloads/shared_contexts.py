#!/usr/bin/env python3
"""Contexts that several questions share, of the twelve tasks of SCBench (arXiv 2412.10319), small.

    traces/workloads/shared_contexts.py TASK SEED      # prints one as JSON; TASK: one of TASKS

Four families. String retrieval: a pair of keys and values, a string by its begin and its end, a variable over
several assignments. Semantic retrieval: a function of a repository by what it uses, a fact of an English or
a Chinese text, one of four choices. Global: a number's rank in a list, a rule shown by many examples, a
sentence that stands for a passage. Mixed: passages with facts, a repository with pairs. Every context is made
for about 1,000 tokens of a small model, from a seed alone, and has TURNS questions with their right answers.
Each says what it needs: pieces of the context that its answer rests on, which stand there once. Where an
answer rests on a whole list or passage, that is the piece.
"""

import argparse
import itertools
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from plant_needles import NAMES, THINGS, prose

HERE = Path(__file__).parent
TURNS = 3
LEAD_CHARACTERS = 60
PLACES = ("barn", "cellar", "tower", "kitchen", "garden", "attic", "chapel", "stable", "library", "mill")
MONTHS = ("January", "February", "March", "April", "May", "June",
          "July", "August", "September", "October", "November", "December")  # fmt: skip
CHINESE_NAMES = ("安娜", "大卫", "玛丽", "约翰", "索尼娅", "保罗", "西蒙", "亨利", "瑞秋", "彼得")
CHINESE_TRADES = ("医生", "木匠", "教师", "船长", "面包师", "画家", "律师", "农民", "铁匠", "裁缝")
CHINESE_TOWNS = ("北京", "上海", "南京", "西安", "成都", "杭州", "苏州", "青岛", "大连", "桂林")
CHINESE_PROSE = (
    *("河边的风很大，树叶落了一地。", "他每天早上走过一座旧桥。", "那年冬天的雪下了整整三天。"),
    *("院子里有一口井，水很清。", "孩子们在街上放风筝。", "晚饭以后大家坐在灯下说话。"),
    *("远处的山看不清楚。", "市场上的人来来往往。", "信是从南方寄来的。", "夏天的夜里可以听见蛙声。"),
)


class Question(NamedTuple):
    """One turn: `says` is the part of the answer that cannot be known without what it `needs`."""

    asks: str
    answer: str
    says: str
    needs: tuple[str, ...]


class SharedContext(NamedTuple):
    """A text and the questions that are asked over it, in this order."""

    text: str
    questions: tuple[Question, ...]


def hexadecimal(rng: random.Random) -> str:
    return f"{rng.getrandbits(32):08x}"


def letters(rng: random.Random, count: int) -> str:
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=count))


def distinct(make: Callable[[], str], count: int) -> list[str]:
    """So many different ones, in the order in which they came."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[make()] = None
    return list(found)


def pairs(rng: random.Random, count: int) -> tuple[str, list[Question]]:
    """Keys and values as one JSON object, and a question for each."""
    words = distinct(lambda: hexadecimal(rng), 2 * count)
    keyed = list(zip(words[::2], words[1::2], strict=True))
    text = "{" + ", ".join(f'"{key}": "{value}"' for key, value in keyed) + "}"
    return text, [
        Question(f'What is the value of "{key}"?', f'The value of "{key}" is "{value}".', value,
                 (f'"{key}": "{value}"',))
        for key, value in keyed
    ]  # fmt: skip


def key_value(rng: random.Random) -> SharedContext:
    text, questions = pairs(rng, 54)
    return SharedContext(text, some(rng, questions))


def prefix_suffix(rng: random.Random) -> SharedContext:
    """Begins and ends are shared by several strings, both together belong to one."""
    begins, ends = (distinct(lambda: letters(rng, 3), 12) for _ in range(2))
    both = rng.sample([(begin, end) for begin in begins for end in ends], 100)
    strings = [f"{begin}{middle}{end}" for (begin, end), middle in
               zip(both, distinct(lambda: letters(rng, 8), len(both)), strict=True)]  # fmt: skip
    questions = [
        Question(f"Which string begins with {begin} and ends with {end}?", f"It is the string {string}.",
                 string, (string,))
        for (begin, end), string in zip(both, strings, strict=True)
    ]  # fmt: skip
    return SharedContext(f"Strings: {', '.join(strings)}.", some(rng, questions))


def multi_hop(rng: random.Random, chains: int = 27, hops: int = 3) -> SharedContext:
    """Chains of assignments, each a number and names for it; lines of all chains are mixed, in the order of
    each. An answer follows its chain back to the number."""
    names = iter(distinct(lambda: letters(rng, 4).upper(), chains * hops))
    numbers = rng.sample(range(10_000, 100_000), chains)
    lines: list[list[str]] = []
    questions = []
    for number in numbers:
        chain = [next(names) for _ in range(hops)]
        of_chain = [f"VAR {chain[0]} = {number}",
                    *(f"VAR {to} = VAR {by}" for by, to in itertools.pairwise(chain))]  # fmt: skip
        answer = f"{', '.join(reversed(of_chain))}."
        questions.append(Question(f"What is the value of VAR {chain[-1]}?", answer, answer, tuple(of_chain)))
        lines.append(of_chain)
    order = rng.sample([at for at in range(chains) for _ in range(hops)], chains * hops)
    rest = [iter(of_chain) for of_chain in lines]
    return SharedContext("\n".join(next(rest[at]) for at in order), some(rng, questions))


def functions_of(code: str) -> list[str]:
    """Those of some lines and a length that can be repeated."""
    found = re.findall(r"^[a-zA-Z][^\n;]*\([^;{]*\{\n.*?^\}$", code, re.MULTILINE | re.DOTALL)
    return [one for one in dict.fromkeys(found) if 120 <= len(one) <= 420]


def functions(rng: random.Random, count: int) -> tuple[list[str], list[Question]]:
    """Of the repository in code.txt; each is asked for by two names that it alone uses, but not its own."""
    chosen = rng.sample(functions_of((HERE / "code.txt").read_text(encoding="utf-8")), count)
    used = [set(re.findall(r"\b[a-z]\w{3,}\b", one)) for one in chosen]
    questions = []
    for at, one in enumerate(chosen):
        others = set().union(*used[:at], *used[at + 1 :])
        body = one.split("{\n", 1)[1]
        alone = sorted(word for word in used[at] - others if re.search(rf"\b{word}\b", body))
        if len(alone) > 1:
            first, second = rng.sample(alone, 2)
            asks = f"Repeat the function that uses `{first}` and `{second}`."
            questions.append(Question(asks, one, one, (one,)))
    return chosen, questions


def code_lookup(rng: random.Random) -> SharedContext:
    chosen, questions = functions(rng, 11)
    return SharedContext("\n\n".join(chosen), some(rng, questions))


def sentences(rng: random.Random, characters: int) -> list[str]:
    """So much of the prose, from a random sentence on."""
    whole = [one for one in re.split(r"(?<=[.?!]) (?=[A-Z])", prose()) if len(one) > 1]
    at = rng.randrange(len(whole) // 2)
    found: list[str] = []
    while sum(map(len, found)) < characters:
        found.append(whole[at + len(found)])
    return found


def planted(rng: random.Random, text: Sequence[str], facts: Sequence[str]) -> str:
    """The facts between random sentences of a text, in their order."""
    places = sorted(rng.sample(range(1, len(text)), len(facts)))
    parts = list(text)
    for place, fact in reversed(list(zip(places, facts, strict=True))):
        parts.insert(place, fact)
    return " ".join(parts)


def hidden_things(rng: random.Random, count: int) -> Iterator[tuple[str, str, str]]:
    """Who keeps what, and where."""
    for name, thing in zip(rng.sample(NAMES, count), rng.sample(THINGS, count), strict=True):
        yield name, thing, rng.choice(PLACES)


def english_questions(rng: random.Random) -> SharedContext:
    facts, questions = [], []
    for name, thing, place in hidden_things(rng, 6):
        fact = f"{name} keeps the {thing} in the {place}."
        facts.append(fact)
        questions.append(Question(f"Where does {name} keep the {thing}?", fact, f"in the {place}", (fact,)))
    return SharedContext(planted(rng, sentences(rng, 4500), facts), some(rng, questions))


def choices(rng: random.Random) -> SharedContext:
    facts, questions = [], []
    for name, thing, place in hidden_things(rng, 6):
        fact = f"{name} keeps the {thing} in the {place}."
        offered = [place, *rng.sample([other for other in PLACES if other != place], 3)]
        rng.shuffle(offered)
        letter = "ABCD"[offered.index(place)]
        listed = " ".join(f"{mark}. In the {one}." for mark, one in zip("ABCD", offered, strict=True))
        facts.append(fact)
        questions.append(
            Question(f"Where does {name} keep the {thing}? {listed}",
                     f"The right choice is {letter}. In the {place}.", f"{letter}. In the {place}", (fact,))
        )  # fmt: skip
    return SharedContext(planted(rng, sentences(rng, 4500), facts), some(rng, questions))


def chinese_questions(rng: random.Random) -> SharedContext:
    facts, questions = [], []
    people = zip(rng.sample(CHINESE_NAMES, 6), rng.sample(CHINESE_TRADES, 6), rng.sample(CHINESE_TOWNS, 6),
                 strict=True)  # fmt: skip
    for name, trade, town in people:
        fact = f"{name}是{town}的{trade}。"
        facts.append(fact)
        questions.append(Question(f"{name}是哪里的{trade}？", fact, town, (fact,)))
    text = [rng.choice(CHINESE_PROSE) for _ in range(46)]
    return SharedContext(planted(rng, text, facts), some(rng, questions))


def find(rng: random.Random) -> SharedContext:
    """An answer is a matter of the whole list."""
    numbers = rng.sample(range(1000, 10_000), 165)
    listed = ", ".join(map(str, numbers))
    ordered = sorted(numbers)
    ranks = {"smallest": 0, "second smallest": 1, "median": len(ordered) // 2, "second largest": -2,
             "largest": -1}  # fmt: skip
    questions = [
        Question(f"What is the {rank} of the numbers?", f"The {rank} of the numbers is {ordered[at]}.",
                 str(ordered[at]), (listed,))
        for rank, at in ranks.items()
    ]  # fmt: skip
    return SharedContext(f"Numbers: {listed}.", some(rng, questions))


def many_shot(rng: random.Random) -> SharedContext:
    """Dates and how they are to be written; what is asked for is not among them."""
    dates = rng.sample(
        [(year, month, day) for year in range(1800, 1900) for month in range(12) for day in range(1, 29)], 60
    )
    shown, asked = dates[:-TURNS], dates[-TURNS:]

    def said(date: tuple[int, int, int]) -> str:
        return f"{date[2]} {MONTHS[date[1]]} {date[0]}"

    def written(date: tuple[int, int, int]) -> str:
        return f"{date[2]:02}/{date[1] + 1:02}/{date[0] % 100}"

    examples = "\n".join(f"{said(date)} -> {written(date)}" for date in shown)
    questions = [
        Question(f"How is {said(date)} written?", f"{said(date)} -> {written(date)}", written(date),
                 (examples,))
        for date in asked
    ]  # fmt: skip
    return SharedContext(examples, tuple(questions))


def passages(rng: random.Random, count: int, characters: int) -> list[list[str]]:
    """Neighbouring pieces of the prose, each of sentences."""
    text = sentences(rng, count * characters)
    return [text[len(text) * at // count : len(text) * (at + 1) // count] for at in range(count)]


def lead(passage: Sequence[str]) -> str:
    """Its first sentence that says something: the common baseline of summaries."""
    return next(sentence for sentence in passage if len(sentence) >= LEAD_CHARACTERS)


def summaries_of(texts: Sequence[str], leads: Sequence[str]) -> list[Question]:
    return [
        Question(f"Sum up text {number} in a sentence.", sentence, sentence, (text,))
        for number, (text, sentence) in enumerate(zip(texts, leads, strict=True), start=1)
    ]


def numbered(parts: Sequence[str]) -> str:
    return "\n\n".join(f"Text {number}:\n{part}" for number, part in enumerate(parts, start=1))


def summary(rng: random.Random) -> SharedContext:
    parts = passages(rng, TURNS, 1550)
    texts = [" ".join(part) for part in parts]
    return SharedContext(numbered(texts), some(rng, summaries_of(texts, [*map(lead, parts)])))


def summary_with_facts(rng: random.Random) -> SharedContext:
    """One turn sums a passage up, the others ask for facts in it and in the other; in any order."""
    parts = passages(rng, 2, 2300)
    facts = [f"The number of {name}'s {thing} is {rng.randrange(1000, 10_000)}."
             for name, thing in zip(rng.sample(NAMES, 2), rng.sample(THINGS, 2), strict=True)]  # fmt: skip
    texts = [planted(rng, part, [fact]) for part, fact in zip(parts, facts, strict=True)]
    asked = [Question(f"What is {fact[0].lower()}{fact[1:].split(' is ')[0]}?", fact,
                      fact.split(" is ")[1].rstrip("."), (fact,)) for fact in facts]  # fmt: skip
    asked.append(rng.choice(summaries_of(texts, [*map(lead, parts)])))
    return SharedContext(numbered(texts), some(rng, asked))


def code_with_pairs(rng: random.Random) -> SharedContext:
    """One turn asks for a function, the others for values; in any order."""
    chosen, of_code = functions(rng, 7)
    table, of_table = pairs(rng, 20)
    asked = [rng.choice(of_code), *rng.sample(of_table, TURNS - 1)]
    return SharedContext("\n\n".join([*chosen[:3], table, *chosen[3:]]), some(rng, asked))


def some(rng: random.Random, questions: Sequence[Question]) -> tuple[Question, ...]:
    return tuple(rng.sample(questions, TURNS))


class Task(NamedTuple):
    family: str
    make: Callable[[random.Random], SharedContext]


TASKS = {
    "key_value": Task("string", key_value),
    "prefix_suffix": Task("string", prefix_suffix),
    "multi_hop": Task("string", multi_hop),
    "code_lookup": Task("semantic", code_lookup),
    "english_questions": Task("semantic", english_questions),
    "chinese_questions": Task("semantic", chinese_questions),
    "choices": Task("semantic", choices),
    "find": Task("global", find),
    "many_shot": Task("global", many_shot),
    "summary": Task("global", summary),
    "summary_with_facts": Task("mixed", summary_with_facts),
    "code_with_pairs": Task("mixed", code_with_pairs),
}


def shared_context(task: str, seed: int) -> SharedContext:
    """The same for the same task and seed, on every machine."""
    return TASKS[task].make(random.Random(f"{task} {seed}"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("seed", type=int)
    options = parser.parse_args()
    context = shared_context(options.task, options.seed)
    questions = [question._asdict() for question in context.questions]
    print(json.dumps({"text": context.text, "questions": questions}, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
