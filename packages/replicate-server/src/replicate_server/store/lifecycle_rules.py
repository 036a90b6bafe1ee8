"""The lifecycle table as database rules: checks and triggers generated from `domain.lifecycle`.

Checks refuse a row that cannot exist; triggers refuse a change that cannot happen, also by raw SQL from a shell. Only statuses
and column names go into the text, so there is nothing to escape.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from replicate_server.domain.lifecycle import ACTIVE, TERMINAL, TRANSITIONS, Status

OUTCOME_COLUMNS = ("status", "output", "error", "logs", "metrics", "started_at", "completed_at")
"""What is final about an ended prediction."""


def quoted(statuses: Iterable[Status]) -> str:
    """Statuses as a SQL list, in the order of the lifecycle."""
    chosen = set(statuses)
    return "(" + ", ".join(f"'{status.value}'" for status in Status if status in chosen) + ")"


AFTER_PROCESSING = TRANSITIONS[Status.PROCESSING] & TERMINAL
"""How a prediction ends whose code ran."""
BEFORE_PROCESSING = TRANSITIONS[Status.STARTING] & TERMINAL
"""How a prediction ends whose code never ran."""

CHECKS: Mapping[str, str] = {
    "status": f"status IN {quoted(Status)}",
    "completed": f"(status IN {quoted(TERMINAL)}) = (completed_at IS NOT NULL)",
    "started": f"started_at IS NOT NULL OR status IN {quoted({Status.STARTING} | BEFORE_PROCESSING)}",
    "not_started": f"started_at IS NULL OR status IN {quoted({Status.PROCESSING} | AFTER_PROCESSING)}",
    "claim_whole": "(claim_holder IS NULL) = (claim_instance_id IS NULL) AND (claim_holder IS NULL) = (claim_expires_at IS NULL)",
    "claim_active": f"claim_holder IS NULL OR status IN {quoted(ACTIVE)}",
    "processing_claimed": "status <> 'processing' OR claim_holder IS NOT NULL",
    "attempt": "attempt >= 0 AND claim_token >= 0",
    "webhook": "(webhook_url IS NULL) = (webhook_events IS NULL)",
}
"""Name → condition that every stored prediction meets. A set ``started_at`` means that it passed through processing."""


def allowed_change() -> str:
    """The condition under which one UPDATE may change a status.

    An outcome that arrives together with the start is one UPDATE ``starting → succeeded`` that sets ``started_at``: it passed
    through processing without stopping there. The check ``started`` refuses it without ``started_at``.
    """
    direct = (f"(OLD.status = '{status.value}' AND NEW.status IN {quoted(TRANSITIONS[status])})" for status in ACTIVE_IN_ORDER)
    passing = f"(OLD.status = 'starting' AND NEW.started_at IS NOT NULL AND NEW.status IN {quoted(AFTER_PROCESSING)})"
    return " OR ".join((*direct, passing))


ACTIVE_IN_ORDER = tuple(status for status in Status if status in ACTIVE)


def changed_outcome(distinct: str) -> str:
    """The condition under which an UPDATE of an ended prediction touches its outcome.

    Removing its data is allowed: it empties and never replaces.

    Args:
        distinct: The dialect's null-safe "differs" operator.
    """
    changed = {column: f"NEW.{column} {distinct} OLD.{column}" for column in OUTCOME_COLUMNS}
    removable = " OR ".join(changed[column] for column in ("output", "error", "logs", "metrics"))
    removed = "NEW.data_removed AND NEW.output IS NULL AND NEW.error IS NULL AND NEW.logs = '' AND NEW.metrics = '{}'"
    fixed = " OR ".join(changed[column] for column in ("status", "started_at", "completed_at"))
    return f"OLD.completed_at IS NOT NULL AND ({fixed} OR (({removable}) AND NOT ({removed})))"


def rules(distinct: str) -> Mapping[str, tuple[str, str]]:
    """Trigger name → (condition that is refused, what to say)."""
    return {
        "predictions_transition": (
            f"OLD.status <> NEW.status AND NOT ({allowed_change()})",
            "a prediction cannot make this change of status",
        ),
        "predictions_outcome": (changed_outcome(distinct), "the outcome of a prediction never changes"),
        "predictions_token": ("NEW.claim_token < OLD.claim_token", "a claim token never decreases"),
    }


def sqlite_triggers() -> Mapping[str, str]:
    """Trigger name → ``CREATE TRIGGER`` statement for SQLite."""
    return {
        name: f"CREATE TRIGGER {name} BEFORE UPDATE ON predictions WHEN {condition} BEGIN SELECT RAISE(ABORT, '{message}'); END"
        for name, (condition, message) in rules("IS NOT").items()
    }


def postgresql_triggers() -> Mapping[str, str]:
    """Trigger name → its function and trigger for PostgreSQL, as one script."""
    return {
        name: (
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'; END $$;\n"
            f"CREATE TRIGGER {name} BEFORE UPDATE ON predictions FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION {name}()"
        )
        for name, (condition, message) in rules("IS DISTINCT FROM").items()
    }
