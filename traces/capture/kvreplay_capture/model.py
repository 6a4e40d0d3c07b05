"""Loading a model folder, and what its configuration says about it."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .errors import CaptureError
from .text import first_line

ATTENTION_NAME = "kvreplay_capture"


@dataclass(frozen=True)
class Rope:
    """Rotary parameters as the format stores them."""

    theta: float
    scaling: str


def load_config(model_dir: Path) -> Any:
    """The configuration, refused unless it describes a decoder for causal language modelling."""
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

    try:
        config = AutoConfig.from_pretrained(model_dir, local_files_only=True)
    except Exception as error:  # unknown model types, broken JSON, fields out of range
        raise CaptureError(f"{model_dir}/config.json: {first_line(error)}") from error
    if getattr(config, "is_encoder_decoder", False) or type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise CaptureError(f"{model_dir}: a '{config.model_type}' model is not a causal decoder")
    return config


def weight_files(model_dir: Path) -> list[Path]:
    """The safetensors files in name order."""
    files = sorted(model_dir.glob("*.safetensors"))
    if not files:
        raise CaptureError(f"{model_dir}: holds no *.safetensors weights")
    return files


def weights_sha256(model_dir: Path) -> str:
    """SHA-256 over the weight files, one after the other in name order."""
    digest = hashlib.sha256()
    for path in weight_files(model_dir):
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def load_model(model_dir: Path, config: Any, dtype: str, device: str) -> Any:
    """The model in evaluation mode, its attention sent to the function registered as ATTENTION_NAME."""
    from transformers import AutoModelForCausalLM

    weight_files(model_dir)
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            model_dir,
            config=config,
            dtype=getattr(torch, dtype),
            attn_implementation=ATTENTION_NAME,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
    except Exception as error:  # the loader raises many kinds; all of them mean that the folder is unusable
        raise CaptureError(f"{model_dir}: cannot be loaded: {first_line(error)}") from error
    for kind in ("missing_keys", "mismatched_keys"):
        if info.get(kind):
            raise CaptureError(
                f"{model_dir}: weights do not fit the config ({kind}: {sorted(info[kind])[0]})"
            )
    try:
        return model.to(device).eval()
    except (RuntimeError, AssertionError) as error:
        raise CaptureError(f"device '{device}' cannot be used: {first_line(error)}") from error


def rope_parameters(config: Any) -> Rope:
    """The rotary parameters, refused where the format has no place for them."""
    parameters = getattr(config, "rope_parameters", None)
    if not parameters or "rope_theta" not in parameters:
        raise CaptureError(
            f"a '{config.model_type}' model has no single rotary embedding; kvtrace 1 holds models that "
            "rotate every layer's queries and keys alike"
        )
    rest = {key: value for key, value in parameters.items() if key != "rope_theta"}
    plain = rest.get("rope_type", "default") == "default"
    return Rope(float(parameters["rope_theta"]), "none" if plain else json.dumps(rest, sort_keys=True))


def config_size(config: Any, name: str) -> int:
    """A size that the format requires; not every family calls it by the usual name."""
    value = getattr(config, name, None)
    if not isinstance(value, int) or value < 1:
        raise CaptureError(f"config.json: no usable '{name}' (found {value!r})")
    return value
