"""Our place in the attention-function registry of transformers.

Models look their attention up by name for every call. Under ATTENTION_NAME they find a function that
computes what `sdpa` computes and shows the call to an observer; no model code is patched.
"""

from collections.abc import Callable
from typing import Any

import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from .errors import CaptureError
from .model import ATTENTION_NAME

FOREIGN_ARGUMENTS = ("softcap", "s_aux", "sinks", "position_bias")

# (module, query [1, Hq, n, d], key [1, Hkv, n_all, d], value, output [1, n, Hq, d], further arguments)
Observer = Callable[[Any, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, dict[str, Any]], None]


def observe_attention(observer: Observer) -> None:
    """Shows every attention call to `observer` from now on; replaces the observer before it."""

    def attend(
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, None]:
        _refuse_foreign_arguments(module, kwargs)
        output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
        observer(module, query, key, value, output, kwargs)
        return output, None

    ALL_ATTENTION_FUNCTIONS.register(ATTENTION_NAME, attend)
    ALL_MASK_ATTENTION_FUNCTIONS.register(ATTENTION_NAME, sdpa_mask)


def _refuse_foreign_arguments(module: Any, kwargs: dict[str, Any]) -> None:
    """Some models change by arguments what attention means; neither sdpa nor the format knows them all."""
    for name in FOREIGN_ARGUMENTS:
        if kwargs.get(name) is not None:
            layer = getattr(module, "layer_idx", "?")
            raise CaptureError(f"layer {layer}: its attention uses '{name}', which kvtrace 1 cannot express")


def hook_inputs(modules: list[Any], see: Callable[[Any, torch.Tensor, Any], None]) -> list[Any]:
    """Shows `see` each attention module's input: (module, hidden [n, hidden_size], (cos, sin) or None).

    Returns the handles; remove them when done.
    """

    def hook(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hidden = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
        rotary = kwargs.get("position_embeddings")
        see(module, hidden[0], rotary if isinstance(rotary, tuple | list) else None)

    return [module.register_forward_pre_hook(hook, with_kwargs=True) for module in modules]
