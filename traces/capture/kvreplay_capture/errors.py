"""The one exception that means: the request cannot be met, and here is why."""


class CaptureError(Exception):
    """A mistake of the user or a model that a kvtrace cannot hold; the message is one line."""


class CheckFailed(CaptureError):
    """The written file does not reproduce the attention of the model."""
