"""The exceptions that mean: the request cannot be met, and here is why. The message is one line."""


class CaptureError(Exception):
    """A mistake of the user or a model that a kvtrace cannot hold: exit code 2."""


class CheckFailed(CaptureError):
    """The written file does not hold the attention of the model."""


class SystemRefused(Exception):
    """The file system does not allow what was asked: exit code 3."""


def first_line(error: BaseException) -> str:
    """An exception as one line, for messages of ours."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
