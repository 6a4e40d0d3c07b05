"""A GGUF file, the format of llama.cpp: its metadata by key and its tensors as float32."""

from pathlib import Path
from typing import Any

import numpy as np

from .errors import CaptureError, first_line

SUFFIX = ".gguf"
_MISSING = object()


class GgufFile:
    """The file is mapped, not read; a tensor is dequantised when it is asked for."""

    def __init__(self, path: Path) -> None:
        import gguf

        try:
            reader = gguf.GGUFReader(path)
        except OSError:
            raise
        except Exception as error:  # what the library raises depends on where the file is damaged
            raise CaptureError(f"{path}: not a readable GGUF file ({first_line(error)})") from error
        self.path = path
        self._fields = reader.fields
        self._tensors = {tensor.name: tensor for tensor in reader.tensors}
        self.architecture = self.text("general.architecture")

    def keys(self) -> list[str]:
        """All keys of the metadata."""
        return list(self._fields)

    def tensor_names(self) -> list[str]:
        """All tensors, in file order."""
        return list(self._tensors)

    def get(self, key: str, default: Any = _MISSING) -> Any:
        """The value of a key, a list for an array; refuses a key that is missing and has no default."""
        field = self._fields.get(key)
        if field is not None:
            try:
                return field.contents()
            except Exception as error:  # not UTF-8, of a type the library does not know
                raise CaptureError(f"{self.path}: '{key}' cannot be read ({first_line(error)})") from error
        if default is _MISSING:
            raise CaptureError(f"{self.path}: has no '{key}'")
        return default

    def text(self, key: str) -> str:
        """A value that must be text."""
        value = self.get(key)
        if not isinstance(value, str):
            raise CaptureError(f"{self.path}: '{key}' is {value!r}, not text")
        return value

    def number(self, name: str, default: Any = _MISSING) -> Any:
        """A number of the architecture, such as `block_count`; one for all layers."""
        key = f"{self.architecture}.{name}"
        value = self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise CaptureError(f"{self.path}: '{key}' is not a single number")
        return value

    def count(self, name: str, default: Any = _MISSING) -> int:
        """A number of the architecture that counts something."""
        value = self.number(name, default)
        if not isinstance(value, int) or value < 1:
            raise CaptureError(f"{self.path}: '{self.architecture}.{name}' is {value}; it must be 1 or more")
        return value

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor, rows first."""
        if name not in self._tensors:
            raise CaptureError(f"{self.path}: has no tensor '{name}'")
        return tuple(int(size) for size in reversed(self._tensors[name].shape))

    def tensor(self, name: str) -> np.ndarray:
        """A tensor as float32, rows first."""
        import gguf

        shape, tensor = self.shape(name), self._tensors[name]
        try:
            return gguf.dequantize(tensor.data, tensor.tensor_type).reshape(shape)
        except (NotImplementedError, ValueError) as error:
            raise CaptureError(
                f"{self.path}: tensor '{name}' of type {tensor.tensor_type.name} cannot be read "
                f"({first_line(error)})"
            ) from error
