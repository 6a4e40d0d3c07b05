"""What the user asked for, checked as far as it can be without the model."""

from dataclasses import dataclass
from pathlib import Path

from .errors import CaptureError

MODES = ("teacher-forced", "greedy", "sampled")
DTYPES = ("float32", "float16", "bfloat16")


@dataclass(frozen=True)
class CaptureOptions:
    """One capture. `layers` and `kv_heads` are None for all of them."""

    model_dir: Path
    output: Path
    text: Path
    prompt_tokens: int
    steps: int
    mode: str = "teacher-forced"
    layers: tuple[int, ...] | None = None
    kv_heads: tuple[int, ...] | None = None
    window: int = 64
    offset: int = 0
    seed: int = 0
    temperature: float = 1.0
    bos: bool = True
    speculated: bool = True
    prompt_sums: bool = True
    wo_v_norm: bool = False
    model_name: str | None = None
    licence: str = "unspecified"
    text_source: str | None = None
    dtype: str = "float32"
    device: str = "cpu"
    block: int = 128
    check_positions: int = 16
    tolerance: float = 2e-3

    @property
    def total(self) -> int:
        """Length of the trace in tokens."""
        return self.prompt_tokens + self.steps


def parse_indices(text: str) -> tuple[int, ...]:
    """`0,2-4` -> (0, 2, 3, 4), sorted; refuses doubles and backward ranges."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"'{part.strip()}' is neither a number nor a range such as 2-5")
        low, high = int(first), int(last) if dash else int(first)
        if high < low:
            raise ValueError(f"range '{part.strip()}' runs backwards")
        found.extend(range(low, high + 1))
    if len(set(found)) != len(found):
        raise ValueError(f"'{text}' names an index twice")
    return tuple(sorted(found))


def check_options(options: CaptureOptions) -> None:
    """Refuses numbers and paths that no model could make right."""
    _check_numbers(options)
    _check_paths(options)


def _check_numbers(o: CaptureOptions) -> None:
    least = {
        "--prompt-tokens": (o.prompt_tokens, 1),
        "--steps": (o.steps, 1),
        "--window": (o.window, 0),
        "--offset": (o.offset, 0),
        "--block": (o.block, 1),
        "--check-positions": (o.check_positions, 1),
    }
    for name, (value, minimum) in least.items():
        if value < minimum:
            raise CaptureError(f"{name} is {value}; it must be at least {minimum}")
    if o.window > o.prompt_tokens:
        raise CaptureError(f"--window is {o.window}, longer than the prompt of {o.prompt_tokens} tokens")
    for name, real in (("--temperature", o.temperature), ("--tolerance", o.tolerance)):
        if not 0 < real < float("inf"):
            raise CaptureError(f"{name} is {real}; it must be a number above 0")
    if o.mode not in MODES:
        raise CaptureError(f"mode '{o.mode}' is unknown; allowed: {', '.join(MODES)}")
    if o.dtype not in DTYPES:
        raise CaptureError(f"dtype '{o.dtype}' is unknown; allowed: {', '.join(DTYPES)}")
    if not 0 <= o.seed < 2**63:
        raise CaptureError(f"--seed is {o.seed}; it must lie in 0..2^63-1")


def _check_paths(o: CaptureOptions) -> None:
    if not o.model_dir.is_dir():
        raise CaptureError(f"{o.model_dir}: no such folder (expected a Hugging Face model folder)")
    if not (o.model_dir / "config.json").is_file():
        raise CaptureError(f"{o.model_dir}: holds no config.json, so it is not a Hugging Face model folder")
    if not o.text.is_file():
        raise CaptureError(f"{o.text}: no such text file")
    if not o.output.absolute().parent.is_dir():
        raise CaptureError(f"{o.output}: the folder {o.output.absolute().parent} does not exist")
    if o.output.is_dir():
        raise CaptureError(f"{o.output}: is a folder; give a file name ending in .h5")
