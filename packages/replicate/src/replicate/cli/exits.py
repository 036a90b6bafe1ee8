"""How the command ends: exit codes, and errors as one clear line."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Dict, Iterator, NoReturn, Optional

import click

FAILED, USAGE, REFUSED, UNREACHABLE, INTERRUPTED = 1, 2, 3, 4, 130

ADVICE: Dict[int, str] = {
    401: ". Set REPLICATE_API_TOKEN, or put it into .env",
    404: ". `replicate models list` shows the models there are",
    429: ". Try again later",
}

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
        is_gone = isinstance(error, TransportError)
        advice = ". Is the server running? REPLICATE_BASE_URL names another one" if is_gone else ""
        stop((error.detail or "the API could not be reached") + advice, UNREACHABLE)
    except ReplicateError as error:
        stop(describe_refusal(error.title, error.detail, error.status), REFUSED)
    except OSError as error:
        stop(f"{error.filename or 'file'}: {error.strerror or error}", USAGE)


def describe_refusal(title: Optional[str], detail: Optional[str], status: Optional[int]) -> str:
    """Say a refusal in one line, with advice for those that everybody meets."""
    lines = [line[2:] if line.startswith("- ") else line for line in (detail or "").strip().splitlines()]
    told = lines[0] + " " + "; ".join(lines[1:]) if lines and lines[0].endswith(":") else "; ".join(lines)
    said = ": ".join(part for part in (title, told) if part) or "refused"
    return said + (f" ({status})" if status else "") + ADVICE.get(status or 0, "")
