"""The tables of the database, and how one version of them becomes the next.

The version stands in ``PRAGMA user_version``. A step of :data:`MIGRATIONS` brings a database from the version that is
its index to the next one; steps are only ever appended, and each holds its own SQL, so that it does the same for ever.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from ctxkit.errors import StoreError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

__all__ = ["APPLICATION", "MIGRATIONS", "check", "migrate", "version"]

APPLICATION: Final = 0x63747864
"""``PRAGMA application_id`` of a ledger ("ctxd"): tells a ledger from anybody else's database."""

_VERSION_1: Final = """
CREATE TABLE attempts (
    attempt TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, owner TEXT NOT NULL, cell INTEGER,
    operation TEXT, number INTEGER, status TEXT NOT NULL, http_status INTEGER, created REAL NOT NULL,
    dialect TEXT, platform TEXT, model TEXT, response_model TEXT, feature TEXT, labels TEXT, scope TEXT, thread TEXT,
    fresh INTEGER, read INTEGER, written TEXT, output INTEGER, reasoning INTEGER, media TEXT, calls TEXT,
    cost_pico INTEGER, cost_source TEXT, card_cost_pico INTEGER, card TEXT,
    est_input INTEGER, est_low INTEGER, est_high INTEGER, est_usage TEXT,
    est_cost_low INTEGER, est_cost_expected INTEGER, est_cost_max INTEGER, est_method TEXT, est_family TEXT,
    ttft REAL, ttfc REAL, e2e REAL, tpot REAL,
    response_id TEXT, finish TEXT, tier TEXT, stream INTEGER, edits TEXT, problems TEXT
);
CREATE INDEX attempts_created ON attempts (created);
CREATE INDEX attempts_open ON attempts (owner) WHERE status = 'open';

CREATE TABLE cells (
    id INTEGER PRIMARY KEY,
    feature TEXT NOT NULL, model TEXT NOT NULL, platform TEXT NOT NULL, dialect TEXT NOT NULL, tier TEXT NOT NULL,
    scope TEXT NOT NULL, labels TEXT NOT NULL, status TEXT NOT NULL,
    UNIQUE (feature, model, platform, dialect, tier, scope, labels, status)
);
CREATE TABLE rollups (
    span INTEGER NOT NULL, start INTEGER NOT NULL, cell INTEGER NOT NULL REFERENCES cells (id),
    attempts INTEGER NOT NULL, operations INTEGER NOT NULL, priced INTEGER NOT NULL, metered INTEGER NOT NULL,
    fresh INTEGER NOT NULL, read INTEGER NOT NULL, readable INTEGER NOT NULL,
    written_5m INTEGER NOT NULL, written_30m INTEGER NOT NULL, written_1h INTEGER NOT NULL,
    written_12h INTEGER NOT NULL, written_other INTEGER NOT NULL,
    output INTEGER NOT NULL, reasoning INTEGER NOT NULL, reasoned INTEGER NOT NULL,
    cost_usd INTEGER NOT NULL, cost_pico INTEGER NOT NULL,
    estimated_usd INTEGER NOT NULL, estimated_pico INTEGER NOT NULL,
    est_input INTEGER NOT NULL, act_input INTEGER NOT NULL,
    edits INTEGER NOT NULL, edit_tokens INTEGER NOT NULL, problems INTEGER NOT NULL,
    ttft BLOB, ttfc BLOB, e2e BLOB, tpot BLOB, error BLOB,
    PRIMARY KEY (span, start, cell)
) WITHOUT ROWID;
CREATE TABLE journals (name TEXT PRIMARY KEY, position INTEGER NOT NULL);
CREATE TABLE refused (journal TEXT NOT NULL, position INTEGER NOT NULL, reason TEXT NOT NULL, line BLOB NOT NULL,
    PRIMARY KEY (journal, position));
"""


_VERSION_2: Final = """
ALTER TABLE attempts ADD COLUMN forecast_read INTEGER;
ALTER TABLE attempts ADD COLUMN miss_reason TEXT;
ALTER TABLE attempts ADD COLUMN miss_tokens INTEGER;
ALTER TABLE attempts ADD COLUMN miss_cost_pico INTEGER;
ALTER TABLE attempts ADD COLUMN savings_pico INTEGER;
ALTER TABLE attempts ADD COLUMN miss TEXT;
ALTER TABLE attempts ADD COLUMN forecast TEXT;
ALTER TABLE attempts ADD COLUMN notes TEXT;

CREATE TABLE cells_2 (
    id INTEGER PRIMARY KEY,
    feature TEXT NOT NULL, model TEXT NOT NULL, platform TEXT NOT NULL, dialect TEXT NOT NULL, tier TEXT NOT NULL,
    scope TEXT NOT NULL, labels TEXT NOT NULL, status TEXT NOT NULL, miss_reason TEXT NOT NULL DEFAULT '',
    UNIQUE (feature, model, platform, dialect, tier, scope, labels, status, miss_reason)
);
INSERT INTO cells_2 SELECT id, feature, model, platform, dialect, tier, scope, labels, status, '' FROM cells;
DROP TABLE cells;
ALTER TABLE cells_2 RENAME TO cells;

ALTER TABLE rollups ADD COLUMN misses INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollups ADD COLUMN miss_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollups ADD COLUMN miss_priced INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollups ADD COLUMN miss_usd INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollups ADD COLUMN miss_pico INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollups ADD COLUMN foreseen INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollups ADD COLUMN foreseen_right INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollups ADD COLUMN foreseen_read INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollups ADD COLUMN foreseen_actual INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollups ADD COLUMN saved INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollups ADD COLUMN savings_usd INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollups ADD COLUMN savings_pico INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollups ADD COLUMN charges INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollups ADD COLUMN storage_usd INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollups ADD COLUMN storage_pico INTEGER NOT NULL DEFAULT 0
"""
"""What was forecast and missed, what was saved, and charges that no request made. Rows of before know none of it."""


