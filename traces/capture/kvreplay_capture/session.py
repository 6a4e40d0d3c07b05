"""One capture from options to published file.

tokens <- text;  model <- folder;  facts <- probe(model);  plan <- options, config, facts
for each block of the prompt:        forward (KV cache); the recorder appends q, k, v
write the prompt's attention sums
for each decode block or token:      forward; generation picks the next token from the last logits
finish the file; self-check against the model's own outputs; rename
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache

from .check import CheckResult, require_reproduction, sample_positions
from .model import load_config, load_model
from .options import CaptureOptions, check_options
from .plan import Plan, make_plan, root_attributes
from .probe import LayerFacts, probe
from .progress import Progress
from .recorder import Recorder, announce_datasets
from .registry import hook_inputs, observe_attention
from .text import known_tokens
from .writer import TraceWriter


@dataclass(frozen=True)
class Report:
    """What came out of a capture."""

    path: Path
    plan: Plan
    check: CheckResult
    file_bytes: int
    run_s: float
    warnings: tuple[str, ...]


def capture(options: CaptureOptions, progress: Progress | None = None) -> Report:
    """Writes the trace; raises CaptureError, and leaves nothing behind, when it cannot."""
    check_options(options)
    begun = time.monotonic()
    config = load_config(options.model_dir)
    tokens = known_tokens(options, config)
    observe_attention(lambda *_: None)  # the name must be known before a model can ask for it
    model = load_model(options.model_dir, config, options.dtype, options.device)
    facts = probe(model, _probe_tokens(tokens, config.vocab_size))
    plan = make_plan(options, config, facts)
    sampled = sample_positions(plan.prefill, plan.total, options.check_positions)
    with TraceWriter(options.output, root_attributes(options, config, plan)) as writer:
        announce_datasets(writer, plan)
        recorder = Recorder(plan, facts, writer, sampled)
        _run(model, facts, recorder, writer, tokens, options, progress or Progress(plan.total, quiet=True))
        writer.finish()
        check = require_reproduction(writer.temporary, recorder.outputs, options.tolerance, options.dtype)
        writer.publish()
    size = options.output.stat().st_size
    return Report(options.output, plan, check, size, time.monotonic() - begun, _warnings(options, config))


def _warnings(options: CaptureOptions, config: Any) -> tuple[str, ...]:
    """What may be meant but should not pass in silence."""
    limit = getattr(config, "max_position_embeddings", None)
    if limit is None or options.total <= limit:
        return ()
    return (f"the trace has {options.total} tokens; the model was made for {limit}",)


def _probe_tokens(tokens: list[int], vocab_size: int) -> tuple[int, int]:
    """A real token of the text (padding may embed to zero) and another one."""
    token = tokens[-1]
    return token, next((t for t in tokens if t != token), (token + 1) % vocab_size)


@torch.inference_mode()
def _run(
    model: Any,
    facts: dict[int, LayerFacts],
    recorder: Recorder,
    writer: TraceWriter,
    tokens: list[int],
    options: CaptureOptions,
    progress: Progress,
) -> None:
    observe_attention(recorder.see_attention)
    handles = hook_inputs([fact.module for fact in facts.values()], recorder.see_input)
    first_query = options.prompt_tokens - options.window
    writer.append("query_positions", np.arange(first_query, options.total))
    cache = DynamicCache(config=model.config)
    try:
        for start, ids in _blocks(model, cache, recorder, tokens, options):
            writer.append("tokens", np.asarray(ids))
            progress.advance(len(ids))
            if start + len(ids) == options.prompt_tokens:
                recorder.write_prompt_sums()
    finally:
        for handle in handles:
            handle.remove()


def _blocks(
    model: Any, cache: Any, recorder: Recorder, tokens: list[int], options: CaptureOptions
) -> Iterator[tuple[int, list[int]]]:
    """Runs the model and yields each block after its pass; prompt and decode never share a block."""

    def forward(start: int, ids: list[int]) -> torch.Tensor:
        recorder.begin(start)
        batch = torch.tensor([ids], device=model.device)
        return model(input_ids=batch, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[0, -1]

    logits = torch.empty(0)
    for start, stop in _spans(0, options.prompt_tokens, options.block):
        logits = forward(start, tokens[start:stop])
        yield start, tokens[start:stop]
    if options.mode == "teacher-forced":
        for start, stop in _spans(options.prompt_tokens, options.total, options.block):
            forward(start, tokens[start:stop])
            yield start, tokens[start:stop]
        return
    pick = TokenPicker(options)
    for start in range(options.prompt_tokens, options.total):
        ids = [pick(logits)]
        logits = forward(start, ids)
        yield start, ids


def _spans(start: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    for first in range(start, stop, size):
        yield first, min(first + size, stop)


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
