"""Every statement finds its rows by an index: none reads a whole table that grows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import chain

import pytest
from replicate_server.ports.clock import SystemClock
from replicate_server.store import (
    accounts,
    catalogue,
    collections,
    deployments,
    files,
    idempotency,
    model_changes,
    open_store,
    outbox,
    prediction_statements,
)
from replicate_server.store.cursors import KeysetList
from replicate_server.store.sqlite import DIALECT, SqliteConnection, SqliteDatabase
from replicate_server.store.statements import Statement

SMALL = {"accounts"}
"""Read whole on purpose: all accounts are listed."""


def statements() -> dict[str, Statement]:
    """Every statement of the store by a name for the test's report."""
    named: dict[str, Statement] = {}
    modules = (
        prediction_statements,
        accounts,
        catalogue,
        model_changes,
        collections,
        deployments,
        files,
        outbox,
        idempotency,
    )
    for module in modules:
        for name, value in vars(module).items():
            if isinstance(value, Statement):
                named[name] = value
            if isinstance(value, KeysetList):
                named |= {f"{name} falling": value.falling, f"{name} rising": value.rising}
    names = prediction_statements.LIST_FILTERS
    for filters in ((), *([name] for name in names), ["status", "model"], ["status", "version_id", "deployment"]):
        listing = prediction_statements.prediction_list(frozenset(filters))
        named |= {f"predictions {filters} falling": listing.falling, f"predictions {filters} rising": listing.rising}
    for order, listing in catalogue.MODEL_LISTS.items():
        named |= {f"{order} falling": listing.falling, f"{order} rising": listing.rising}
    return named


STATEMENTS = statements()


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteConnection]:
    path = tmp_path_factory.mktemp("plans") / "store.sqlite3"
    asyncio.run(open_store(path, clock=SystemClock()).close())
    connection = SqliteDatabase(path).connect_writer()
    yield connection
    connection.close()


def plan(connection: SqliteConnection, statement: Statement) -> list[str]:
    """The steps by which SQLite would execute a statement."""
    text = statement.compiled(DIALECT).text
    return [str(row[3]) for row in connection.raw.execute(f"EXPLAIN QUERY PLAN {text}", [1] * text.count("?"))]


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_no_statement_scans_a_table(connection: SqliteConnection, name: str) -> None:
    scanned = [step.split()[1] for step in plan(connection, STATEMENTS[name]) if step.startswith("SCAN")]
    assert set(scanned) <= {"CONSTANT", "walk", "counted"} | SMALL


@pytest.mark.parametrize("name", sorted(name for name in STATEMENTS if "rising" in name or "falling" in name))
def test_pages_are_read_in_index_order_between_two_keys(connection: SqliteConnection, name: str) -> None:
    steps = plan(connection, STATEMENTS[name])
    assert not [step for step in steps if "TEMP B-TREE" in step]
    assert [step for step in steps if ">?" in step and "<?" in step]


def test_the_statements_of_the_hot_path_are_among_those_checked() -> None:
    hot = ("INSERT_PREDICTION", "CLAIM", "FINISH", "PREDICTION", "TOKEN_BY_DIGEST", "QUEUES", "predictions () falling")
    assert set(hot) <= set(chain(STATEMENTS))


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("status", "ix_predictions_status"),
        ("model", "ix_predictions_model"),
        ("version_id", "ix_predictions_version"),
        ("deployment", "ix_predictions_deployment"),
        ("source", "ix_predictions_source"),
    ],
)
def test_each_list_filter_has_its_index(connection: SqliteConnection, name: str, index: str) -> None:
    listing = prediction_statements.prediction_list(frozenset([name]))
    for statement in (listing.falling, listing.rising):
        assert [index in step for step in plan(connection, statement)] == [True]
