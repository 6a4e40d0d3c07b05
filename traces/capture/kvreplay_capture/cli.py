"""The command line: results on stdout, messages on stderr.

Exit codes: 0 done, 2 the input is wrong or the self-check failed, 3 the system failed (disk full, no
permission), 70 a bug here, 130 interrupted, 143 terminated. Only 0 leaves a trace under the name asked for.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import CaptureError, SystemRefused
from .options import DTYPES, MODES, TOLERANCES, CaptureOptions, check_options, parse_indices
from .outputs import partial_name
from .streams import print_result, say


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise CaptureError(message)

    def print_help(self, file: Any = None) -> None:
        print_result(self.format_help().rstrip())


def _indices(text: str) -> tuple[int, ...]:
    try:
        return parse_indices(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _file_name(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("the name is empty")
    if text.endswith("/"):
        raise argparse.ArgumentTypeError(f"{text} names a folder; give a file name ending in .h5")
    return Path(text)


def build_parser() -> argparse.ArgumentParser:
    """All options; defaults are those of CaptureOptions."""
    p = _Parser(prog="kvreplay-capture", description="Captures a kvtrace from a Hugging Face causal decoder.")
    default = CaptureOptions(Path(), Path(), Path(), 1, 1)
    p.add_argument(
        "model", type=Path, help="folder with config.json, *.safetensors and a tokenizer, or a .gguf file"
    )
    p.add_argument(
        "-o", "--output", type=_file_name, required=True, help="trace to write (replaced if it exists)"
    )
    _add_text_options(p, default)
    _add_choice_options(p, default)
    p.add_argument(
        "--dtype", choices=DTYPES, default=default.dtype, help="type the model runs in (%(default)s)"
    )
    p.add_argument("--device", default=default.device, help="torch device (%(default)s)")
    p.add_argument("--threads", type=int, help="torch threads (torch's own choice)")
    p.add_argument("--block", type=int, default=default.block, help="tokens per forward pass (%(default)s)")
    p.add_argument(
        "--check-positions",
        type=int,
        default=default.check_positions,
        metavar="N",
        help="decode positions that the self-check recomputes (%(default)s)",
    )
    p.add_argument(
        "--tolerance",
        type=float,
        help="largest relative error the self-check accepts "
        f"({', '.join(f'{dtype} {value:g}' for dtype, value in TOLERANCES.items())})",
    )
    p.add_argument("-q", "--quiet", action="store_true", help="no progress")
    p.add_argument("--debug", action="store_true", help="show tracebacks")
    return p


def _add_text_options(p: argparse.ArgumentParser, default: CaptureOptions) -> None:
    p.add_argument("--text", type=Path, help="UTF-8 text file")
    p.add_argument("--chat", type=Path, help="JSON list of messages (role, content), instead of --text")
    p.add_argument(
        "--mode", choices=MODES, default=default.mode, help="where decode tokens come from (%(default)s)"
    )
    p.add_argument(
        "--prompt-tokens",
        type=int,
        required=True,
        metavar="N",
        help="prompt length, with what the tokenizer puts in front",
    )
    p.add_argument("--steps", type=int, required=True, metavar="M", help="decode steps")
    p.add_argument(
        "--offset", type=int, default=default.offset, help="tokens of the text to skip (%(default)s)"
    )
    p.add_argument("--seed", type=int, default=default.seed, help="of the sampling (%(default)s)")
    p.add_argument(
        "--temperature", type=float, default=default.temperature, help="of the sampling (%(default)s)"
    )
    p.add_argument(
        "--no-bos", dest="bos", action="store_false", help="without the token in front of the text"
    )
    p.add_argument("--model-name", help="name in the file (the folder's or file's name)")
    p.add_argument("--licence", default=default.licence, help="licence of text and trace (%(default)s)")
    p.add_argument("--text-source", help="where the text comes from (its file name)")


def _add_choice_options(p: argparse.ArgumentParser, default: CaptureOptions) -> None:
    p.add_argument("--layers", type=_indices, metavar="LIST", help="layers to keep, such as 0,2-3 (all)")
    p.add_argument("--kv-heads", type=_indices, metavar="LIST", help="KV heads to keep (all)")
    p.add_argument(
        "--window",
        type=int,
        metavar="W",
        help=f"last prompt positions whose queries are kept ({default.window}, or all of a shorter prompt)",
    )
    p.add_argument("--no-speculated", dest="speculated", action="store_false", help="no speculated queries")
    p.add_argument(
        "--no-prompt-sums", dest="prompt_sums", action="store_false", help="no prompt attention sums"
    )
    p.add_argument("--wo-v-norm", action="store_true", help="norms of the output-projected values too")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of kvreplay-capture."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        return _run(arguments)
    except CaptureError as error:
        return _fail(str(error), 2)
    except SystemRefused as error:
        return _fail(str(error), 3)
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error), 3)
    except MemoryError:
        return _fail("not enough memory for this model and trace", 3)
    except KeyboardInterrupt:
        return _fail("interrupted; the unfinished file was removed", 130)
    except Exception as error:
        if "--debug" in arguments:
            raise
        return _fail(f"internal error: {type(error).__name__}: {error} (run again with --debug)", 70)


def command() -> None:
    """The console script: main, and out.

    After a failed write HDF5 cannot close the file and crashes while the interpreter shuts down, so that
    case leaves without its exit handlers.
    """
    code = main()
    if code == 3:
        os._exit(code)  # everything has been written or could not be
    sys.exit(code)


def _fail(message: str, code: int) -> int:
    say(" ".join(message.split()))
    return code


def _run(arguments: list[str]) -> int:
    given = vars(build_parser().parse_args(arguments))
    quiet, threads = given.pop("quiet"), given.pop("threads")
    del given["debug"]
    if given["window"] is None:
        given["window"] = min(CaptureOptions.window, given["prompt_tokens"])
    options = CaptureOptions(**given)
    check_options(options)
    _end_cleanly()
    _prepare_libraries(threads)
    from .progress import Progress
    from .session import capture

    try:
        report = capture(options, Progress(options.total, quiet))
    finally:
        partial_name(Path(os.path.realpath(options.output))).unlink(missing_ok=True)
    for warning in report.warnings:
        say(f"warning: {warning}")
    _print_report(report)
    return 0


def _end_cleanly() -> None:
    """A signal ends the capture and removes its file; another one does not disturb that."""

    def leave(number: int, _frame: Any) -> None:
        for other in (signal.SIGINT, signal.SIGTERM):
            signal.signal(other, signal.SIG_IGN)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(143)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)


def _print_report(report: Any) -> None:
    plan, check = report.plan, report.check
    print_result(
        f"{report.path}: {plan.total} tokens ({plan.prefill} prompt), layers {len(plan.layers)}, "
        f"KV heads {len(plan.kv_heads)}, {report.file_bytes} bytes, {report.run_s:.1f} s"
    )
    exact, rounded = check.capture, check.rounding
    print_result(
        f"self-check: largest relative error {exact.error:.2e} at {exact.positions} positions "
        f"(layer {exact.layer}, position {exact.position}); with the rounding to float16 {rounded.error:.2e} "
        f"(layer {rounded.layer}, position {rounded.position})"
    )


def _prepare_libraries(threads: int | None) -> None:
    """torch and transformers are imported here, so that mistakes in the options are answered at once."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if threads is not None:
        if threads < 1:
            raise CaptureError(f"--threads is {threads}; it must be at least 1")
        torch.set_num_threads(threads)


if __name__ == "__main__":
    command()
