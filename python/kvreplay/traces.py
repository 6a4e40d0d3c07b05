"""Reads kvtrace files; traces/FORMAT.md is the reference of the format."""

import os
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from .errors import Error

FORMAT = "kvtrace"
VERSION = 1


@dataclass(frozen=True)
class Model:
    """The model that was captured, all of its layers and heads; see traces/FORMAT.md."""

    model_name: str
    layers: int
    query_heads: int
    kv_heads: int
    head_dim: int
    hidden_size: int
    ffn_size: int
    vocab_size: int
    rope_theta: float
    rope_scaling: str
    rope_layout: str
    attention_scale: float

    @property
    def group(self) -> int:
        """Query heads that share a KV head."""
        return self.query_heads // self.kv_heads


class Trace:
    """An open trace. `T` is `seq_len`, `d` is `model.head_dim`, `Tq` the number of `query_positions`.

    Layers and heads are those of the model, of which the file has `layers` and `kv_heads`; IndexError for
    others. Arrays are read from the file by each call, ValueError after `close()`.
    """

    model: Model
    prefill_len: int  # positions of the prompt, 0 to prefill_len - 1; the others are decode steps
    seq_len: int  # all positions
    layers: tuple[int, ...]
    kv_heads: tuple[int, ...]
    capture_mode: str  # "teacher-forced", "greedy", "sampled" or "synthetic"
    text_source: str
    licence: str

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._file = _open(self._path)
        try:
            self._read_attributes()
            self._check_shapes()
        except BaseException:
            self._file.close()
            raise

    def keys(self, layer: int, head: int) -> NDArray[np.float32]:
        """[T, d], after the rotary embedding, as attention received them."""
        return self._rows("keys", layer, head, 1).squeeze(0)

    def values(self, layer: int, head: int) -> NDArray[np.float32]:
        """[T, d]"""
        return self._rows("values", layer, head, 1).squeeze(0)

    def queries(self, layer: int, head: int) -> NDArray[np.float32]:
        """[group, Tq, d]: of the query heads that share KV head `head`; [:, i] is of the position
        `query_positions[i]`."""
        return self._rows("queries", layer, head, self.model.group)

    @property
    def query_positions(self) -> NDArray[np.int64]:
        """[Tq]: positions that have a query, the last ones of the prompt and every decode step."""
        return np.asarray(self._dataset("query_positions"), dtype=np.int64)

    @property
    def tokens(self) -> NDArray[np.int32]:
        """[T]: token ids."""
        return np.asarray(self._dataset("tokens"), dtype=np.int32)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return (
            f"<kvreplay.Trace {self._path}: {self.model.model_name}, {self.seq_len} positions, "
            f"{self.prefill_len} of the prompt, layers {self.layers}, KV heads {self.kv_heads}>"
        )

    def _read_attributes(self) -> None:
        self.model = Model(**{field.name: self._attribute(field.name, field.type) for field in fields(Model)})
        self.prefill_len, self.seq_len = (self._attribute(name, int) for name in ("prefill_len", "seq_len"))
        self.layers, self.kv_heads = (
            tuple(int(number) for number in np.atleast_1d(self._attribute(name, np.asarray)))
            for name in ("captured_layers", "captured_kv_heads")
        )
        self.capture_mode, self.text_source, self.licence = (
            self._attribute(name, str) for name in ("capture_mode", "text_source", "licence")
        )

    def _attribute(self, name: str, kind: Any) -> Any:
        if name not in self._file.attrs:
            raise Error(f"{self._path}: lacks the attribute '{name}'")
        value = self._file.attrs[name]
        try:
            return kind(value.decode() if isinstance(value, bytes) else value)
        except (TypeError, ValueError):
            raise Error(f"{self._path}: attribute '{name}' is {value!r}") from None

    def _check_shapes(self) -> None:
        model, heads = self.model, len(self.kv_heads)
        if min(model.query_heads, model.kv_heads) < 1 or model.query_heads % model.kv_heads:
            raise Error(f"{self._path}: {model.query_heads} query heads of {model.kv_heads} KV heads")
        if not 1 <= self.prefill_len <= self.seq_len:
            raise Error(f"{self._path}: prefill_len {self.prefill_len} of seq_len {self.seq_len}")
        self._check_shape("tokens", (self.seq_len,))
        queries = self._check_shape("query_positions", (None,))[0]
        for layer in self.layers:
            for name in ("keys", "values"):
                self._check_shape(f"layers/{layer}/{name}", (heads, self.seq_len, model.head_dim))
            self._check_shape(f"layers/{layer}/queries", (heads * model.group, queries, model.head_dim))

    def _check_shape(self, name: str, expected: tuple[int | None, ...]) -> tuple[int, ...]:
        """Its shape, of which None may be anything."""
        dataset = self._file.get(name)
        shape: tuple[int, ...] | None = dataset.shape if isinstance(dataset, h5py.Dataset) else None
        if shape is None:
            raise Error(f"{self._path}: lacks the dataset '{name}'")
        fits = len(shape) == len(expected) and all(
            size is None or size == there for size, there in zip(expected, shape, strict=True)
        )
        if not fits:
            raise Error(f"{self._path}: '{name}' has the shape {shape}; expected {expected}")
        return shape

    def _dataset(self, name: str) -> h5py.Dataset:
        if not self._file:
            raise ValueError(f"{self._path}: is closed")
        return self._file[name]

    def _rows(self, name: str, layer: int, head: int, count: int) -> NDArray[np.float32]:
        """Of a dataset that has so many rows for each KV head, those of `head`, as float32."""
        if layer not in self.layers:
            raise IndexError(f"{self._path}: has no layer {layer}; there are {_listed(self.layers)}")
        if head not in self.kv_heads:
            raise IndexError(f"{self._path}: has no KV head {head}; there are {_listed(self.kv_heads)}")
        first = self.kv_heads.index(head) * count
        rows = self._dataset(f"layers/{layer}/{name}")[first : first + count]
        return np.asarray(rows, dtype=np.float32)


def open_trace(path: str | os.PathLike[str]) -> Trace:
    """Opens a kvtrace file, to be closed or used as a context manager.

    Checks the attributes and shapes that it needs, not the values: `kvreplay trace validate` does, and comes
    first with a file that nobody vouches for. Raises OSError where the file cannot be read,
    Error where it is no kvtrace of version 1.
    """
    return Trace(path)


def _open(path: Path) -> h5py.File:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if not h5py.is_hdf5(path):
        raise Error(f"{path}: not an HDF5 file")
    file = h5py.File(path)
    kind, version = (file.attrs.get(name, b"") for name in ("format", "version"))
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    if kind != FORMAT or version != VERSION:
        file.close()
        raise Error(f"{path}: format '{kind}', version {version}; expected kvtrace, version {VERSION}")
    return file


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))
