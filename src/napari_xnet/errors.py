"""Errors that a user can cause.

The message of each is one sentence or two for the user: what is wrong and
what to do. Widgets show it as a notification, the command line as one line.
"""


class XNetError(Exception):
    """Base of all errors of napari-xnet that a user can do something about."""


class ImageError(XNetError, ValueError):
    """An image that cannot be read, written or segmented."""


class ModelError(XNetError, ValueError):
    """A model that does not exist, is damaged or does not fit."""


class ConfigError(XNetError, ValueError):
    """Settings of a training run that do not exist, or do not fit."""


class TrainingError(XNetError, ValueError):
    """A training run that cannot start or go on."""


class EngineError(XNetError):
    """The process that runs the network could not start, or died."""


class Cancelled(XNetError):
    """The user cancelled the work."""


def reason(error: BaseException) -> str:
    """Say in one line what went wrong, whether a user can do something about it or not."""
    first = str(error).strip().partition("\n")[0]
    if isinstance(error, XNetError) and first:
        return first
    return f"{type(error).__name__}: {first or 'not enough memory'}"
