"""What can be wrong."""


class Error(Exception):
    """An input is not what it must be, or the program failed; the text says which and why."""


class IncompleteWarning(UserWarning):
    """A results file lacks some of the points that were planned."""
