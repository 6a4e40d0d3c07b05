"""Grows a small Llama by a look-back circuit: fixed-offset heads, then heads that match and copy."""

from __future__ import annotations

import torch
from transformers import LlamaConfig, LlamaForCausalLM


def random_model(seed: int) -> LlamaForCausalLM:
    """The shape that is grown when no `--init` is given."""
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=2048,
            hidden_size=256,
            intermediate_size=512,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=64,
            rms_norm_eps=1e-5,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=1,
            max_position_embeddings=16384,
        )
    )


MATCH_GAIN, COPY_GAIN = 24.0, 60.0  # measured: the lowest loss on a repeated random sequence before training
LANES = 128  # residual channels that the grown layers use and the old ones leave alone
CODE, TAP = (
    63,
    16,
)  # lane 0: a constant; 1..63: a code of the token; then four taps of 16: codes of earlier tokens
OFFSETS = ((1.0, 90.0), (2.0, 90.0), (3.0, 90.0), (4.6, 40.0))  # tokens back, sharpness of the attention peak
LANE_SIZE = 0.3
CONSTANT = 3.0  # size of lane 0 in front of the first layer, which takes it out again behind itself


def rope_shift(
    offset: float, freqs: torch.Tensor, amplitude: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Query and key vectors whose rotary product peaks where the key stands `offset` tokens back.

    With key k0 and query R(-offset) k0 the product is sum_i a_i^2 cos((m - n - offset) f_i).
    """
    key = torch.cat([amplitude, torch.zeros(len(freqs))])
    query = torch.cat([amplitude * torch.cos(-offset * freqs), amplitude * torch.sin(-offset * freqs)])
    return query, key


def widen(old: LlamaForCausalLM, order: list[int], new: LlamaForCausalLM) -> None:
    """Copies the old layers to `order`, reading and writing the old residual channels only."""
    h, wide = old.config.hidden_size, new.config.hidden_size
    for p in new.parameters():
        p.zero_()
    fix = (h / wide) ** 0.5  # RMSNorm now averages over more channels
    embedding, rest = old.model.embed_tokens.weight, new.model
    rest.embed_tokens.weight[:, :h] = embedding
    rest.norm.weight[:h] = old.model.norm.weight * fix
    for index, (source, target) in enumerate(
        zip(old.model.layers, (rest.layers[i] for i in order), strict=True)
    ):
        lanes = 1 + 5 * LANE_SIZE**2 / embedding.square().sum(1).mean() if index == 0 else 1.0
        for name in ("input_layernorm", "post_attention_layernorm"):
            getattr(target, name).weight[:h] = getattr(source, name).weight * fix * lanes**0.5
            getattr(target, name).weight[h:] = 1.0
        for name in ("q_proj", "k_proj", "v_proj"):
            getattr(target.self_attn, name).weight[:, :h] = getattr(source.self_attn, name).weight
        target.self_attn.o_proj.weight[:h] = source.self_attn.o_proj.weight
        for name in ("gate_proj", "up_proj"):
            getattr(target.mlp, name).weight[:, :h] = getattr(source.mlp, name).weight
        target.mlp.down_proj.weight[:h] = source.mlp.down_proj.weight


@torch.no_grad()
def residual_rms(model: LlamaForCausalLM, ids: torch.Tensor) -> list[float]:
    """Root mean square of the residual stream in front of every layer."""
    states = model(input_ids=ids, output_hidden_states=True).hidden_states
    return [s[:, 8:].square().mean().sqrt().item() for s in states]


@torch.no_grad()
def grow(old: LlamaForCausalLM, theta: float, seed: int, ids: torch.Tensor) -> LlamaForCausalLM:
    """Adds `LANES` residual channels, a fixed-offset layer (0) and a match-and-copy layer (4).

    `ids` [n, length]: text to measure the scale of the residual stream on.
    """
    torch.manual_seed(seed)
    h = old.config.hidden_size
    new = LlamaForCausalLM(grown_config(old, theta)).float()
    fresh = {i: {k: v.clone() for k, v in new.model.layers[i].mlp.state_dict().items()} for i in GROWN}
    widen(old, [1, 2, 3, 5], new)
    lanes = Lanes(h)
    principal = write_codes(old, new, lanes)
    for i in GROWN:
        new.model.layers[i].mlp.load_state_dict(fresh[i])
        new.model.layers[i].mlp.down_proj.weight.mul_(0.1)
        new.model.layers[i].post_attention_layernorm.weight.fill_(1.0)
    rms = residual_rms(new, ids)
    for i in GROWN:
        scale_lanes(new.model.layers[i], rms[i], lanes)
    squeeze = torch.linalg.qr(torch.randn(CODE, TAP)).Q.T  # [TAP, CODE]
    wire_offsets(new.model.layers[0].self_attn, new.config.head_dim, theta, squeeze, lanes)
    wire_match(new.model.layers[4].self_attn, new.config.head_dim, principal, squeeze, lanes)
    for i in GROWN:
        for p in new.model.layers[i].self_attn.parameters():
            p += 0.002 * torch.randn_like(p)
        new.model.layers[i].mlp.down_proj.weight[h:] = 0
    new.model.layers[4].self_attn.o_proj.weight[h:] = 0
    return new


GROWN = (0, 4)  # the layers that are added


class Lanes:
    """Where the lanes lie in a residual stream whose first `hidden` channels are the old ones."""

    def __init__(self, hidden: int):
        self.constant = hidden
        self.code = slice(hidden + 1, hidden + 1 + CODE)
        first = hidden + 1 + CODE
        self.taps = [slice(first + TAP * j, first + TAP * (j + 1)) for j in range(len(OFFSETS))]
        self.all_taps = slice(first, first + TAP * len(OFFSETS))


def grown_config(old: LlamaForCausalLM, theta: float) -> LlamaConfig:
    """The old shape with two more layers and the lanes."""
    config = LlamaConfig(
        **{
            **old.config.to_dict(),
            "num_hidden_layers": old.config.num_hidden_layers + len(GROWN),
            "hidden_size": old.config.hidden_size + LANES,
        }
    )
    config.rope_parameters = {"rope_type": "default", "rope_theta": theta}
    config.max_position_embeddings = 16384
    config.dtype = "float32"
    return config


def write_codes(old: LlamaForCausalLM, new: LlamaForCausalLM, lanes: Lanes) -> torch.Tensor:
    """Writes the constant and every token's code into the embedding; returns the codes' basis [CODE, h]."""
    centred = old.model.embed_tokens.weight - old.model.embed_tokens.weight.mean(0)
    principal = torch.linalg.svd(centred, full_matrices=False).Vh[:CODE]
    embedding = new.model.embed_tokens.weight
    embedding[:, lanes.constant] = CONSTANT
    embedding[:, lanes.code] = LANE_SIZE * torch.nn.functional.normalize(centred @ principal.T, dim=1)
    return principal


def scale_lanes(layer, rms: float, lanes: Lanes) -> None:
    """Norm weights that bring every lane to unit size, so that its weights learn at a common pace."""
    weight = layer.input_layernorm.weight
    weight[: lanes.constant] = 1.0
    weight[lanes.constant] = rms / CONSTANT
    weight[lanes.code] = rms / LANE_SIZE * CODE**0.5
    weight[lanes.all_taps] = rms / LANE_SIZE * TAP**0.5


def wire_offsets(attention, d: int, theta: float, squeeze: torch.Tensor, lanes: Lanes) -> None:
    """Head j attends OFFSETS[j] tokens back, whatever stands there, and writes the code there into tap j."""
    freqs = theta ** (-torch.arange(d // 2) / (d // 2))
    amplitude = torch.zeros(d // 2)
    amplitude[:9] = 1.0
    strongest = max(s for _, s in OFFSETS)
    for head, (offset, sharpness) in enumerate(OFFSETS):
        query, key = rope_shift(offset, freqs, amplitude)
        scale = (strongest * d**0.5 / amplitude.square().sum()) ** 0.5
        attention.q_proj.weight[head * d : (head + 1) * d, lanes.constant] = (
            query * scale * sharpness / strongest
        )
        attention.k_proj.weight[head // 2 * d : (head // 2 + 1) * d, lanes.constant] = key * scale
        attention.o_proj.weight[lanes.taps[head], head * d : head * d + CODE] = LANE_SIZE / TAP**0.5 * squeeze
    for group in range(2):
        attention.v_proj.weight[group * d : group * d + CODE, lanes.code] = torch.eye(CODE)
        attention.v_proj.weight[group * d + CODE, lanes.constant] = 1.0
    attention.o_proj.weight[lanes.constant, CODE] = -CONSTANT


def wire_match(attention, d: int, principal: torch.Tensor, squeeze: torch.Tensor, lanes: Lanes) -> None:
    """Finds entries whose predecessors match the current token and its own; copies the entry."""
    slow = 12  # frequencies slow enough to carry content over thousands of tokens
    channels = torch.cat([torch.arange(d // 2 - slow, d // 2), torch.arange(d - slow, d)])
    for group in range(2):
        sketch = [torch.linalg.qr(torch.randn(2 * slow, TAP)).Q for _ in OFFSETS]
        for step, tap in enumerate(lanes.taps):
            attention.k_proj.weight[group * d + channels, tap] = sketch[step]
        for head in (2 * group, 2 * group + 1):
            rows = head * d + channels
            attention.q_proj.weight[rows, lanes.code] = MATCH_GAIN * sketch[0] @ squeeze
            for step in range(1, len(OFFSETS)):
                attention.q_proj.weight[rows, lanes.taps[step - 1]] = MATCH_GAIN * 0.8 * sketch[step]
        rows = slice(group * d, group * d + CODE)
        attention.v_proj.weight[rows, lanes.code] = torch.eye(CODE) / CODE**0.5
    for head in range(4):
        columns = slice(head * d, head * d + CODE)
        attention.o_proj.weight[: lanes.constant, columns] = COPY_GAIN / 4 * principal.T
