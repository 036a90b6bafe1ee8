"""The exceptions of the predictor interface. Nothing here knows how they are raised or reported."""

from __future__ import annotations


class CancelationException(BaseException):
    """Raised inside ``predict()`` when the prediction is canceled.

    It derives from `BaseException` so that ``except Exception`` in a model does not swallow it. Catch it to clean up; a
    prediction that swallows it still ends as canceled.
    """


class CogError(Exception):
    """Base of the errors that tell a model author what to change."""


class ConfigDoesNotExist(CogError):
    """There is no cog.yaml where one was expected."""


class PredictorNotSet(CogError):
    """cog.yaml names neither ``run`` nor ``predict``."""


class RunnerError(CogError):
    """The runner cannot be loaded, or its signature cannot be described.

    The message names the file, the parameter when one is at fault, and what to do.
    """
