"""What the user asked for, checked as far as it can be without the model."""

from dataclasses import dataclass
from pathlib import Path

from .errors import CaptureError

MODES = ("teacher-forced", "greedy", "sampled")
# The attention of a model in half precision is itself off by as much.
TOLERANCES = {"float32": 2e-3, "float16": 1e-2, "bfloat16": 5e-2}
DTYPES = tuple(TOLERANCES)
# The longest sequence of traces/FORMAT.md.
MOST_TOKENS = 100_000_000


@dataclass(frozen=True)
class CaptureOptions:
    """One capture. `layers` and `kv_heads` are None for all of them; either `text` or `chat` is given.

    `tolerance` is None for what the type the model runs in allows.
    """

    model: Path
    output: Path
    text: Path | None
    prompt_tokens: int
    steps: int
    chat: Path | None = None
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
    tolerance: float | None = None

    @property
    def words(self) -> Path:
        """The file that the tokens come from."""
        path = self.chat or self.text
        assert path is not None
        return path

    @property
    def allowed_error(self) -> float:
        """Largest relative error that the self-check accepts."""
        return self.tolerance if self.tolerance is not None else TOLERANCES[self.dtype]

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


def join_indices(indices: list[int]) -> str:
    """(0, 2, 3, 4) -> `0,2-4`."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def check_options(options: CaptureOptions) -> None:
    """Refuses numbers and paths that no model could make right."""
    _check_numbers(options)
    _check_paths(options)
    _check_names(options)


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
    if o.total > MOST_TOKENS:
        raise CaptureError(f"prompt and steps are {o.total} tokens; a trace has at most {MOST_TOKENS}")
    if o.window > o.prompt_tokens:
        raise CaptureError(f"--window is {o.window}, longer than the prompt of {o.prompt_tokens} tokens")
    for name, real in (("--temperature", o.temperature), ("--tolerance", o.allowed_error)):
        if not 0 < real < float("inf"):
            raise CaptureError(f"{name} is {real}; it must be a number above 0")
    if o.mode not in MODES:
        raise CaptureError(f"mode '{o.mode}' is unknown; allowed: {', '.join(MODES)}")
    if o.dtype not in DTYPES:
        raise CaptureError(f"dtype '{o.dtype}' is unknown; allowed: {', '.join(DTYPES)}")
    if not 0 <= o.seed < 2**63:
        raise CaptureError(f"--seed is {o.seed}; it must lie in 0..2^63-1")


def _check_paths(o: CaptureOptions) -> None:
    if o.model.suffix == ".gguf":
        if not o.model.is_file():
            raise CaptureError(f"{o.model}: no such GGUF file")
    elif not o.model.is_dir():
        raise CaptureError(
            f"{o.model}: no such folder (expected a Hugging Face model folder or a .gguf file)"
        )
    elif not (o.model / "config.json").is_file():
        raise CaptureError(f"{o.model}: holds no config.json, so it is not a Hugging Face model folder")
    if (o.text is None) == (o.chat is None):
        raise CaptureError("give either --text or --chat")
    if not o.words.is_file():
        raise CaptureError(f"{o.words}: no such {'chat' if o.chat else 'text'} file")
    if o.chat is not None and o.offset:
        raise CaptureError("--offset is for --text; a conversation begins at its beginning")


def _check_names(o: CaptureOptions) -> None:
    """What is written into the trace as text must be text."""
    names = {
        "--model-name": o.model_name or o.model.resolve().name,
        "--text-source": o.text_source or o.words.name,
        "--licence": o.licence,
    }
    for option, name in names.items():
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise CaptureError(f"{option}: {name!r} is not UTF-8; give a name that is") from error


def input_files(o: CaptureOptions) -> list[Path]:
    """Every file that the capture reads or may read."""
    model = [o.model] if o.model.is_file() else [path for path in o.model.rglob("*") if path.is_file()]
    return [o.words, *model]
