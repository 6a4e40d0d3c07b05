"""Rotary parameters: as the format stores them, and as one pass over the whole trace has them.

Two kinds of rotary embedding look at the length of the sequence: `longrope` has one set of factors up to the
original context and one beyond, `dynamic` a base that grows with the length. A trace is made block by block,
but its keys are those of one pass over all of its tokens, so its length decides before the model is made.
"""

import copy
import json
from dataclasses import dataclass
from typing import Any

from .errors import CaptureError
from .model import text_config


@dataclass(frozen=True)
class Rope:
    """Rotary parameters as the format stores them."""

    theta: float
    scaling: str

    def __str__(self) -> str:
        return f"rope_theta {self.theta:g}, scaling {self.scaling}"


def layer_rope(config: Any, layer: int) -> Rope | None:
    """The parameters of a layer, None where it has none that the format knows."""
    parameters = _of_layer(text_config(config), layer)
    if not parameters or "rope_theta" not in parameters:
        return None
    rest = {key: value for key, value in parameters.items() if key != "rope_theta"}
    plain = rest.get("rope_type", "default") == "default"
    return Rope(float(parameters["rope_theta"]), "none" if plain else json.dumps(rest, sort_keys=True))


def for_whole_pass(config: Any, total: int) -> Any:
    """A configuration whose rotary embedding is at every position that of a pass over `total` tokens."""
    fixed = copy.deepcopy(config)
    text = text_config(fixed)
    parameters = getattr(text, "rope_parameters", None) or {}
    for entry in parameters.values() if _by_layer_type(parameters) else [parameters]:
        if entry.get("rope_type") == "longrope":
            if total > entry["original_max_position_embeddings"]:
                entry["short_factor"] = entry["long_factor"]
        elif "dynamic" in str(entry.get("rope_type")) and total > text.max_position_embeddings:
            _fix_dynamic(text, entry, total)
    return fixed


def _fix_dynamic(text: Any, entry: dict[str, Any], total: int) -> None:
    """The base that transformers has for a pass over `total` tokens, and no scaling."""
    if entry["rope_type"] != "dynamic":
        raise CaptureError(
            f"rope type '{entry['rope_type']}' depends on the length of a pass, and the trace of {total} "
            f"tokens is longer than the {text.max_position_embeddings} up to which it does not"
        )
    head_dim = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    channels = int(head_dim * entry.get("partial_rotary_factor", 1.0))
    factor = entry.pop("factor")
    growth = factor * total / text.max_position_embeddings - (factor - 1)
    entry["rope_theta"] *= growth ** (channels / (channels - 2))
    entry["rope_type"] = "default"


def _of_layer(text: Any, layer: int) -> dict[str, Any] | None:
    parameters = getattr(text, "rope_parameters", None)
    if not parameters or not _by_layer_type(parameters):
        return parameters
    kinds = getattr(text, "layer_types", None)
    return parameters.get(kinds[layer]) if kinds else None


def _by_layer_type(parameters: dict[str, Any]) -> bool:
    return bool(parameters) and all(isinstance(entry, dict) for entry in parameters.values())
