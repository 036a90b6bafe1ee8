"""Predictions, events, files and webhook messages as rows: parameters of an insert, and records of a selected row. Pure."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, Table, select

from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Claim, Event, Prediction, StoredFile, WebhookMessage, WebhookSubscription
from replicate_server.store.statements import Row
from replicate_server.store.tables import predictions
from replicate_server.store.values import (
    json_text,
    json_value,
    micros,
    moment,
    optional_json_text,
    optional_json_value,
    optional_micros,
    optional_moment,
)

_STATUSES = {status.value: status for status in Status}


def select_all(table: Table) -> Select[Any]:
    """Select every column of a table in the order of its declaration, which the builders here unpack."""
    return select(*table.columns)


SELECT_PREDICTION = select_all(predictions)


def prediction_parameters(prediction: Prediction) -> dict[str, Any]:
    """The row of a new prediction."""
    claim = prediction.claim
    webhook = prediction.webhook
    input_text = json_text(prediction.input)
    output_text = optional_json_text(prediction.output)
    return {
        "id": prediction.id,
        "account_id": prediction.account_id,
        "model_id": prediction.model_id,
        "model": prediction.model,
        "version_id": prediction.version_id,
        "status": prediction.status.value,
        "source": prediction.source,
        "deployment": prediction.deployment,
        "hardware": prediction.hardware,
        "created_at": micros(prediction.created_at),
        "started_at": optional_micros(prediction.started_at),
        "completed_at": optional_micros(prediction.completed_at),
        "deadline_at": optional_micros(prediction.deadline_at),
        "cancel_requested_at": optional_micros(prediction.cancel_requested_at),
        "instance_id": prediction.instance_id,
        "claim_holder": claim.holder if claim else None,
        "claim_instance_id": claim.instance_id if claim else None,
        "claim_token": claim.token if claim else 0,
        "claim_expires_at": micros(claim.expires_at) if claim else None,
        "attempt": prediction.attempt,
        "is_file_stream": prediction.is_file_stream,
        "data_removed": prediction.data_removed,
        "stream_token": prediction.stream_token,
        "webhook_url": webhook.url if webhook else None,
        "webhook_events": " ".join(sorted(webhook.events)) if webhook else None,
        "text_length": len(input_text) + len(output_text or "") + len(prediction.logs),
        "metrics": json_text(prediction.metrics),
        "error": prediction.error,
        "input": input_text,
        "output": output_text,
        "logs": prediction.logs,
    }


def build_prediction(row: Row) -> Prediction:
    """The record of a row of `SELECT_PREDICTION`."""
    (
        prediction_id, account_id, model_id, model, version_id, status, source, deployment, hardware,
        created_at, started_at, completed_at, deadline_at, cancel_requested_at, instance_id,
        claim_holder, claim_instance_id, claim_token, claim_expires_at,
        attempt, is_file_stream, data_removed, stream_token, webhook_url, webhook_events,
        _text_length, metrics, error, input_text, output, logs,
    ) = row  # fmt: skip
    return Prediction(
        id=prediction_id,
        account_id=account_id,
        model_id=model_id,
        model=model,
        version_id=version_id,
        status=_STATUSES[status],
        input=json_value(input_text),
        created_at=moment(created_at),
        source=source,
        deployment=deployment,
        hardware=hardware,
        output=optional_json_value(output),
        error=error,
        logs=logs,
        metrics=json_value(metrics),
        started_at=optional_moment(started_at),
        completed_at=optional_moment(completed_at),
        deadline_at=optional_moment(deadline_at),
        webhook=WebhookSubscription(webhook_url, frozenset(webhook_events.split())) if webhook_url is not None else None,
        stream_token=stream_token,
        is_file_stream=bool(is_file_stream),
        attempt=attempt,
        claim=Claim(claim_holder, claim_instance_id, claim_token, moment(claim_expires_at)) if claim_holder is not None else None,
        cancel_requested_at=optional_moment(cancel_requested_at),
        instance_id=instance_id,
        data_removed=bool(data_removed),
    )


def event_parameters(event: Event) -> dict[str, Any]:
    """The row of an event."""
    return {
        "prediction_id": event.prediction_id,
        "sequence": event.sequence,
        "kind": event.kind,
        "created_at": micros(event.created_at),
        "data": json_text(event.data),
    }


EVENT_DATA = 4
"""Where a row of events has its JSON text."""


def build_event(row: Row) -> Event:
    """The record of a row of events."""
    prediction_id, sequence, kind, created_at, data = row
    return Event(prediction_id, sequence, kind, json_value(data), moment(created_at))


def file_parameters(file: StoredFile) -> dict[str, Any]:
    """The row of a file."""
    return {
        "id": file.id,
        "account_id": file.account_id,
        "name": file.name,
        "content_type": file.content_type,
        "size_bytes": file.size_bytes,
        "sha256": file.sha256,
        "md5": file.md5,
        "blob_key": file.blob_key,
        "created_at": micros(file.created_at),
        "expires_at": optional_micros(file.expires_at),
        "metadata": json_text(file.metadata),
        "prediction_id": file.prediction_id,
        "delivery_token": file.delivery_token,
    }


def build_file(row: Row) -> StoredFile:
    """The record of a row of files."""
    (
        file_id, account_id, name, content_type, size_bytes, sha256, md5, blob_key,
        created_at, expires_at, metadata, prediction_id, delivery_token,
    ) = row  # fmt: skip
    return StoredFile(
        id=file_id,
        account_id=account_id,
        name=name,
        content_type=content_type,
        size_bytes=size_bytes,
        sha256=sha256,
        md5=md5,
        blob_key=blob_key,
        created_at=moment(created_at),
        expires_at=optional_moment(expires_at),
        metadata=json_value(metadata),
        prediction_id=prediction_id,
        delivery_token=delivery_token,
    )


def message_parameters(message: WebhookMessage) -> dict[str, Any]:
    """The row of a webhook message."""
    return {
        "id": message.id,
        "account_id": message.account_id,
        "prediction_id": message.prediction_id,
        "event": message.event,
        "url": message.url,
        "body": message.body,
        "created_at": micros(message.created_at),
        "next_attempt_at": micros(message.next_attempt_at),
        "attempts": message.attempts,
        "attempts_max": message.attempts_max,
        "delivered_at": optional_micros(message.delivered_at),
        "failed_at": optional_micros(message.failed_at),
        "last_error": message.last_error,
    }


def build_message(row: Row) -> WebhookMessage:
    """The record of a row of webhook messages."""
    (
        message_id, account_id, prediction_id, event, url, body, created_at, next_attempt_at,
        attempts, attempts_max, delivered_at, failed_at, last_error,
    ) = row  # fmt: skip
    return WebhookMessage(
        id=message_id,
        account_id=account_id,
        prediction_id=prediction_id,
        event=event,
        url=url,
        body=bytes(body),
        created_at=moment(created_at),
        next_attempt_at=moment(next_attempt_at),
        attempts=attempts,
        attempts_max=attempts_max,
        delivered_at=optional_moment(delivered_at),
        failed_at=optional_moment(failed_at),
        last_error=last_error,
    )
