"""The world model: what Grace remembers, as documents that can be searched by ordinary words.

An SQLite file with its built-in full-text index (FTS5). It is derived from the tables and can be
rebuilt from them at any time, so it trades the last commits before a power cut for speed.
Understanding a question ("last week") is not its business; callers pass the dates.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, fields
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Literal

from grace_assets.lake.blocks import among
from grace_assets.lake.sqlite import transaction, use_wal
from grace_assets.world.query_words import search_words

Kind = Literal["mission", "brief"]

BUSY_SECONDS = 60.0
"""How long to wait for another process that is writing."""


@dataclass(frozen=True)
class Document:
    """One thing to remember; `day` is `YYYY-MM-DD`, a brief has no domain and no verdict."""

    knowledge_id: str
    kind: Kind
    day: str
    domain_id: str | None
    title: str
    text: str
    verdict: str | None = None


@dataclass(frozen=True)
class Hit:
    """A found document; a higher score is a better match.

    `snippet` is the passage of the text that matched, or its beginning.
    """

    document: Document
    snippet: str
    score: float


_AT_ONCE = 10_000
"""Documents in memory while a day is written."""
_NAMES = tuple(field.name for field in fields(Document))
_COLUMNS = ", ".join(_NAMES)
_VALUES = attrgetter(*_NAMES)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    id INTEGER PRIMARY KEY,
    knowledge_id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    day TEXT NOT NULL,
    domain_id TEXT,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    verdict TEXT
);
CREATE INDEX IF NOT EXISTS documents_by_day ON documents (day, kind);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (
    domain_id, title, text,
    content = 'documents', content_rowid = 'id',
    tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE TABLE IF NOT EXISTS vectors (id INTEGER PRIMARY KEY, vector BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS version (one INTEGER PRIMARY KEY CHECK (one = 1), n INTEGER NOT NULL);
INSERT OR IGNORE INTO version VALUES (1, 0);
CREATE TRIGGER IF NOT EXISTS vectors_added AFTER INSERT ON documents BEGIN
    UPDATE version SET n = n + 1;
END;
CREATE TRIGGER IF NOT EXISTS vectors_dropped AFTER DELETE ON documents BEGIN
    DELETE FROM vectors WHERE id = old.id;
    UPDATE version SET n = n + 1;
END;
CREATE TRIGGER IF NOT EXISTS documents_inserted AFTER INSERT ON documents BEGIN
    INSERT INTO words (rowid, domain_id, title, text)
    VALUES (new.id, new.domain_id, new.title, new.text);
END;
CREATE TRIGGER IF NOT EXISTS documents_deleted AFTER DELETE ON documents BEGIN
    INSERT INTO words (words, rowid, domain_id, title, text)
    VALUES ('delete', old.id, old.domain_id, old.title, old.text);
END;
"""

_WEIGHTS = "4.0, 2.0, 1.0"
"""How much a word counts in domain, title and text: naming the domain asks for the domain."""


