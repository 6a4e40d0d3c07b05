"""Progress on stderr: a bar on a terminal, a plain line per tenth elsewhere, nothing when quiet."""

import sys
import time

from .streams import write_message


class Progress:
    """Counts tokens up to `total`."""

    def __init__(self, total: int, quiet: bool = False) -> None:
        self._total = total
        self._quiet = quiet
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._begun = time.monotonic()
        self._done = 0
        self._shown = -1

    def advance(self, tokens: int) -> None:
        """Call after each block of tokens."""
        self._done += tokens
        step = self._done * (100 if self._terminal else 10) // self._total
        if self._quiet or step == self._shown:
            return
        self._shown = step
        self._show()

    def _show(self) -> None:
        elapsed = time.monotonic() - self._begun
        rate = self._done / max(elapsed, 1e-9)
        left = (self._total - self._done) / rate
        line = f"{self._done}/{self._total} tokens, {rate:.0f} tokens/s, {left:.0f} s left"
        if self._terminal:
            filled = 30 * self._done // self._total
            end = "\n" if self._done == self._total else ""
            write_message(f"\r[{'#' * filled}{' ' * (30 - filled)}] {line}   {end}")
        else:
            write_message(f"capture: {line}\n")
