"""Turns attention calls into rows of the trace, block by block."""

from typing import Any

import torch

from .check import Sample, make_sample
from .plan import Plan
from .probe import LayerFacts
from .registry import ModuleCall
from .token_classes import DATASET as CLASSES
from .token_classes import LONG_NAME as CLASSES_NAME
from .writer import TraceWriter

# Scores held at once while summing prompt attention, in float32 values (64 MiB).
SCORE_BUDGET = 1 << 24


class Recorder:
    """Observes one model run. The session calls `begin` before each forward pass over a block of tokens.

    Memory: one block, the prompt sums [H, P] per layer, and the outputs at the sampled positions, for which
    one layer's keys and values are copied at a time.
    """

    def __init__(
        self, plan: Plan, facts: dict[int, LayerFacts], writer: TraceWriter, sampled: list[int]
    ) -> None:
        self._plan = plan
        self._writer = writer
        self._sampled = sampled
        self._start = 0
        self._previous: ModuleCall | None = None
        self._rows = plan.query_rows()
        self._sums: dict[int, torch.Tensor] = {}
        projected = plan.layers if plan.wo_v_norm else ()
        self._projections = {layer: _output_slices(facts[layer], self._rows) for layer in projected}
        self.samples: dict[tuple[int, int], Sample] = {}

    def begin(self, start: int) -> None:
        """The next forward pass computes positions start, start + 1, ..."""
        self._start = start
        self._previous = None

    def see_input(self, call: ModuleCall) -> None:
        """Before a layer's attention."""
        layer = call.module.layer_idx
        previous, self._previous = self._previous, call
        if layer not in self._plan.layers or not self._plan.speculates(layer):
            return
        skip = self._skipped_queries()
        if skip >= call.hidden.shape[1]:
            return
        assert previous is not None and previous.module.layer_idx == layer - 1
        query = call.query_of(previous.hidden)
        self._append(layer, "speculated_queries", query[self._rows, skip:])

    def see_attention(
        self,
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        output: torch.Tensor,
        _kwargs: dict[str, Any],
    ) -> None:
        """After a layer's attention; key and value hold the whole cache, the new positions last."""
        layer = module.layer_idx
        if layer not in self._plan.layers:
            return
        count = query.shape[2]
        heads = list(self._plan.kv_heads)
        queries, keys = query[0, self._rows], key[0, heads]
        values = value[0, heads, -count:]
        self._append(layer, "keys", keys[:, -count:])
        self._append(layer, "values", values)
        if self._skipped_queries() < count:
            self._append(layer, "queries", queries[:, self._skipped_queries() :])
        if self._plan.wo_v_norm:
            self._append(layer, "wo_v_norm", self._output_norms(layer, values))
        if self._plan.prompt_sums and self._start < self._plan.prefill:
            self._add_sums(layer, queries, keys)
        self._take_samples(layer, output[0][:, self._rows], queries, keys, value[0, heads])

    def write_prompt_sums(self) -> None:
        """Call when the whole prompt has passed."""
        for layer, sums in self._sums.items():
            self._append(layer, "prompt_attention_sums", sums)
        self._sums.clear()

    def _skipped_queries(self) -> int:
        """Leading positions of the block whose queries are not kept."""
        return max(0, self._plan.first_query - self._start)

    def _append(self, layer: int, name: str, values: torch.Tensor) -> None:
        """values: [heads, n, ...], head axis first as models have it."""
        self._writer.append(f"layers/{layer}/{name}", values.transpose(0, 1).float().cpu().numpy())

    def _output_norms(self, layer: int, values: torch.Tensor) -> torch.Tensor:
        """||W_O,h v_t|| -> [H, n]; values: [G, n, d]."""
        per_query_head = values.float().repeat_interleave(self._plan.group, dim=0)
        return torch.stack(
            [(v @ w.T).norm(dim=-1) for v, w in zip(per_query_head, self._projections[layer], strict=True)]
        )

    def _add_sums(self, layer: int, queries: torch.Tensor, keys: torch.Tensor) -> None:
        sums = self._sums.setdefault(
            layer, torch.zeros(len(self._rows), self._plan.prefill, dtype=torch.float64)
        )
        sums[:, : keys.shape[1]] += column_sums(queries, keys, self._plan.scale).cpu()

    def _take_samples(
        self,
        layer: int,
        output: torch.Tensor,
        queries: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
    ) -> None:
        """output: [n, H, d]; queries: [H, n, d]; keys and values: [G, all positions, d]."""
        rows = {p: p - self._start for p in self._sampled if 0 <= p - self._start < output.shape[0]}
        if not rows:
            return
        k, v = (x.double().cpu().numpy() for x in (keys, values))
        for position, row in rows.items():
            seen = slice(k.shape[1] - output.shape[0] + row + 1)
            model, query = (x.double().cpu().numpy() for x in (output[row], queries[:, row]))
            self.samples[layer, position] = make_sample(
                model, query, k[:, seen], v[:, seen], self._plan.scale
            )