class WorldModel:
    """The store at `path`; safe to use from several threads and processes at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._connect()) as db:
            use_wal(db)
            with transaction(db):
                for statement in _statements(_SCHEMA):
                    db.execute(statement)
                # Merging less often takes a tenth of the time off, and no search is slower for it.
                if not db.execute("SELECT 1 FROM words_config WHERE k = 'automerge'").fetchone():
                    db.execute("INSERT INTO words (words, rank) VALUES ('automerge', 8)")

    def kept_open(self) -> AbstractContextManager[object]:
        """A block for many days: whoever closes the file last folds its log, as long as a day."""
        return closing(self._connect())

    def replace_day(self, day: str, kind: Kind, documents: Iterable[Document]) -> int:
        """Make `documents` the only ones of that day and kind, all or nothing; says how many.

        A document known under another day moves here. Raises `ValueError` for a document of
        another day or kind.
        """
        waiting, written = iter(documents), 0
        with closing(self._connect()) as db, transaction(db):
            db.execute("CREATE TEMP TABLE here (id INTEGER PRIMARY KEY)")
            while some := list(islice(waiting, _AT_ONCE)):
                rows = {document.knowledge_id: document for document in some}
                for document in rows.values():
                    if (document.day, document.kind) != (day, kind):
                        raise ValueError(f"{document.knowledge_id} is not a {kind} of {day}")
                _put(db, rows)
                written += len(rows)
            db.execute(
                "DELETE FROM documents WHERE day = ? AND kind = ? "
                "AND id NOT IN (SELECT id FROM here)",
                (day, kind),
            )
        return written

    def search(
        self,
        query: str,
        *,
        domain: str | None = None,
        kind: Kind | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int = 10,
    ) -> list[Hit]:
        """Find documents by the words of `query`, best match first; dates are inclusive.

        Documents with every word come back, or, where there is none, those with any. Words are
        matched by their beginning, without regard to case, accents or English endings. A query
        of stop words alone gives the newest documents.
        """
        where, values = _filters(domain, kind, since, until)
        words = search_words(query)
        with closing(self._connect()) as db:
            if not words:
                return _newest(db, where, values, limit)
            for operator in (" AND ", " OR "):
                expression = operator.join(f'"{word}"*' for word in words)
                if hits := _matching(db, expression, where, values, limit):
                    return hits
        return []

    def documents(self, ids: Sequence[int]) -> dict[int, Document]:
        """The documents of row ids; those that are gone are left out."""
        marks = ", ".join("?" for _ in ids)
        with closing(self._connect()) as db:
            rows = db.execute(f"SELECT id, {_COLUMNS} FROM documents WHERE id IN ({marks})", ids)
            return {row[0]: Document(*row[1:]) for row in rows}

    def row_ids(
        self,
        domain: str | None = None,
        kind: Kind | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> list[int]:
        """The row ids of the documents that fit, ascending."""
        where, values = _filters(domain, kind, since, until)
        with closing(self._connect()) as db:
            rows = db.execute(f"SELECT id FROM documents d WHERE {where} ORDER BY id", values)
            return [id_ for (id_,) in rows]

    def version(self) -> int:
        """Grows with every document that comes or goes."""
        with closing(self._connect()) as db:
            return db.execute("SELECT n FROM version").fetchone()[0]

    def without_vector(self, limit: int) -> list[tuple[int, Document]]:
        """Documents whose meaning was not worked out yet, with their row ids."""
        with closing(self._connect()) as db:
            rows = db.execute(
                f"SELECT id, {_COLUMNS} FROM documents WHERE id NOT IN (SELECT id FROM vectors) "
                "LIMIT ?",
                (limit,),
            )
            return [(row[0], Document(*row[1:])) for row in rows]

    def keep_vectors(self, vectors: Iterable[tuple[int, bytes]]) -> None:
        """Keep vectors by row id; of documents that are gone meanwhile none is kept."""
        with closing(self._connect()) as db, transaction(db):
            db.executemany(
                "INSERT OR REPLACE INTO vectors SELECT id, ?2 FROM documents WHERE id = ?1", vectors
            )

    def vectors(self) -> list[tuple[int, bytes]]:
        """Row ids and vectors, ascending."""
        with closing(self._connect()) as db:
            return db.execute("SELECT id, vector FROM vectors ORDER BY id").fetchall()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
        # Without a flush per commit; in WAL mode a power cut loses commits but corrupts nothing.
        db.execute("PRAGMA synchronous = NORMAL")
        # In KiB: a day's changes fit; written out and read again they take a tenth more time.
        db.execute("PRAGMA cache_size = -32768")
        return db


def _put(db: sqlite3.Connection, documents: dict[str, Document]) -> None:
    """Write documents by their ids, and enter their rows in `here`.

    One that is there as it is stays: to index it again takes eight times as long as to see that.
    """
    known = {
        row[1]: row
        for row in among(
            db, f"SELECT id, {_COLUMNS} FROM documents WHERE knowledge_id", [*documents]
        )
    }
    changed = {
        id_: values
        for id_, document in documents.items()
        if (values := _VALUES(document)) != (known[id_][1:] if id_ in known else None)
    }
    old = [(known[id_][0],) for id_ in changed if id_ in known]
    db.executemany("DELETE FROM documents WHERE id = ?", old)
    marks = ", ".join("?" for _ in _NAMES)
    db.executemany(f"INSERT INTO documents ({_COLUMNS}) VALUES ({marks})", changed.values())
    db.executemany(
        "INSERT OR IGNORE INTO here SELECT id FROM documents WHERE knowledge_id = ?",
        ((id_,) for id_ in documents),
    )


def _filters(
    domain: str | None, kind: str | None, since: str | None, until: str | None
) -> tuple[str, list[str]]:
    """Conditions on documents `d`, and their values."""
    conditions = (
        ("d.domain_id = ?", domain),
        ("d.kind = ?", kind),
        ("d.day >= ?", since),
        ("d.day <= ?", until),
    )
    given = [(sql, value) for sql, value in conditions if value is not None]
    return " AND ".join(["1", *(sql for sql, _ in given)]), [value for _, value in given]


def _matching(
    db: sqlite3.Connection, expression: str, where: str, values: list[str], limit: int
) -> list[Hit]:
    columns = ", ".join(f"d.{name}" for name in _NAMES)
    rows = db.execute(
        f"""
        SELECT {columns}, snippet(words, 2, '', '', '…', 24), -bm25(words, {_WEIGHTS}) AS score
        FROM words JOIN documents d ON d.id = words.rowid
        WHERE words MATCH ? AND {where}
        ORDER BY score DESC, d.day DESC, d.knowledge_id LIMIT ?
        """,
        (expression, *values, limit),
    )
    return [Hit(Document(*row[:-2]), row[-2], row[-1]) for row in rows]


def _newest(db: sqlite3.Connection, where: str, values: list[str], limit: int) -> list[Hit]:
    rows = db.execute(
        f"""
        SELECT {_COLUMNS}, substr(text, 1, 200) FROM documents d
        WHERE {where} ORDER BY day DESC, knowledge_id LIMIT ?
        """,
        (*values, limit),
    )
    return [Hit(Document(*row[:-1]), row[-1], 0.0) for row in rows]


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one; `executescript` would commit in between."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
