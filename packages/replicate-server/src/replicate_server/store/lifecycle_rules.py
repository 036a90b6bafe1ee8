"""The lifecycle table as database rules: checks and a trigger generated from `domain.lifecycle`.

Checks refuse a row that cannot exist; the trigger refuses a change that cannot happen, also by raw SQL. Only statuses and
column names go into the text, so there is nothing to escape. Comparisons are spelled out with OR and CASE, for SQLite fills a
temporary table for each IN list each time, which made storing a prediction twice as dear.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from replicate_server.domain.lifecycle import ACTIVE, TERMINAL, TRANSITIONS, Status

TRIGGER_NAME = "predictions_life"

AFTER_PROCESSING = TRANSITIONS[Status.PROCESSING] & TERMINAL
"""How a prediction ends whose code ran."""
BEFORE_PROCESSING = TRANSITIONS[Status.STARTING] & TERMINAL
"""How a prediction ends whose code never ran."""


def is_one_of(column: str, statuses: Iterable[Status]) -> str:
    """The condition that a column has one of some statuses, in the order of the lifecycle."""
    chosen = set(statuses)
    return "(" + " OR ".join(f"{column} = '{status.value}'" for status in Status if status in chosen) + ")"


def shape_of(status: Status) -> str:
    """What is set in a row of a status.

    ``started_at`` is set exactly when the prediction passed through processing. Code runs only under a claim, and an ended
    prediction has none.
    """
    conditions = ["completed_at IS NOT NULL" if status in TERMINAL else "completed_at IS NULL"]
    can_have_run = status is Status.PROCESSING or status in AFTER_PROCESSING
    can_have_never_run = status is Status.STARTING or status in BEFORE_PROCESSING
    if not can_have_run:
        conditions.append("started_at IS NULL")
    if not can_have_never_run:
        conditions.append("started_at IS NOT NULL")
    if status is Status.PROCESSING:
        conditions.append("claim_holder IS NOT NULL")
    if status in TERMINAL:
        conditions.append("claim_holder IS NULL")
    return " AND ".join(conditions)


CHECKS: Mapping[str, str] = {
    "life": "CASE status " + " ".join(f"WHEN '{status.value}' THEN {shape_of(status)}" for status in Status) + " ELSE FALSE END",
    "claim": "(claim_holder IS NULL) = (claim_instance_id IS NULL) AND (claim_holder IS NULL) = (claim_expires_at IS NULL)",
    "counts": "attempt >= 0 AND claim_token >= 0",
    "webhook": "(webhook_url IS NULL) = (webhook_events IS NULL)",
}
"""Name → condition that every stored prediction meets."""


def allowed_change() -> str:
    """The condition under which one UPDATE may change a status.

    An outcome that arrives together with the start is one UPDATE ``starting → succeeded`` that sets ``started_at``: it passed
    through processing without stopping there. The check ``life`` refuses it without ``started_at``.
    """
    following = {status: TRANSITIONS[status] for status in Status if status in ACTIVE}
    following[Status.STARTING] |= AFTER_PROCESSING
    cases = (f"WHEN '{status.value}' THEN {is_one_of('NEW.status', targets)}" for status, targets in following.items())
    return f"CASE OLD.status {' '.join(cases)} ELSE FALSE END"


def changed_outcome(distinct: str) -> str:
    """The condition under which an UPDATE of an ended prediction touches its outcome.

    Removing its data is allowed: it empties and never replaces.

    Args:
        distinct: The dialect's null-safe "differs" operator.
    """

    def changed(*columns: str) -> str:
        return " OR ".join(f"NEW.{column} {distinct} OLD.{column}" for column in columns)

    removed = "NEW.data_removed AND NEW.output IS NULL AND NEW.error IS NULL AND NEW.logs = '' AND NEW.metrics = '{}'"
    fixed, removable = changed("started_at", "completed_at"), changed("output", "error", "logs", "metrics")
    return f"OLD.completed_at IS NOT NULL AND ({fixed} OR (({removable}) AND NOT ({removed})))"


def refusals(distinct: str) -> Mapping[str, str]:
    """What to say → the condition of an UPDATE that is refused with it."""
    return {
        "a prediction cannot make this change of status": f"OLD.status <> NEW.status AND NOT {allowed_change()}",
        "the outcome of a prediction never changes": changed_outcome(distinct),
        "a claim token never decreases": "NEW.claim_token < OLD.claim_token",
    }


def sqlite_trigger() -> str:
    """The trigger for SQLite. One trigger with one condition: each further trigger costs every update another program."""
    conditions = refusals("IS NOT")
    condition = " OR ".join(f"({one})" for one in conditions.values())
    body = " ".join(f"SELECT RAISE(ABORT, '{message}') WHERE {one};" for message, one in conditions.items())
    return f"CREATE TRIGGER {TRIGGER_NAME} BEFORE UPDATE ON predictions WHEN {condition} BEGIN {body} END"


def postgresql_trigger() -> str:
    """The same for PostgreSQL: its function and the trigger, as one script."""
    conditions = refusals("IS DISTINCT FROM")
    condition = " OR ".join(f"({one})" for one in conditions.values())
    body = " ".join(
        f"IF {one} THEN RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'; END IF;"
        for message, one in conditions.items()
    )
    return (
        f"CREATE FUNCTION {TRIGGER_NAME}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$;\n"
        f"CREATE TRIGGER {TRIGGER_NAME} BEFORE UPDATE ON predictions FOR EACH ROW WHEN ({condition}) "
        f"EXECUTE FUNCTION {TRIGGER_NAME}()"
    )
