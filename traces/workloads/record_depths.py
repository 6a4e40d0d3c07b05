#!/usr/bin/env python3
"""Records facts planted at depths of prompts of several lengths, and says where they and their answers are.

    .venv-capture/bin/python traces/workloads/record_depths.py MODEL.gguf FOLDER

A prompt of about LENGTH tokens is prose with one fact at each of DEPTHS of it, from its begin (0) to its end
(1), and asks for one of them: a trace for every length and fact. Right answers are given, and after the first
the other facts are asked for in turn. So each is asked for in the prompt in one trace, and after it in the
others. Beside each trace, NAME.json lists its facts:

    first, tokens    where the fact is told
    in_prompt        whether the prompt asks for it
    step, steps      where its number is answered: steps whose next token is a part of it

A trace that is there is kept.
"""

import argparse
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from kvreplay_capture.chat import Message
from kvreplay_capture.model import open_source
from kvreplay_capture.tokenizer import ModelTokenizer
from plant_needles import Fact, ask, prose, prose_pages, some_facts, tell

LENGTHS = (1024, 2048, 4096)
DEPTHS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
CHARACTERS_A_TOKEN = 4.3  # of the prose, about
WINDOW = 32  # queries of the prompt's end that are kept
LAYERS = "5,12,19,26"


class Conversation(NamedTuple):
    """Facts in the order of depth, and in the order in which they are asked for."""

    told: list[Fact]
    asked: list[Fact]
    messages: list[Message]


def converse(length: int, first: int) -> Conversation:
    """About `length` tokens of prompt, in which the fact of depth number `first` is asked for."""
    told = some_facts(random.Random(length), len(DEPTHS))
    pages = prose_pages(prose(), round(length * CHARACTERS_A_TOKEN / (len(DEPTHS) - 1)))
    parts = [tell(told[0])]
    for fact in told[1:]:
        parts += [next(pages), tell(fact)]
    asked = told[first:] + told[:first]
    messages = [
        message
        for fact in asked
        for message in (
            {"role": "user", "content": ask(fact)},
            {"role": "assistant", "content": tell(fact)},
        )
    ]
    messages[0]["content"] = f"{' '.join(parts)}\n\n{ask(asked[0])}"
    return Conversation(told, asked, messages)


class Places:
    """Tokens of a conversation as the model writes it."""

    def __init__(self, tokenizer: ModelTokenizer, messages: list[Message]) -> None:
        self._text = tokenizer.render(messages, answer_next=False)
        _, self._offsets = tokenizer.encode(self._text)
        self.prompt = self._tokens(0, len(tokenizer.render(messages[:1], answer_next=True)))[1]
        self.end = len(self._offsets)

    def of(self, text: str, nth: int) -> tuple[int, int]:
        """First token and number of tokens of the nth time that a text stands there."""
        begin = -1
        for _ in range(nth + 1):
            begin = self._text.index(text, begin + 1)
        return self._tokens(begin, begin + len(text))

    def _tokens(self, begin: int, end: int) -> tuple[int, int]:
        inside = [at for at, (first, last) in enumerate(self._offsets) if last > begin and first < end]
        return inside[0], len(inside)


def facts_of(conversation: Conversation, places: Places) -> list[dict[str, int | float | bool]]:
    """Each is told once and answered once, in the same words."""
    found = []
    for depth, fact in zip(DEPTHS, conversation.told, strict=True):
        first, tokens = places.of(tell(fact), 0)
        number = places.of(f" is {fact[2]}.", 1)[0] + 1  # the token after " is"
        end = sum(places.of(tell(fact), 1)) - 1  # without the full stop
        found.append({
            "depth": depth, "first": first, "tokens": tokens, "in_prompt": fact == conversation.asked[0],
            "step": number - 1 - places.prompt, "steps": end - number,
        })  # fmt: skip
    return found


def record(model: Path, conversation: Conversation, places: Places, out: Path) -> None:
    chat = out.with_suffix(".chat")
    chat.write_text(json.dumps(conversation.messages, indent=1))
    options = {
        "--chat": chat, "--prompt-tokens": places.prompt, "--steps": places.end - places.prompt,
        "--window": WINDOW, "--layers": LAYERS, "--threads": 1, "-o": out,
        "--model-name": "SmolLM2-135M-Instruct-Q4_1",
        "--text-source": "facts planted in Tolstoy, War and Peace, second epilogue (Project Gutenberg 2600)",
        "--licence": "text: public domain; weights: Apache-2.0",
    }  # fmt: skip
    words = [str(word) for option in options.items() for word in option]
    capture = Path(sys.executable).parent / "kvreplay-capture"
    subprocess.run([capture, model, "--quiet", "--no-speculated", *words], check=True)
    chat.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    tokenizer = open_source(options.model).tokenizer()
    for length in LENGTHS:
        for number, depth in enumerate(DEPTHS):
            out = options.folder / f"{length}_{round(100 * depth)}.h5"
            conversation = converse(length, number)
            places = Places(tokenizer, conversation.messages)
            out.with_suffix(".json").write_text(json.dumps(facts_of(conversation, places), indent=1) + "\n")
            if not out.exists():
                record(options.model, conversation, places, out)


if __name__ == "__main__":
    main()
