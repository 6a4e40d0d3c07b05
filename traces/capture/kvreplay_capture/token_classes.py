"""The class of each token, from its tokenizer, and `kvreplay-token-classes`, which adds it to a trace.

A trace that was captured before there were classes gets them without its model being run: nothing but the
tokenizer is read, and every other dataset is copied as it is.
"""

import argparse
import os
import shutil
import sys
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np

from .errors import CaptureError, SystemRefused
from .gguf_file import SUFFIX, GgufFile
from .gguf_tokenizer import gguf_tokenizer
from .kvtrace import Trace
from .outputs import partial_name, resolve_output
from .tokenizer import ModelTokenizer, folder_tokenizer
from .writer import DatasetStream

DATASET = "token_class"
LONG_NAME = "class of each token: 0 other, 1 special, 2 punctuation"
OTHER, SPECIAL, PUNCTUATION = range(3)


def classifier(tokenizer: ModelTokenizer) -> Callable[[Sequence[int]], np.ndarray]:
    """Says for token ids their classes, [n] uint8, as traces/FORMAT.md has them."""
    added = tokenizer.backend.get_added_tokens_decoder()
    special = {number for number, token in added.items() if token.special}
    special.update(tokenizer.first, tokenizer.ends)
    known: dict[int, int] = {}

    def class_of(token: int) -> int:
        if token not in known:
            text = tokenizer.backend.decode([token], skip_special_tokens=False)
            known[token] = SPECIAL if token in special else PUNCTUATION if is_punctuation(text) else OTHER
        return known[token]

    return lambda ids: np.fromiter((class_of(int(token)) for token in ids), np.uint8, len(ids))


def is_punctuation(text: str) -> bool:
    """Whether a text has nothing but punctuation of Unicode (category P), white space around it aside."""
    bare = text.strip()
    return bool(bare) and all(unicodedata.category(character).startswith("P") for character in bare)


def add_classes(model: Path, trace: Path, output: Path) -> np.ndarray:
    """Writes `trace` with the classes of its tokens to `output`; returns them, [T] uint8."""
    target = resolve_output(output, [trace])
    tokenizer = gguf_tokenizer(GgufFile(model)) if model.suffix == SUFFIX else folder_tokenizer(model)
    try:
        with Trace(trace) as whole:
            ids, vocabulary = whole.file["tokens"][:], int(whole.file.attrs["vocab_size"])
            if DATASET in whole.file:
                raise CaptureError(f"{trace}: has classes of its tokens already")
    except (OSError, ValueError) as error:
        raise CaptureError(f"{trace}: not a readable trace ({error})") from error
    size = tokenizer.backend.get_vocab_size(with_added_tokens=True)
    if size > vocabulary or int(ids.max()) >= size:
        raise CaptureError(
            f"{model}: its tokenizer has {size} tokens, and the trace is of a model with {vocabulary}, "
            f"ids up to {int(ids.max())}; give the tokenizer of that model"
        )
    classes = classifier(tokenizer)(ids)
    partial = partial_name(target)
    try:
        shutil.copyfile(trace, partial)
        with h5py.File(partial, "r+") as file:
            stream = DatasetStream(file, DATASET, "|u1", len(classes), (), "1", LONG_NAME)
            stream.append(classes)
            stream.finish()
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    return classes


def command(arguments: list[str] | None = None) -> None:
    """`kvreplay-token-classes MODEL TRACE -o OUT`: exit code 0, or 2 or 3 with one line of why not."""
    parser = argparse.ArgumentParser(
        prog="kvreplay-token-classes", description="Adds the classes of its tokens to a kvtrace."
    )
    parser.add_argument("model", type=Path, help="the model's folder or GGUF file, for its tokenizer")
    parser.add_argument("trace", type=Path, help="a kvtrace without classes")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a new name; not the trace itself")
    given = parser.parse_args(arguments)
    try:
        classes = add_classes(given.model, given.trace, given.output)
    except CaptureError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except (OSError, SystemRefused) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(3)
    other, special, punctuation = np.bincount(classes, minlength=3)
    print(f"{given.output}: {special} special, {punctuation} punctuation, {other} other")


if __name__ == "__main__":
    command()
