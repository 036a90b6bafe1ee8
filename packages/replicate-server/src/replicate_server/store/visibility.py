"""Who may see a model, as a condition of a query: the same rule as `services.models.is_visible`."""

from __future__ import annotations

from sqlalchemy import ColumnElement, bindparam, or_, select

from replicate_server.store.statements import constant
from replicate_server.store.tables import memberships, models


def is_visible_to_viewer() -> ColumnElement[bool]:
    """Public, the viewer's own, or of an organization that the viewer is a member of (parameter ``viewer``)."""
    organizations = select(memberships.c.organization_id).where(memberships.c.account_id == bindparam("viewer"))
    return or_(
        models.c.visibility == constant("public"),
        models.c.account_id == bindparam("viewer"),
        models.c.account_id.in_(organizations),
    )
