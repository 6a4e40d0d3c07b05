"""One capture from options to published file.

tokens <- text;  model <- folder;  facts <- probe(model);  plan <- options, config, facts
for each block of the prompt:        forward (KV cache); the recorder appends q, k, v
write the prompt's attention sums
for each decode block or token:      forward; generation picks the next token from the last logits
finish the file; self-check against the model's own outputs; rename
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .chat import Conversation
from .check import CheckReport, require_reproduction, sample_positions
from .errors import CheckFailed
from .model import ModelSource, load_config, load_model, open_source, text_config
from .options import CaptureOptions, check_options, input_files
from .outputs import remove_abandoned, resolve_output, unaccepted_name
from .plan import Plan, make_plan, root_attributes
from .probe import PROBE_TOKENS, LayerFacts, probe
from .progress import Progress
from .recorder import Recorder, announce_datasets
from .registry import hook_inputs, observe_attention
from .rope import for_whole_pass
from .text import require_vocabulary, text_script
from .token_classes import DATASET as CLASSES
from .token_classes import classifier
from .tokens import TokenSource
from .writer import TraceWriter


@dataclass(frozen=True)
class Report:
    """What came out of a capture."""

    path: Path
    plan: Plan
    check: CheckReport
    file_bytes: int
    run_s: float
    warnings: tuple[str, ...]


def capture(
    options: CaptureOptions, progress: Progress | None = None, source: ModelSource | None = None
) -> Report:
    """Writes the trace; raises CaptureError, and leaves nothing accepted behind, when it cannot. `source` is
    what is at `options.model` where that is open already, as for one trace after another."""
    check_options(options)
    output = resolve_output(options.output, input_files(options))
    remove_abandoned(output)
    begun = time.monotonic()
    source = source or open_source(options.model)
    config = load_config(source)
    tokenizer = source.tokenizer()
    conversation = Conversation(options, tokenizer) if options.chat is not None else None
    script = conversation.script(options) if conversation is not None else text_script(options, tokenizer)
    require_vocabulary(tokenizer, script.tokens, text_config(config).vocab_size)
    observe_attention(lambda *_: None)  # the name must be known before a model can ask for it
    model = load_model(source, for_whole_pass(config, options.total), options.dtype, options.device)
    facts = probe(model, (script.tokens * PROBE_TOKENS)[-PROBE_TOKENS:])
    plan = make_plan(options, config, facts)
    tokens = TokenSource(options, script, conversation)
    sampled = sample_positions(plan.prefill, plan.total, options.check_positions)
    with TraceWriter(output, root_attributes(source, options, config, plan)) as writer:
        announce_datasets(writer, plan)
        recorder = Recorder(plan, facts, writer, sampled)
        classes_of = classifier(tokenizer)
        progress = progress or Progress(plan.total, quiet=True)
        _run(model, facts, recorder, writer, tokens, classes_of, options, progress)
        if conversation is not None:
            writer.write_whole(
                "turns", "<i8", np.asarray(tokens.turns), "position", "first position of each turn"
            )
        writer.finish()
        try:
            check = require_reproduction(
                writer.temporary, recorder.samples, options.allowed_error, options.dtype
            )
        except CheckFailed as error:
            writer.publish(unaccepted_name(output))
            raise CheckFailed(f"{error}; the file was kept as {unaccepted_name(output)}") from error
        writer.publish(output)
    size = output.stat().st_size
    warnings = (*_length_warnings(options, config), *tokens.warnings())
    return Report(options.output, plan, check, size, time.monotonic() - begun, warnings)


def _length_warnings(options: CaptureOptions, config: Any) -> tuple[str, ...]:
    """What may be meant but should not pass in silence."""
    limit = getattr(text_config(config), "max_position_embeddings", None)
    if limit is None or options.total <= limit:
        return ()
    return (f"the trace has {options.total} tokens; the model was made for {limit}",)


@torch.inference_mode()
def _run(
    model: Any,
    facts: dict[int, LayerFacts],
    recorder: Recorder,
    writer: TraceWriter,
    tokens: TokenSource,
    classes_of: Callable[[Sequence[int]], np.ndarray],
    options: CaptureOptions,
    progress: Progress,
) -> None:
    observe_attention(recorder.see_attention)
    handles = hook_inputs([fact.module for fact in facts.values()], recorder.see_input)
    first_query = options.prompt_tokens - options.window
    writer.append("query_positions", np.arange(first_query, options.total))
    try:
        for start, ids in _blocks(model, recorder, tokens, options):
            writer.append("tokens", np.asarray(ids))
            writer.append(CLASSES, classes_of(ids))
            progress.advance(len(ids))
            if start + len(ids) == options.prompt_tokens:
                recorder.write_prompt_sums()
    finally:
        for handle in handles:
            handle.remove()


def _blocks(
    model: Any, recorder: Recorder, tokens: TokenSource, options: CaptureOptions
) -> Iterator[tuple[int, list[int]]]:
    """Runs the model and yields each block after its pass; prompt and decode never share a block."""
    start, logits, cache = 0, None, None
    while start < options.total:
        boundary = options.prompt_tokens if start < options.prompt_tokens else options.total
        ids = tokens.take(min(options.block, boundary - start), logits)
        recorder.begin(start)
        batch = torch.tensor([ids], device=model.device)
        given = model(input_ids=batch, past_key_values=cache, use_cache=True, logits_to_keep=1)
        logits, cache = given.logits[0, -1], given.past_key_values
        yield start, ids
        start += len(ids)