def column_sums(queries: torch.Tensor, keys: torch.Tensor, scale: float) -> torch.Tensor:
    """Attention weights summed over queries [H, n, d], the last n of m positions; keys: [G, m, d].

    Returns float64 [H, m]. Queries are taken in pieces so that one KV head's scores stay within SCORE_BUDGET.
    """
    group, count, total = queries.shape[0] // keys.shape[0], queries.shape[1], keys.shape[1]
    sums = torch.zeros(queries.shape[0], total, dtype=torch.float64, device=keys.device)
    step = max(1, SCORE_BUDGET // (group * total))
    column = torch.arange(total, device=keys.device)
    for head, head_keys in enumerate(keys.float()):
        rows = slice(head * group, (head + 1) * group)
        for first in range(0, count, step):
            piece = queries[rows, first : first + step].float()
            positions = total - count + first + torch.arange(piece.shape[1], device=keys.device)
            scores = (piece @ head_keys.T) * scale
            scores.masked_fill_(column > positions[:, None], float("-inf"))
            sums[rows] += scores.softmax(dim=-1).sum(dim=1, dtype=torch.float64)
    return sums


def _output_slices(fact: LayerFacts, rows: torch.Tensor) -> list[torch.Tensor]:
    """The [hidden_size, d] slice of the output projection of each captured query head."""
    weight = fact.module.o_proj.weight.detach().float()
    return [weight[:, row * fact.head_dim : (row + 1) * fact.head_dim] for row in rows.tolist()]


def announce_datasets(writer: TraceWriter, plan: Plan) -> None:
    """Creates every dataset of traces/FORMAT.md that this capture fills."""
    queries, entries = len(plan.query_rows()), len(plan.kv_heads)
    writer.add("tokens", "<i4", plan.total, (), "token id", "tokens of the sequence")
    writer.add(CLASSES, "|u1", plan.total, (), "1", CLASSES_NAME)
    writer.add("query_positions", "<i8", plan.query_count, (), "position", "positions that have queries")
    for layer in plan.layers:
        _announce_layer(writer, plan, f"layers/{layer}", entries, queries)
        if plan.speculates(layer):
            writer.add(
                f"layers/{layer}/speculated_queries",
                "<f2",
                plan.query_count,
                (queries, plan.head_dim),
                "1",
                "queries predicted from the previous layer's attention input",
            )


def _announce_layer(writer: TraceWriter, plan: Plan, folder: str, entries: int, queries: int) -> None:
    writer.add(
        f"{folder}/keys", "<f2", plan.total, (entries, plan.head_dim), "1", "keys after rotary embedding"
    )
    writer.add(f"{folder}/values", "<f2", plan.total, (entries, plan.head_dim), "1", "values")
    writer.add(
        f"{folder}/queries",
        "<f2",
        plan.query_count,
        (queries, plan.head_dim),
        "1",
        "queries after rotary embedding",
    )
    if plan.prompt_sums:
        writer.add(
            f"{folder}/prompt_attention_sums",
            "<f4",
            plan.prefill,
            (queries,),
            "1",
            "column sums of the prompt's causal attention",
        )
    if plan.wo_v_norm:
        writer.add(
            f"{folder}/wo_v_norm",
            "<f4",
            plan.total,
            (queries,),
            "1",
            "norm of the output projection of each value",
        )
