"""Our place in the attention-function registry of transformers.

Models look their attention up by name for every call. Under ATTENTION_NAME they find a function that
computes what `sdpa` computes and shows the call to an observer; no model code is patched.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import Cache
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


class _Asked(Exception):
    """Leaves a module where it asks for attention, with the query that it made."""

    def __init__(self, query: torch.Tensor) -> None:
        self.query = query


@dataclass(frozen=True)
class ModuleCall:
    """An attention module as the model called it, before it ran."""

    module: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def hidden(self) -> torch.Tensor:
        """The module's input [1, n, hidden_size], normalised where the model does that before attention."""
        return self.kwargs["hidden_states"] if "hidden_states" in self.kwargs else self.args[0]

    @property
    def rotary(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """cos and sin [n, d] of the call's positions, None where the module gets none."""
        given = self.kwargs.get("position_embeddings")
        if not isinstance(given, tuple | list) or len(given) != 2:
            return None
        return given[0][0], given[1][0]

    def query_of(self, hidden: torch.Tensor) -> torch.Tensor:
        """The query [Hq, n, d] that the module makes of another input at the same positions.

        The module runs as it is, with projection, norm, clipping, rotation and scale of its own, up to where
        it asks for attention; the KV cache is kept from it.
        """
        args = tuple(None if isinstance(value, Cache) else value for value in self.args)
        kwargs = {name: None if isinstance(value, Cache) else value for name, value in self.kwargs.items()}
        if "hidden_states" in kwargs:
            kwargs["hidden_states"] = hidden
        else:
            args = (hidden, *args[1:])
        observed = ALL_ATTENTION_FUNCTIONS[ATTENTION_NAME]
        ALL_ATTENTION_FUNCTIONS.register(ATTENTION_NAME, _leave_with_query)
        try:
            self.module.forward(*args, **kwargs)
        except _Asked as asked:
            return asked.query[0]
        finally:
            ALL_ATTENTION_FUNCTIONS.register(ATTENTION_NAME, observed)
        raise RuntimeError(f"{type(self.module).__name__} asked for no attention")


def _leave_with_query(_module: Any, query: torch.Tensor, *_: Any, **__: Any) -> Any:
    raise _Asked(query)


def hook_inputs(modules: list[Any], see: Callable[[ModuleCall], None]) -> list[Any]:
    """Shows `see` each call of the modules before it runs. Returns handles; remove them when done."""

    def hook(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        see(ModuleCall(module, args, kwargs))

    return [module.register_forward_pre_hook(hook, with_kwargs=True) for module in modules]
