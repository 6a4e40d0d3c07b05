"""Reading kvtrace files (traces/FORMAT.md): enough for the self-check, tests and notebooks."""

import hashlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np

HASH_ROWS = 4096


def text(value: Any) -> Any:
    """The value of an attribute, strings as str: h5py gives bytes where their length is fixed."""
    return value.decode() if isinstance(value, bytes) else value


class Trace:
    """An open kvtrace; use it as a context manager. Heads are file rows, positions count from 0."""

    def __init__(self, path: Path | str) -> None:
        self.file = h5py.File(path, "r")
        attributes = self.file.attrs
        if text(attributes.get("format")) != "kvtrace" or attributes.get("version") != 1:
            self.file.close()
            raise ValueError(f"{path}: not a kvtrace of version 1")
        self.group = int(attributes["query_heads"]) // int(attributes["kv_heads"])
        self.scale = float(attributes["attention_scale"])
        self.prefill = int(attributes["prefill_len"])
        self.total = int(attributes["seq_len"])
        self.captured_layers = [int(layer) for layer in attributes["captured_layers"]]
        self.captured_kv_heads = [int(head) for head in attributes["captured_kv_heads"]]
        self.query_rows = len(self.captured_kv_heads) * self.group
        self.first_query = int(self.file["query_positions"][0])

    def __enter__(self) -> "Trace":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def head_entries(self, layer: int, kv_row: int) -> tuple[np.ndarray, np.ndarray]:
        """Keys and values of one captured KV head, each [T, d] float16."""
        folder = self.file[f"layers/{layer}"]
        return folder["keys"][kv_row], folder["values"][kv_row]

    def query(self, layer: int, row: int, position: int) -> np.ndarray:
        """The query [d] of one query head row at a position."""
        return self.file[f"layers/{layer}/queries"][row, position - self.first_query]


def dataset_checksum(dataset: h5py.Dataset) -> str:
    """The checksum that the format prescribes, computed from the values, a piece at a time."""
    digest = hashlib.sha256()
    time_axis = min(1, dataset.ndim - 1)
    for first in range(0, dataset.shape[time_axis], HASH_ROWS):
        span = slice(first, first + HASH_ROWS)
        block = dataset[span] if time_axis == 0 else np.swapaxes(dataset[:, span], 0, 1)
        digest.update(
            np.ascontiguousarray(block).astype(dataset.dtype.newbyteorder("<"), copy=False).tobytes()
        )
    return f"sha256:{digest.hexdigest()}"


def broken_checksums(path: Path | str) -> list[str]:
    """Names of the datasets whose values do not fit their checksum."""
    broken: list[str] = []

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("truth/"):
            if text(item.attrs.get("checksum")) != dataset_checksum(item):
                broken.append(name)

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return broken