_CAUSES: Final = ("cache", "compact", "repeats", "deltas", "stale", "spent", "episodes", "fit", "other")
_MONEY: Final = ("predicted", *(f"saved_{cause}" for cause in _CAUSES))
_VERSION_3: Final = ";\n".join(
    (
        "ALTER TABLE attempts ADD COLUMN savings_by TEXT",
        "ALTER TABLE attempts ADD COLUMN predicted_pico INTEGER",
        *(
            f"ALTER TABLE rollups ADD COLUMN {name}_{unit} INTEGER NOT NULL DEFAULT 0"
            for name in _MONEY
            for unit in ("usd", "pico")
        ),
        "UPDATE rollups SET saved_cache_usd = savings_usd, saved_cache_pico = savings_pico",
    )
)
"""What was saved by cause, and predicted. Before there was one cause only."""


_VERSION_4: Final = ";\n".join(
    (
        "ALTER TABLE attempts ADD COLUMN drift_score REAL",
        "ALTER TABLE attempts ADD COLUMN drift_tokens INTEGER",
        "ALTER TABLE attempts ADD COLUMN drift_noise INTEGER",
        "ALTER TABLE attempts ADD COLUMN drift_fee_pico INTEGER",
        "ALTER TABLE attempts ADD COLUMN drift TEXT",
        *(
            f"ALTER TABLE rollups ADD COLUMN {name} INTEGER NOT NULL DEFAULT 0"
            for name in (
                *("drifts", "drift_score", "drift_tokens", "drift_noise", "drift_priced", "noise_usd", "noise_pico"),
                *("drift_drifting", "drift_lost", "drift_stuck"),
            )
        ),
    )
)
"""How much of a request was noise, and what that cost."""


_VERSION_5: Final = ";\n".join(
    (
        "ALTER TABLE attempts ADD COLUMN reuse REAL",
        *(
            f"ALTER TABLE rollups ADD COLUMN {name} INTEGER NOT NULL DEFAULT 0"
            for name in ("reused", "reused_known", "saved_answers_usd", "saved_answers_pico")
        ),
        "ALTER TABLE rollups ADD COLUMN reuse BLOB",
    )
)
"""Requests that were answered with what the same one got before: how many, how fast, and what that saved."""


_VERSION_6: Final = ";\n".join(
    f"ALTER TABLE rollups ADD COLUMN saved_reminders_{unit} INTEGER NOT NULL DEFAULT 0" for unit in ("usd", "pico")
)
"""What it cost to say something once more at the end of long prompts."""


def _run(db: sqlite3.Connection, statements: str) -> None:
    for statement in statements.split(";"):
        db.execute(statement)


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = tuple(
    partial(_run, statements=statements)
    for statements in (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4, _VERSION_5, _VERSION_6)
)
"""Step ``n`` makes version ``n + 1`` of version ``n``; version 0 is an empty file."""


def version(db: sqlite3.Connection) -> int:
    """Schema version of a database."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def migrate(db: sqlite3.Connection) -> None:
    """Bring a database to the newest version, all steps in one transaction.

    Raises:
        StoreError: it belongs to somebody else, or a newer ctxkit wrote it.
    """
    if version(db) == len(MIGRATIONS):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        found = version(db)  # read again: another process may have migrated while we waited for the lock
        check(db, found)
        for step in MIGRATIONS[found:]:
            step(db)
        db.execute(f"PRAGMA application_id = {APPLICATION}")
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def check(db: sqlite3.Connection, found: int) -> None:
    """Refuse what is no ledger of ours, before anything in it is touched.

    Raises:
        StoreError: it belongs to somebody else, or a newer ctxkit wrote it.
    """
    ours = db.execute("PRAGMA application_id").fetchone()[0] == APPLICATION
    if not ours and db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        raise StoreError("the file is a database, but not a ctxkit ledger: give another path for the ledger")
    if found > len(MIGRATIONS):
        raise StoreError(f"the ledger has schema {found}, this ctxkit knows {len(MIGRATIONS)}: upgrade ctxkit")
