#!/usr/bin/env python3
"""Records the contexts of shared_contexts.py as turns and as requests, and says where what they need stands.

    .venv-capture/bin/python traces/workloads/record_shared.py MODEL.gguf FOLDER [--seeds N]

For every task and seed a folder TASK_SEED with

    turns.h5                      the whole conversation; its prompt has the context and the first question
    request_2.h5, request_3.h5    the context and one later question alone; their prompt is the context
    spans.json                    where all that is: Record of shared_places.py

Right answers are given. A request has another text after the context than the conversation has, so that its
entries are its own; the prompt, which is the same, is what requests share. Those that are asked first would
be recorded twice and are not. A trace that is there is kept; all tasks of a seed come before the next seed.
"""

import argparse
import json
import os
from pathlib import Path

from kvreplay_capture.model import KeptSource, open_source
from kvreplay_capture.options import CaptureOptions
from shared_contexts import TASKS, shared_context
from shared_places import Record, Texts, Written

SEEDS = 2
WINDOW = 32  # queries of the prompt's end that are kept
LAYERS = (5, 12, 19, 26)


def record(source: KeptSource, written: Written, prompt: int, out: Path) -> None:
    from kvreplay_capture.session import capture

    chat = out.with_suffix(".chat")
    chat.write_text(json.dumps(written.messages, indent=1))
    total = sum(written.answer(len(written.messages) // 2 - 1))
    options = CaptureOptions(
        model=source.path, output=out, text=None, chat=chat, prompt_tokens=prompt, steps=total - prompt,
        layers=LAYERS, window=WINDOW, speculated=False, model_name="SmolLM2-135M-Instruct-Q4_1",
        text_source="shared contexts of kvreplay; prose of Tolstoy, War and Peace (Project Gutenberg 2600)",
        licence="text: MIT, the prose public domain; weights: Apache-2.0",
    )  # fmt: skip
    capture(options, source=source)
    chat.unlink()


def record_all(source: KeptSource, task: str, seed: int, folder: Path) -> None:
    texts = Texts(source.tokenizer(), shared_context(task, seed))
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {"turns": (texts.turns, texts.turns.answer(0)[0])}
    wanted |= {f"request_{number}": (one, texts.context) for number, one in texts.requests.items()}
    for name, (written, prompt) in wanted.items():
        if not (folder / f"{name}.h5").exists():
            record(source, written, prompt, folder / f"{name}.h5")
    spans: Record = {"task": task, "family": TASKS[task].family, "seed": seed, "context": texts.context,
                     "questions": texts.questions()}  # fmt: skip
    (folder / "spans.json").write_text(json.dumps(spans, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="contexts of each task (%(default)s)")
    options = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.set_num_threads(1)
    source = KeptSource(open_source(options.model))
    for seed in range(1, options.seeds + 1):
        for task in TASKS:
            print(f"{task}, seed {seed} ...", flush=True)
            record_all(source, task, seed, options.folder / f"{task}_{seed}")


if __name__ == "__main__":
    main()
