"""A model on disk, a Hugging Face folder or a GGUF file: its configuration, tokenizer and weights.

No code of a model is ever run: only classes of transformers, and only safetensors or GGUF weights.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any, Protocol

import torch

from .errors import CaptureError, first_line
from .gguf_file import SUFFIX, GgufFile
from .gguf_model import gguf_config, gguf_weights
from .gguf_tokenizer import gguf_tokenizer
from .tokenizer import ModelTokenizer, folder_tokenizer

ATTENTION_NAME = "kvreplay_capture"


class ModelSource(Protocol):
    """Where a model comes from."""

    path: Path

    def config(self) -> Any:
        """The configuration of transformers."""

    def tokenizer(self) -> ModelTokenizer:
        """The model's own tokenizer."""

    def weight_files(self) -> list[Path]:
        """The files with weights, in name order."""

    def load(self, config: Any, dtype: torch.dtype) -> tuple[Any, dict[str, Any]]:
        """The model, its attention sent to ATTENTION_NAME, and which weights did not fit."""


def open_source(path: Path) -> ModelSource:
    """A folder, or a file ending in .gguf."""
    return GgufSource(path) if path.suffix == SUFFIX else FolderSource(path)


class FolderSource:
    """A folder with config.json, *.safetensors and a tokenizer."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def config(self) -> Any:
        from transformers import AutoConfig

        _refuse_foreign_type(self.path)
        try:
            return AutoConfig.from_pretrained(self.path, local_files_only=True, trust_remote_code=False)
        except Exception as error:  # unknown model types, broken JSON, fields out of range
            raise CaptureError(f"{self.path}/config.json: {first_line(error)}") from error

    def tokenizer(self) -> ModelTokenizer:
        return folder_tokenizer(self.path)

    def weight_files(self) -> list[Path]:
        files = sorted(self.path.glob("*.safetensors"))
        if not files:
            raise CaptureError(f"{self.path}: holds no *.safetensors weights")
        return files

    def load(self, config: Any, dtype: torch.dtype) -> tuple[Any, dict[str, Any]]:
        from transformers import AutoModelForCausalLM

        return AutoModelForCausalLM.from_pretrained(
            self.path,
            config=config,
            dtype=dtype,
            attn_implementation=ATTENTION_NAME,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )


class GgufSource:
    """One GGUF file, which holds everything."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = GgufFile(path)

    def config(self) -> Any:
        return gguf_config(self._file)

    def tokenizer(self) -> ModelTokenizer:
        return gguf_tokenizer(self._file)

    def weight_files(self) -> list[Path]:
        return [self.path]

    def load(self, config: Any, dtype: torch.dtype) -> tuple[Any, dict[str, Any]]:
        from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

        return MODEL_FOR_CAUSAL_LM_MAPPING[type(config)].from_pretrained(
            None,
            config=config,
            state_dict=gguf_weights(self._file, dtype),
            dtype=dtype,
            attn_implementation=ATTENTION_NAME,
            output_loading_info=True,
        )


class KeptSource:
    """A source whose tokenizer and last model are kept, for one capture after another."""

    def __init__(self, source: ModelSource) -> None:
        self._source = source
        self.path = source.path
        self._tokenizer = source.tokenizer()
        self._loaded: tuple[Any, tuple[Any, dict[str, Any]]] | None = None

    def config(self) -> Any:
        return self._source.config()

    def tokenizer(self) -> ModelTokenizer:
        return self._tokenizer

    def weight_files(self) -> list[Path]:
        return self._source.weight_files()

    def load(self, config: Any, dtype: torch.dtype) -> tuple[Any, dict[str, Any]]:
        """The one before, where that was loaded in the same way."""
        wanted = (config.to_dict(), dtype)
        if self._loaded is None or self._loaded[0] != wanted:
            self._loaded = (wanted, self._source.load(config, dtype))
        return self._loaded[1]


def load_config(source: ModelSource) -> Any:
    """The configuration, refused unless it describes a decoder for causal language modelling."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

    config = source.config()
    if getattr(config, "is_encoder_decoder", False) or type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise CaptureError(f"{source.path}: a '{config.model_type}' model is not a causal decoder")
    return config


def load_model(source: ModelSource, config: Any, dtype: str, device: str) -> Any:
    """The model in evaluation mode, its attention sent to the function registered as ATTENTION_NAME."""
    source.weight_files()
    try:
        model, info = source.load(config, getattr(torch, dtype))
    except CaptureError:
        raise
    except Exception as error:  # the loader raises many kinds; all of them mean that the model is unusable
        if isinstance(error, KeyError) and ATTENTION_NAME in str(error):  # a family with a list of its own
            raise beside_registry(config.model_type) from error
        raise CaptureError(f"{source.path}: cannot be loaded: {first_line(error)}") from error
    _refuse_misfits(source, info)
    try:
        return model.to(device).eval()
    except (RuntimeError, AssertionError) as error:
        raise CaptureError(f"device '{device}' cannot be used: {first_line(error)}") from error


def beside_registry(model_type: str) -> CaptureError:
    """The refusal of a family whose attention cannot be observed."""
    return CaptureError(
        f"a '{model_type}' model does not call the attention-function registry of transformers, "
        "so its attention cannot be observed"
    )


def calls_registry(model: Any) -> bool:
    """Whether the family's code looks attention up in the registry at all."""
    return hasattr(sys.modules[type(model).__module__], "ALL_ATTENTION_FUNCTIONS")


def _refuse_foreign_type(folder: Path) -> None:
    """A model type that transformers does not have, with what the folder offers instead."""
    from transformers import CONFIG_MAPPING, __version__

    path = folder / "config.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CaptureError(f"{path}: not JSON ({first_line(error)})") from error
    kind = content.get("model_type") if isinstance(content, dict) else None
    if kind in CONFIG_MAPPING:
        return
    code = (
        "; the folder brings code of its own (auto_map), which is never run" if "auto_map" in content else ""
    )
    raise CaptureError(f"{path}: model type '{kind}' is not one of transformers {__version__}{code}")


def _refuse_misfits(source: ModelSource, info: dict[str, Any]) -> None:
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if names := sorted(map(str, info.get(kind) or ())):
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise CaptureError(f"{source.path}: weights do not fit the config ({kind}: {names[0]}{more})")


def weights_sha256(source: ModelSource) -> str:
    """SHA-256 over the weight files, one after the other in name order."""
    digest = hashlib.sha256()
    for path in source.weight_files():
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def source_name(source: ModelSource) -> str:
    """The folder's or the file's name, for people."""
    name = source.path.resolve().name
    return name.removesuffix(SUFFIX) or name


def text_config(config: Any) -> Any:
    """The part of the configuration that describes the decoder; a model of several kinds has others."""
    return config.get_text_config(decoder=True)


def config_size(config: Any, name: str) -> int:
    """A size that the format requires; not every family calls it by the usual name."""
    value = getattr(text_config(config), name, None)
    if not isinstance(value, int) or value < 1:
        raise CaptureError(f"the configuration has no usable '{name}' (found {value!r})")
    return value
