"""Tiny random models for the capture tests, and what they say about a trace when nobody captures."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from kvreplay_capture.options import CaptureOptions

torch.set_num_threads(1)
FAMILIES = ("llama", "qwen2", "qwen3", "mistral")
VOCAB = 96
TEXT = "it was the best of times it was the worst of times and a far far better thing that i do " * 8
# Weights much larger than usual, so that attention is far from uniform.
INIT_RANGE = 0.3


def tiny_config(family: str, **changes: Any) -> Any:
    """3 layers, 4 query heads over 2 KV heads of 8 channels."""
    sizes: dict[str, Any] = dict(
        vocab_size=VOCAB,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=None,
        initializer_range=INIT_RANGE,
        rope_parameters={"rope_type": "default", "rope_theta": 5000.0},
    )
    if family == "mistral":
        sizes["sliding_window"] = None
    return transformers.AutoConfig.for_model(family, **(sizes | changes))


def save_tokenizer(folder: Path, vocab: int = VOCAB, begins: bool = True) -> None:
    """One token a character, so that counts are easy to see; `<s>` in front of a text where it `begins`."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    names = ["<s>", "</s>", *(chr(32 + i) for i in range(vocab - 2))]
    tokenizer = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="</s>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    if begins:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer.save(str(folder / "tokenizer.json"))


def save_model(folder: Path, config: Any, seed: int = 11) -> Path:
    """A random model folder; biases and norms are random too, so that leaving one out shows."""
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            base = 1.0 if "norm" in name else 0.0
            torch.nn.init.normal_(parameter, base, 0.2)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    save_tokenizer(folder)
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    return folder


@dataclass(frozen=True)
class Reference:
    """What one full eager forward pass over the trace's tokens says, per layer."""

    queries: list[np.ndarray]
    keys: list[np.ndarray]
    values: list[np.ndarray]
    weights: list[np.ndarray]
    inputs: list[np.ndarray]
    logits: np.ndarray
    model: Any


def eager_reference(folder: Path, tokens: np.ndarray) -> Reference:
    """q, k, v from the model's own modules and rotary function; weights from output_attentions."""
    model = (
        transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").float().eval()
    )
    inputs: list[torch.Tensor] = []
    for layer in model.model.layers:
        layer.self_attn.register_forward_pre_hook(
            lambda _m, _a, kwargs: inputs.append(kwargs["hidden_states"]), with_kwargs=True
        )
    with torch.no_grad():
        ids = torch.tensor(tokens.astype(np.int64))[None]
        out = model(ids, output_attentions=True, use_cache=False)
        made = [by_hand(model, i, hidden) for i, hidden in enumerate(inputs)]
    return Reference(
        *([m[i][0].numpy() for m in made] for i in range(3)),
        weights=[w[0].numpy() for w in out.attentions],
        inputs=[h[0].numpy() for h in inputs],
        logits=out.logits[0].numpy(),
        model=model,
    )


def by_hand(model: Any, layer: int, hidden: Any) -> tuple[Any, Any, Any]:
    """Post-RoPE q, k and v of a layer, written out as the model's module does it."""
    attention = model.model.layers[layer].self_attn
    shape = (*hidden.shape[:-1], -1, attention.head_dim)
    q, k, v = (getattr(attention, f"{n}_proj")(hidden).view(shape) for n in "qkv")
    if hasattr(attention, "q_norm"):
        q, k = attention.q_norm(q), attention.k_norm(k)
    cos, sin = model.model.rotary_emb(hidden, torch.arange(hidden.shape[1])[None])
    rotate = sys.modules[type(attention).__module__].apply_rotary_pos_emb
    return *rotate(q.transpose(1, 2), k.transpose(1, 2), cos, sin), v.transpose(1, 2)


def options(folder: Path, output: Path, **changes: Any) -> CaptureOptions:
    """24 prompt tokens and 40 steps, small blocks so that several are needed."""
    given: dict[str, Any] = dict(
        model=folder,
        text=folder / "text.txt",
        prompt_tokens=24,
        steps=40,
        window=10,
        block=16,
        tolerance=5e-3,
    )
    return CaptureOptions(output=output, **(given | changes))


def assert_close_to_half(stored: np.ndarray, exact: np.ndarray) -> None:
    """float16 rounding, and nothing else worth mentioning."""
    assert stored.dtype == np.float16 and stored.shape == exact.shape
    np.testing.assert_allclose(stored.astype(np.float32), exact, rtol=1e-3, atol=2e-4 * np.abs(exact).max())
