"""Writing a kvtrace file while the model runs: one buffer of one chunk per dataset, hashed on the way."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .errors import CaptureError
from .outputs import partial_name

CHUNK_BYTES = 64 * 1024
LONGEST_TEXT = 60_000


def chunk_rows(length: int, row_bytes: int) -> int:
    """Rows of a chunk of about 64 KiB, never longer than the axis."""
    return min(length, max(1, CHUNK_BYTES // row_bytes))


def set_attribute(item: h5py.HLObject, name: str, value: Any) -> None:
    """Sets an attribute; strings have a fixed length, with a zero at the end, as FORMAT.md wants them."""
    if not isinstance(value, str):
        item.attrs[name] = value
        return
    text = value.encode()
    if len(text) > LONGEST_TEXT:
        raise CaptureError(f"{name}: {len(text)} bytes; a trace holds at most {LONGEST_TEXT}")
    item.attrs.create(name, np.bytes_(text), dtype=h5py.string_dtype("utf-8", max(2, len(text) + 1)))


class DatasetStream:
    """One dataset, appended to along time.

    Blocks come time-major ([n, heads, d], [n, heads] or [n]), which is the order of the checksum; the file
    holds the head axis first. Only whole chunks are written, so nothing is compressed twice.
    """

    def __init__(
        self,
        parent: h5py.Group,
        name: str,
        dtype: str,
        length: int,
        heads: tuple[int, ...],
        units: str,
        long_name: str,
    ) -> None:
        self.name = f"{parent.name.rstrip('/')}/{name}"
        self._dtype = np.dtype(dtype)
        inner = heads[1:]
        rows = chunk_rows(length, self._dtype.itemsize * int(np.prod(inner, dtype=int)))
        self._dataset = parent.create_dataset(
            name,
            shape=(*heads[:1], length, *inner),
            dtype=self._dtype,
            chunks=(*(1 for _ in heads[:1]), rows, *inner),
            shuffle=True,
            compression="gzip",
            compression_opts=4,
        )
        set_attribute(self._dataset, "units", units)
        set_attribute(self._dataset, "long_name", long_name)
        self._buffer = np.empty((rows, *heads), self._dtype)
        self._filled = 0
        self._written = 0
        self._length = length
        self._sha256 = hashlib.sha256()

    def append(self, block: np.ndarray) -> None:
        """Takes the next block.shape[0] points in time."""
        with np.errstate(over="ignore"):
            block = np.ascontiguousarray(block, dtype=self._dtype)
        if self._dtype.kind == "f" and not np.isfinite(block).all():
            raise CaptureError(
                f"{self.name}: a value is not finite in {self._dtype.name}; the model cannot be traced"
            )
        self._sha256.update(block.tobytes())
        while len(block):
            taken = min(len(block), len(self._buffer) - self._filled)
            self._buffer[self._filled : self._filled + taken] = block[:taken]
            self._filled += taken
            block = block[taken:]
            if self._filled == len(self._buffer):
                self._flush()

    def _flush(self) -> None:
        block = self._buffer[: self._filled]
        span = slice(self._written, self._written + self._filled)
        if block.ndim == 1:
            self._dataset[span] = block
        else:
            self._dataset[:, span] = np.swapaxes(block, 0, 1)
        self._written += self._filled
        self._filled = 0

    def finish(self) -> None:
        """Writes the rest and the checksum; every point in time must have come."""
        if self._filled:
            self._flush()
        if self._written != self._length:
            raise RuntimeError(f"{self.name}: {self._written} rows came, {self._length} were announced")
        set_attribute(self._dataset, "checksum", f"sha256:{self._sha256.hexdigest()}")


@contextmanager
def _naming(output: Path) -> Iterator[None]:
    """HDF5 reports a full disk as OSError or RuntimeError with a page of its state; this keeps the cause."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        number = re.search(r"errno = (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(output)) from error


class TraceWriter:
    """A kvtrace under a temporary name; `publish` renames it, leaving the context without that removes it."""

    def __init__(self, output: Path, attributes: Mapping[str, Any]) -> None:
        self.output = output
        self.temporary = partial_name(output)
        self._file: h5py.File | None = None
        with _naming(output):
            self._file = h5py.File(self.temporary, "w")
        self._streams: dict[str, DatasetStream] = {}
        for name, value in attributes.items():
            set_attribute(self._file, name, value)

    def __enter__(self) -> "TraceWriter":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            try:
                self._file.close()
            except Exception:  # closing after a full disk fails again; the first error is the one to report
                pass
        self.temporary.unlink(missing_ok=True)

    def add(
        self, name: str, dtype: str, length: int, heads: tuple[int, ...], units: str, long_name: str
    ) -> None:
        """Announces a dataset: `name` is its path, `heads` the axes besides time ((H, d), (H,) or ())."""
        assert self._file is not None
        folder, _, leaf = name.rpartition("/")
        group = self._file.require_group(folder or "/")
        self._streams[name] = DatasetStream(group, leaf, dtype, length, heads, units, long_name)

    def write_whole(self, name: str, dtype: str, values: np.ndarray, units: str, long_name: str) -> None:
        """A dataset of one axis whose length is known only now."""
        self.add(name, dtype, len(values), (), units, long_name)
        self.append(name, values)

    def append(self, name: str, block: np.ndarray) -> None:
        """The next points in time of a dataset, time axis first."""
        with _naming(self.output):
            self._streams[name].append(block)

    def finish(self) -> None:
        """Completes the file under its temporary name, where the self-check reads it."""
        assert self._file is not None
        with _naming(self.output):
            for stream in self._streams.values():
                stream.finish()
            self._file.close()
        self._file = None

    def publish(self, name: Path) -> None:
        """Gives the finished file its name."""
        os.replace(self.temporary, name)
