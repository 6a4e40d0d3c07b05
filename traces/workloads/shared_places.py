"""Where the questions of a shared context, their answers and what these need stand in tokens of a model.

A context is written twice over: as turns, one conversation, and as requests, the context with one question
each. Both begin with the same tokens, those of the context.
"""

from typing import TypedDict

from kvreplay_capture.tokenizer import ModelTokenizer
from shared_contexts import TURNS, Question, SharedContext

Message = dict[str, str]


class Said(TypedDict):
    """What is read in and decoded for one question, and the steps of these whose next token is a part of what
    cannot be known otherwise. All in tokens; `prefill` is 0 where the question is of the prompt."""

    prefill: int
    decode: int
    step: int
    steps: int


class Asked(TypedDict):
    """A question: first token and number of tokens of each piece that it needs, and the ways it is said;
    `request` is none for the first."""

    spans: list[tuple[int, int]]
    turn: Said
    request: Said | None


class Record(TypedDict):
    """Of a task and seed; `context` is the tokens of what requests share."""

    task: str
    family: str
    seed: int
    context: int
    questions: list[Asked]


def conversation(text: str, questions: tuple[Question, ...]) -> list[Message]:
    messages: list[Message] = []
    for question in questions:
        messages += [
            {"role": "user", "content": question.asks},
            {"role": "assistant", "content": question.answer},
        ]
    messages[0]["content"] = f"{text}\n\n{questions[0].asks}"
    return messages


class Written:
    """Tokens of a conversation as the model writes it."""

    def __init__(self, tokenizer: ModelTokenizer, text: str, questions: tuple[Question, ...]) -> None:
        self.messages = conversation(text, questions)
        self._questions = questions
        self._text = tokenizer.render(self.messages, answer_next=False)
        self.ids, self._offsets = tokenizer.encode(self._text)
        self._begin = self._text.index(text)
        end = self._begin + len(text)
        self.context = sum(last <= end for _, last in self._offsets)
        self._answers = [
            len(tokenizer.render(self.messages[: 2 * at + 1], answer_next=True))
            for at in range(len(questions))
        ]
        for at, question in zip(self._answers, questions, strict=True):
            if not self._text.startswith(question.answer, at):
                raise ValueError(f"the chat template changes the answer '{question.answer}'")

    def place(self, text: str, needed: str) -> tuple[int, int]:
        """First token and number of tokens of a piece of the context."""
        return self._tokens(self._begin + text.index(needed), len(needed))

    def answer(self, at: int) -> tuple[int, int]:
        return self._tokens(self._answers[at], len(self._questions[at].answer))

    def said(self, at: int, before: int) -> Said:
        """Of question number `at`, where so many tokens have been read or decoded before."""
        question = self._questions[at]
        first, count = self.answer(at)
        begin = self._answers[at] + question.answer.rindex(question.says)
        told, tokens = self._tokens(begin, len(question.says))
        step = max(told - 1 - first, 0)  # the answer's first token is asked for by the last that is read in
        return {
            "prefill": first - before,
            "decode": count,
            "step": step,
            "steps": told + tokens - 1 - first - step,
        }

    def _tokens(self, begin: int, count: int) -> tuple[int, int]:
        inside = [
            at for at, (first, last) in enumerate(self._offsets) if last > begin and first < begin + count
        ]
        return inside[0], len(inside)


class Texts:
    """The conversation of a task and seed, and its requests."""

    def __init__(self, tokenizer: ModelTokenizer, context: SharedContext) -> None:
        self.turns = Written(tokenizer, context.text, context.questions)
        self.requests = {
            number: Written(tokenizer, context.text, context.questions[number - 1 : number])
            for number in range(2, TURNS + 1)
        }
        self._context = context
        self.context = self.turns.context
        for one in self.requests.values():
            if one.ids[: self.context] != self.turns.ids[: self.context] or one.context != self.context:
                raise ValueError("the tokenizer writes a shared context in several ways")

    def questions(self) -> list[Asked]:
        asked: list[Asked] = []
        before = self.turns.answer(0)[0]  # the prompt
        for at, question in enumerate(self._context.questions):
            request = self.requests.get(at + 1)
            asked.append({
                "spans": [self.turns.place(self._context.text, needed) for needed in question.needs],
                "turn": self.turns.said(at, before),
                "request": request.said(0, self.context) if request else None,
            })  # fmt: skip
            before = sum(self.turns.answer(at))
        return asked
