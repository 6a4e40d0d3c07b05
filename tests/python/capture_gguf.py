"""Tiny GGUF files out of model folders, written as llama.cpp's converter writes them."""

import math
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
import transformers

ARCHITECTURES = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gemma3_text": "gemma3"}
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MERGES = ("Ġ t", "h e", "Ġt he", "i t", "o f", "e s", "es t")
VOCAB = 288


def byte_tokens() -> list[str]:
    """Special tokens, the 256 byte letters of GPT-2, what the merges make, and padding."""
    from tokenizers.pre_tokenizers import ByteLevel

    made = [merge.replace(" ", "") for merge in MERGES]
    known = [*SPECIAL, *sorted(ByteLevel.alphabet()), *made]
    return known + [f"[unused{i}]" for i in range(VOCAB - len(known))]


def save_byte_tokenizer(folder: Path) -> None:
    """tokenizer.json of the same vocabulary, digits alone as SmolLM has them."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    vocabulary = {token: number for number, token in enumerate(byte_tokens())}
    tokenizer = Tokenizer(models.BPE(vocabulary, [tuple(merge.split(" ")) for merge in MERGES]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL])
    tokenizer.save(str(folder / "tokenizer.json"))


def write_gguf(folder: Path, path: Path, kind: str = "F32", changes: dict[str, Any] | None = None) -> Path:
    """The folder's model with its matrices in `kind`; `changes` replace or add metadata, None removes."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    config = model.config
    architecture = ARCHITECTURES[config.model_type]
    writer = gguf.GGUFWriter(path, architecture)
    metadata = _metadata(config, architecture) | _tokenizer_metadata() | (changes or {})
    for key, value in metadata.items():
        if value is not None:
            _add(writer, key, value)
    names = gguf.get_tensor_name_map(
        next(a for a, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture), config.num_hidden_layers
    )
    for name, values in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        stem, _, suffix = name.rpartition(".")
        _add_tensor(writer, f"{names.get_name(stem)}.{suffix}", _as_converted(name, values, config), kind)
    if config.rope_parameters.get("rope_type") == "llama3":
        writer.add_tensor("rope_freqs.weight", _llama3_divisors(config))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def stored_as(folder: Path, kind: str) -> None:
    """Replaces the folder's matrices by what is left of them in `kind`."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    quantisation = gguf.GGMLQuantizationType[kind]
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                packed = gguf.quantize(parameter.numpy(), quantisation)
                parameter.copy_(torch.from_numpy(gguf.dequantize(packed, quantisation).astype(np.float32)))
    model.save_pretrained(folder)


def _metadata(config: Any, architecture: str) -> dict[str, Any]:
    ropes = config.rope_parameters
    rope = ropes.get("full_attention", ropes)
    values = {
        "block_count": config.num_hidden_layers,
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "attention.key_length": config.head_dim,
        "attention.value_length": config.head_dim,
        "attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
        "rope.freq_base": float(rope["rope_theta"]),
    }
    if architecture == "llama":
        values |= {"rope.dimension_count": config.head_dim, "vocab_size": config.vocab_size}
    if architecture == "gemma3":
        values["attention.sliding_window"] = config.sliding_window
    if rope.get("rope_type") == "yarn":
        values |= {
            "rope.scaling.type": "yarn",
            "rope.scaling.factor": float(rope["factor"]),
            "rope.scaling.original_context_length": rope["original_max_position_embeddings"],
        }
    return {f"{architecture}.{name}": value for name, value in values.items()}


def _tokenizer_metadata() -> dict[str, Any]:
    tokens = byte_tokens()
    control = gguf.TokenType.CONTROL
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [
            int(control if token in SPECIAL else gguf.TokenType.NORMAL) for token in tokens
        ],
        "tokenizer.ggml.merges": list(MERGES),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": TEMPLATE,
    }


def _add(writer: Any, key: str, value: Any) -> None:
    if isinstance(value, list):
        writer.add_array(key, value)
    elif isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    else:
        writer.add_string(key, value)


def _add_tensor(writer: Any, name: str, values: np.ndarray, kind: str) -> None:
    if values.ndim == 1 or kind == "F32":
        writer.add_tensor(name, values)
        return
    quantisation = gguf.GGMLQuantizationType[kind]
    writer.add_tensor(name, gguf.quantize(values, quantisation), raw_dtype=quantisation)


def _as_converted(name: str, values: torch.Tensor, config: Any) -> np.ndarray:
    """What llama.cpp's convert_hf_to_gguf.py does to some tensors."""
    array = values.float().numpy()
    if config.model_type == "llama" and (".q_proj." in name or ".k_proj." in name):
        heads = config.num_attention_heads if ".q_proj." in name else config.num_key_value_heads
        halves = array.reshape(heads, 2, array.shape[0] // heads // 2, *array.shape[1:])
        return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(array.shape))
    if config.model_type == "gemma3_text" and name.endswith("norm.weight"):
        return array + 1
    return array


def _llama3_divisors(config: Any) -> np.ndarray:
    """By what llama.cpp divides the frequencies of Llama 3."""
    rope, dim = config.rope_parameters, config.head_dim
    low, high, factor = (rope[name] for name in ("low_freq_factor", "high_freq_factor", "factor"))
    context = rope["original_max_position_embeddings"]
    divisors = []
    for i in range(0, dim, 2):
        wavelength = 2 * math.pi * rope["rope_theta"] ** (i / dim)
        if wavelength < context / high:
            divisors.append(1.0)
        elif wavelength > context / low:
            divisors.append(factor)
        else:
            smooth = (context / wavelength - low) / (high - low)
            divisors.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(divisors, np.float32)
