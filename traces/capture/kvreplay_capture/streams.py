"""Messages to stderr, results to stdout. A message that cannot be written is dropped, a result is not."""

import os
import sys
from typing import TextIO

from .errors import SystemRefused


def say(message: str) -> None:
    """One line for the user, on stderr."""
    write_message(f"kvreplay-capture: {message}\n")


def write_message(text: str) -> None:
    """Text for the user, on stderr; a capture goes on when nobody can read it."""
    try:
        if sys.stderr is not None:
            sys.stderr.write(text)
            sys.stderr.flush()
    except (OSError, ValueError):
        sys.stderr = _nowhere()  # otherwise Python fails once more when it leaves


def print_result(text: str) -> None:
    """A line of the result, on stdout; raises SystemRefused where it cannot be written."""
    if sys.stdout is None:
        raise SystemRefused("standard output is closed")
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stdout.flush()
    except OSError as error:
        sys.stdout = _nowhere()
        raise SystemRefused(f"standard output cannot be written: {error.strerror}") from error


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")
