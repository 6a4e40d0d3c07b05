"""A conversation as the tokens of a capture.

A turn is a message of the user or the assistant and begins where the chat template begins to write it; what
comes before the first one (a system message) belongs to it. With teacher forcing the whole conversation is
the script. Otherwise the model writes what the assistant says: the script ends where it is to answer for the
first time, and where it ends its answer the user's next message follows.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import CaptureError, first_line
from .options import CaptureOptions
from .text import Script
from .tokenizer import ModelTokenizer

Message = dict[str, str]

_ROLES = ("system", "user", "assistant")
# Stands for an answer while the template is asked what follows one.
_ANSWER = "kvreplay-answer"


@dataclass(frozen=True)
class Continuation:
    """What follows an answer: the rest of the assistant's turn and the user's, up to the next answer.

    `turns` are where the user's and the assistant's turn begin, counted from the first token.
    """

    tokens: list[int]
    turns: tuple[int, int]


def read_conversation(path: Path) -> list[Message]:
    """A JSON list of {"role", "content"}: a system message or none, then user and assistant by turns."""
    try:
        messages = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise CaptureError(f"{path}: not a JSON file ({first_line(error)})") from error
    if not isinstance(messages, list) or not messages:
        raise CaptureError(
            f"{path}: not a conversation: expected a JSON list of messages with role and content"
        )
    for number, message in enumerate(messages):
        _check_message(path, number, message)
    for number, message in enumerate(messages):
        if message["role"] == "system" and number > 0:
            raise CaptureError(f"{path}: message {number}: a system message may only be the first")
    if all(message["role"] == "system" for message in messages):
        raise CaptureError(f"{path}: holds no message of the user")
    return messages


def _check_message(path: Path, number: int, message: object) -> None:
    if not isinstance(message, dict) or set(message) != {"role", "content"}:
        raise CaptureError(f"{path}: message {number}: expected an object with role and content alone")
    if message["role"] not in _ROLES:
        raise CaptureError(
            f"{path}: message {number}: role is {message['role']!r}; allowed are {', '.join(_ROLES)}"
        )
    if not isinstance(message["content"], str) or not message["content"]:
        raise CaptureError(f"{path}: message {number}: content must be text")


class Conversation:
    """A conversation and the model's way to write it."""

    def __init__(self, options: CaptureOptions, tokenizer: ModelTokenizer) -> None:
        assert options.chat is not None
        self._path = options.chat
        self._tokenizer = tokenizer
        messages = read_conversation(options.chat)
        if options.mode == "teacher-forced":
            self._known, self._later = messages, list[Message]()
        else:
            self._known, self._later = _until_first_answer(options.chat, messages)

    @property
    def messages_left(self) -> int:
        """Messages of the user that have not been said."""
        return len(self._later)

    def ends_answer(self, token: int) -> bool:
        """Whether the model ends its answer with this token."""
        return token in self._tokenizer.ends

    def script(self, options: CaptureOptions) -> Script:
        """The tokens known in advance; they cover the prompt, and with teacher forcing every step."""
        answer_next = options.mode != "teacher-forced"
        tokens, turns = self._written(self._known, answer_next)
        needed = options.prompt_tokens if answer_next else options.total
        if len(tokens) < needed:
            raise CaptureError(
                f"{self._path}: too short: has {len(tokens)} tokens"
                f"{' before the first answer' if answer_next else ''}, {needed} needed"
            )
        tokens = tokens[: options.total]
        return Script(tokens, tuple(turn for turn in turns if turn < len(tokens)))

    def next_turn(self, end: int) -> Continuation:
        """What follows an answer that ended with token `end`."""
        before = [*self._known, {"role": "assistant", "content": _ANSWER}]
        after = [*before, self._later.pop(0)]
        whole = self._after_answer(after, answer_next=True)
        ids, offsets = self._tokenizer.encode(whole)
        marks = [len(self._after_answer(before)), len(self._after_answer(after))]
        turns = [_token_at(offsets, mark) for mark in marks]
        said = 1 if ids[:1] == [end] else 0  # the template writes the token that the model has just said
        return Continuation(ids[said:], (turns[0] - said, turns[1] - said))

    def _after_answer(self, messages: Sequence[Message], answer_next: bool = False) -> str:
        return self._tokenizer.render(list(messages), answer_next).rpartition(_ANSWER)[2]

    def _written(self, messages: list[Message], answer_next: bool) -> tuple[list[int], list[int]]:
        text = self._tokenizer.render(messages, answer_next)
        ids, offsets = self._tokenizer.encode(text)
        first = 1 if messages[0]["role"] == "system" else 0
        turns = [0]
        for count in range(first + 1, len(messages) + (1 if answer_next else 0)):
            start = self._tokenizer.render(messages[:count], answer_next=False)
            if not text.startswith(start):
                raise CaptureError(
                    f"{self._path}: the chat template writes earlier turns anew when later ones follow, "
                    f"so turn {count - first} has no first position"
                )
            turns.append(_token_at(offsets, len(start)))
        return ids, turns


def _until_first_answer(path: Path, messages: list[Message]) -> tuple[list[Message], list[Message]]:
    """The messages up to the first one of the user that has no answer; the user's messages after that."""
    for number, message in enumerate(messages):
        answered = number + 1 < len(messages) and messages[number + 1]["role"] == "assistant"
        if message["role"] == "user" and not answered:
            later = messages[number + 1 :]
            if any(entry["role"] != "user" for entry in later):
                raise CaptureError(
                    f"{path}: after the first message without an answer only the user may speak"
                )
            return messages[: number + 1], later
    raise CaptureError(
        f"{path}: every message has its answer; leave out the last one for the model to write it"
    )


def _token_at(offsets: list[tuple[int, int]], character: int) -> int:
    """The first token that reaches beyond a place in the text."""
    return next((token for token, (_, end) in enumerate(offsets) if end > character), len(offsets))
