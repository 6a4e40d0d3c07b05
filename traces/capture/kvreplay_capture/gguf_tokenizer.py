"""The tokenizer that a GGUF file carries, as a tokenizers.Tokenizer.

The file holds vocabulary and merges; how text is cut before the merges is only named (`tokenizer.ggml.pre`),
and the cuts themselves are those of llama.cpp's llama-vocab.cpp and of the models' own tokenizer.json.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from .errors import CaptureError, first_line
from .gguf_file import GgufFile
from .tokenizer import ModelTokenizer

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_CASED = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|"
)


@dataclass(frozen=True)
class Cut:
    """How text is cut into words. `pattern` is None for GPT-2's own."""

    pattern: str | None = None
    digits_alone: bool = False
    whole_words_first: bool = False
    begins: bool = False
    composed: bool = False


_CUTS = {
    "gpt-2": Cut(),
    "smollm": Cut(digits_alone=True),
    "qwen2": Cut(_WORDS + r"\p{N}|" + _REST, composed=True),
    "deepseek-r1-qwen": Cut(_WORDS + r"\p{N}|" + _REST, composed=True),
    "llama-bpe": Cut(_WORDS + r"\p{N}{1,3}|" + _REST, whole_words_first=True, begins=True),
    "tekken": Cut(
        _CASED + r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        whole_words_first=True,
        begins=True,
    ),
}


class TokenType(IntEnum):
    """Values of tokenizer.ggml.token_type that matter here."""

    CONTROL = 3
    USER_DEFINED = 4


def gguf_tokenizer(file: GgufFile) -> ModelTokenizer:
    """The file's tokenizer with its chat template and the token it puts in front."""
    tokens: list[str] = file.get("tokenizer.ggml.tokens")
    kind = file.text("tokenizer.ggml.model")
    try:
        if kind == "gpt2":
            cut = _cut(file)
            backend, begins = _byte_level(file, tokens, cut), cut.begins
        elif kind == "llama":
            backend, begins = _sentencepiece(file, tokens), True
        else:
            raise CaptureError(
                f"{file.path}: a tokenizer of kind '{kind}' is not known here; known are gpt2, llama"
            )
        _add_whole_tokens(backend, tokens, file.get("tokenizer.ggml.token_type", []))
    except CaptureError:
        raise
    except Exception as error:  # the library raises bare Exception
        raise CaptureError(f"{file.path}: not a usable tokenizer ({first_line(error)})") from error
    first = file.get("tokenizer.ggml.bos_token_id", None)
    ends = (file.get(f"tokenizer.ggml.{name}_token_id", None) for name in ("eos", "eot", "eom"))
    return ModelTokenizer(
        origin=str(file.path),
        backend=backend,
        first=(first,) if first is not None and file.get("tokenizer.ggml.add_bos_token", begins) else (),
        ends=tuple(end for end in ends if end is not None),
        chat_template=file.get("tokenizer.chat_template", None),
        special_names=_special_names(file, tokens),
    )


def _cut(file: GgufFile) -> Cut:
    name = file.get("tokenizer.ggml.pre", "none")
    if name not in _CUTS:
        raise CaptureError(
            f"{file.path}: how its tokenizer cuts text ('tokenizer.ggml.pre' is '{name}') is not known here; "
            f"known are {', '.join(_CUTS)}"
        )
    return _CUTS[name]


def _byte_level(file: GgufFile, tokens: list[str], cut: Cut) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    merges = [tuple(merge.split(" ", 1)) for merge in file.get("tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE(_ids(tokens), merges, ignore_merges=cut.whole_words_first))
    steps: list[Any] = [pre_tokenizers.Digits(individual_digits=True)] if cut.digits_alone else []
    if cut.pattern is not None:
        steps.append(pre_tokenizers.Split(Regex(cut.pattern), "isolated"))
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=cut.pattern is None))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    if cut.composed:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _sentencepiece(file: GgufFile, tokens: list[str]) -> Any:
    """Merges are not in the file; pieces with higher scores are made first."""
    from tokenizers import Tokenizer, decoders, models, normalizers
    from transformers.convert_slow_tokenizer import generate_merges

    vocabulary = _ids(tokens)
    scores = dict(zip(tokens, file.get("tokenizer.ggml.scores"), strict=True))
    unknown = file.get("tokenizer.ggml.unknown_token_id", 0)
    tokenizer = Tokenizer(
        models.BPE(
            vocabulary,
            generate_merges(vocabulary, scores),
            unk_token=tokens[unknown],
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    spaces: list[Any] = [normalizers.Replace(" ", "▁")]
    if file.get("tokenizer.ggml.add_space_prefix", True):
        spaces.insert(0, normalizers.Prepend("▁"))
    tokenizer.normalizer = normalizers.Sequence(spaces)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return tokenizer


def _add_whole_tokens(backend: Any, tokens: list[str], types: list[int]) -> None:
    """Tokens that are found in the text before it is cut."""
    from tokenizers import AddedToken

    for kind, special in ((TokenType.CONTROL, True), (TokenType.USER_DEFINED, False)):
        added = [
            AddedToken(token, normalized=False, special=special)
            for token, its_kind in zip(tokens, types, strict=False)
            if its_kind == kind and token
        ]
        (backend.add_special_tokens if special else backend.add_tokens)(added)


def _ids(tokens: list[str]) -> dict[str, int]:
    return {token: number for number, token in enumerate(tokens)}


def _special_names(file: GgufFile, tokens: list[str]) -> tuple[tuple[str, str], ...]:
    """What chat templates know as bos_token and eos_token."""
    names = []
    for name in ("bos", "eos"):
        number = file.get(f"tokenizer.ggml.{name}_token_id", None)
        if number is not None:
            names.append((f"{name}_token", tokens[number]))
    return tuple(names)
