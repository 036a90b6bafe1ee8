"""How the command ends: exit codes, and errors as one clear line."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Dict, Iterator, NoReturn, Optional

import click

FAILED, USAGE, REFUSED, UNREACHABLE, INTERRUPTED = 1, 2, 3, 4, 130

EXIT_CODES: Dict[int, str] = {
    0: "success",
    FAILED: "the prediction failed or was canceled",
    USAGE: "the command was used wrongly, or an input is missing or of the wrong type",
    REFUSED: "the API refused: token, name, input or limits",
    UNREACHABLE: "the API could not be reached, or a wait took too long",
    INTERRUPTED: "interrupted from the keyboard",
}


def stop(message: str, code: int) -> NoReturn:
    """Print one line on standard error and leave."""
    click.echo(f"replicate: {' '.join(message.split())}", err=True)
    raise SystemExit(code)


@contextmanager
def errors_as_lines() -> Iterator[None]:
    """Turn the SDK's errors into one line and an exit code; a bug keeps its traceback."""
    from replicate.exceptions import ModelError, PredictionTimeoutError, ReplicateError, TransportError

    try:
        yield
    except ModelError as error:
        stop(f"prediction {error.prediction.id} failed: {error}", FAILED)
    except (TransportError, PredictionTimeoutError) as error:
        stop(error.detail or "the API could not be reached", UNREACHABLE)
    except ReplicateError as error:
        stop(describe_refusal(error.title, error.detail, error.status), REFUSED)
    except OSError as error:
        stop(f"{error.filename or 'file'}: {error.strerror or error}", USAGE)


def describe_refusal(title: Optional[str], detail: Optional[str], status: Optional[int]) -> str:
    """Say a refusal in one line, with advice for the two that everybody meets."""
    said = ": ".join(part for part in (title, detail and "; ".join(detail.strip().splitlines())) if part) or "refused"
    advice = {401: ". Set REPLICATE_API_TOKEN, or put it into .env", 429: ". Try again later"}.get(status or 0, "")
    return said + (f" ({status})" if status else "") + advice
