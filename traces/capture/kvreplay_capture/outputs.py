"""Where a trace may be written: checked before a model is loaded, so that no input and no work is lost."""

import os
import re
import stat
from collections.abc import Collection
from pathlib import Path

from .errors import CaptureError, SystemRefused


def resolve_output(output: Path, inputs: Collection[Path]) -> Path:
    """The file that will be written: `output` itself, or what it links to.

    It must be new, or a regular file that is none of `inputs`, whatever name leads there.
    """
    if output.name in ("", ".."):
        raise CaptureError(f"output '{output}': is no file name; give one ending in .h5")
    try:
        target = Path(os.path.realpath(output))
        _require_folder(output, target.parent)
        for name in (target, unaccepted_name(target), partial_name(target)):
            _require_new_or_regular(name, inputs)
    except OSError as error:
        raise SystemRefused(f"{output}: {error.strerror}") from error
    return target


def unaccepted_name(target: Path) -> Path:
    """Where a file goes that the self-check does not accept."""
    return target.with_name(f"{target.stem}.unaccepted{target.suffix}")


def partial_name(target: Path) -> Path:
    """The name of a trace that this process has not finished."""
    return target.with_name(f"{target.name}.partial-{os.getpid()}")


def remove_abandoned(target: Path) -> None:
    """Removes what processes that no longer run have left of this output."""
    pattern = re.compile(re.escape(target.name) + r"\.partial-(\d+)")
    for entry in os.scandir(target.parent):
        match = pattern.fullmatch(entry.name)
        if match and entry.is_file(follow_symlinks=False) and not _runs(int(match[1])):
            Path(entry.path).unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _require_folder(output: Path, folder: Path) -> None:
    if not folder.is_dir():
        raise SystemRefused(f"{output}: the folder {folder} does not exist")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SystemRefused(f"{output}: the folder {folder} cannot be written to")


def _require_new_or_regular(target: Path, inputs: Collection[Path]) -> None:
    try:
        status = target.lstat()  # links have been followed; one that is left leads in a circle
    except FileNotFoundError:
        return
    if stat.S_ISDIR(status.st_mode):
        raise CaptureError(f"{target}: is a folder; give a file name ending in .h5")
    if not stat.S_ISREG(status.st_mode):
        raise CaptureError(f"{target}: is not a regular file; a trace goes into a new or a regular file")
    for path in inputs:
        if path.exists() and os.path.samestat(status, path.stat()):
            raise CaptureError(f"{target}: is an input of this capture ({path}) and would be lost")
