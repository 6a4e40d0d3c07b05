"""Where the next tokens come from: what is known in advance, then what the model says."""

import torch

from .chat import Conversation
from .options import CaptureOptions
from .text import Script


class TokenSource:
    """The tokens of one capture, in order. In a conversation `turns` grows with what is said."""

    def __init__(self, options: CaptureOptions, script: Script, conversation: Conversation | None) -> None:
        self._known = list(script.tokens)
        self._conversation = conversation
        self._pick = TokenPicker(options)
        self._taken = 0
        self._last_words = 0
        self.turns = list(script.turns)

    def take(self, count: int, logits: torch.Tensor | None) -> list[int]:
        """The next tokens: as many as are known, up to `count`, or the one that the model chooses."""
        if self._taken == len(self._known):
            assert logits is not None
            self._say(self._pick(logits))
        ids = self._known[self._taken : self._taken + count]
        self._taken += len(ids)
        return ids

    def warnings(self) -> tuple[str, ...]:
        """What may be meant but should not pass in silence."""
        if not self._last_words:
            return ()
        return (
            f"the user has nothing more to say after position {self._last_words}; "
            "the model went on after the end of its answer",
        )

    def _say(self, token: int) -> None:
        self._known.append(token)
        if self._conversation is None or not self._conversation.ends_answer(token):
            return
        if self._conversation.messages_left == 0:
            self._last_words = self._last_words or len(self._known) - 1
            return
        following = self._conversation.next_turn(token)
        self.turns += [len(self._known) + turn for turn in following.turns]
        self._known += following.tokens


class TokenPicker:
    """Chooses the next token from logits [vocab]; end-of-sequence tokens are tokens like any other."""

    def __init__(self, options: CaptureOptions) -> None:
        self._temperature = options.temperature
        self._generator = torch.Generator().manual_seed(options.seed) if options.mode == "sampled" else None

    def __call__(self, logits: torch.Tensor) -> int:
        if self._generator is None:
            return int(logits.argmax())
        weights = (logits.float().cpu() / self._temperature).softmax(dim=-1)
        return int(torch.multinomial(weights, 1, generator=self._generator))
