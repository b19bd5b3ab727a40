"""The bugs that `make mutants` puts in: each is one that somebody has shipped, or could."""

from __future__ import annotations

from dataclasses import dataclass

QUIETLY = ("-x", "-p", "no:cacheprovider")
Change = tuple[str, str]


@dataclass(frozen=True)
class Mutation:
    """`changes` are (what stands there once, what stands there then) in `module`; `check` is the
    module and arguments that `python -m` fails with, `witness` those of another that does too."""

    name: str
    module: str
    changes: tuple[Change, ...]
    check: tuple[str, ...]
    witness: tuple[str, ...] = ()


def _tests(path: str, words: str = "") -> tuple[str, ...]:
    chosen = ("-k", words) if words else ()
    return ("pytest", *QUIETLY, f"tests/{path}", *chosen)


def _suite(name: str, *works: str, part: bool = False) -> tuple[str, ...]:
    chosen = (("--works", *works) if works else ()) + (("--part",) if part else ())
    return ("benchmarks.reliability.suite", name, *chosen)


_POWER_OF_TABLES = _suite("power", "tables")
_FUSE_OF_TABLES = _suite("fuse", "tables")
_PART_OF_MODEL = _suite("model", part=True)
_FLUSHED = "            os.fsync(file.fileno())\n"
_RENAMED = "        raise\n    temporary.replace(path)\n"
_STORED = """        with self._db.transaction():
            settled = self._deduplication.store(judged)
"""
_FINISHED = """                raise
            ledger.finish(row, outcome, clock(), way.on_unknown)
"""

_LISTED = """        with self._files.replacing(f"{folder(table)}/days.json") as target:
            target.write(listed.encode())
"""
_DAYS_GONE = """\
        self._files.remove([f"tables/{table}/date={day}/part-0.parquet" for day in groups])
"""
_SAID = """\
                with self._files.replacing(_KEPT_SINCE) as target:
                    target.write(since.encode())
"""
_DROPPED = """\
                self._files.remove([_file(name) for name in old])
"""

MUTATIONS = (
    Mutation(
        "a file is not flushed",
        "lake/durable.py",
        ((_FLUSHED, ""),),
        _POWER_OF_TABLES,
        _FUSE_OF_TABLES,
    ),
    Mutation(
        "a folder is not flushed after a rename",
        "lake/durable.py",
        (
            (
                "    temporary.replace(path)\n    sync_folder(path.parent)\n",
                "    temporary.replace(path)\n",
            ),
        ),
        _POWER_OF_TABLES,
        _FUSE_OF_TABLES,
    ),
    Mutation(
        "a new folder is not flushed into the one above",
        "lake/durable.py",
        (
            (
                "    folder.mkdir(exist_ok=True)\n    sync_folder(folder.parent)\n",
                "    folder.mkdir(exist_ok=True)\n",
            ),
        ),
        _suite("power", "first-ingest"),
        _suite("fuse", "first-ingest"),
    ),
    Mutation(
        "a file is renamed before it is flushed",
        "lake/durable.py",
        (
            (_FLUSHED, "            temporary.replace(path)\n" + _FLUSHED),
            (_RENAMED, "        raise\n"),
        ),
        _POWER_OF_TABLES,
    ),
    Mutation(
        "a table is written in place",
        "lake/durable.py",
        (('temporary.open("xb")', 'path.open("wb")'), ("    temporary.replace(path)\n", "")),
        _suite("kills", "tables"),
    ),
    Mutation(
        "a table has several writers",
        "lake/locks.py",
        (("        with self._files[table]:\n", "        if table:\n"),),
        _suite("races"),
    ),
    Mutation(
        "what is being sent is sent by another as well",
        "notify/lifecycle.py",
        (('return row.status == "pending" or', 'return row.status in ("pending", "sending") or'),),
        _suite("races"),
    ),
    Mutation(
        "days go before it is listed that their month has them",
        "lake/months.py",
        ((_LISTED, _DAYS_GONE + _LISTED),),
        _suite("kills", "months"),
    ),
    Mutation(
        "samples go before it is said that they do",
        "lake/samples.py",
        ((_SAID + _DROPPED, _DROPPED + _SAID),),
        _suite("kills", "samples"),
    ),
    Mutation(
        "months of a table are listed by several at a time",
        "lake/tables.py",
        (('        with self.exclusive(f"{table}.months"):\n', "        if table:\n"),),
        _tests("lake/test_months.py", "hosts"),
    ),
    Mutation(
        "synchronous=NORMAL on the landing",
        "lake/database.py",
        (('synchronous=FULL")', 'synchronous=NORMAL")'),),
        _suite("power", "server"),
        _suite("fuse", "server"),
    ),
    Mutation(
        "synchronous=NORMAL on the ledger",
        "notify/ledger_rows.py",
        (("synchronous=FULL", "synchronous=NORMAL"),),
        _suite("power", "ledger"),
        _suite("fuse", "ledger"),
    ),
    Mutation(
        "the follow-ups' file is not flushed",
        "notify/followup_outbox.py",
        (("                os.fsync(file.fileno())\n", ""),),
        _suite("power", "follow-ups"),
        _suite("fuse", "follow-ups"),
    ),
    Mutation(
        "a commit that failed is left open",
        "lake/sqlite.py",
        (
            ('        yield\n        db.execute("COMMIT")\n', "        yield\n"),
            (
                '            db.execute("ROLLBACK")\n        raise\n',
                '            db.execute("ROLLBACK")\n        raise\n    db.execute("COMMIT")\n',
            ),
        ),
        _tests("lake/test_sqlite.py"),
    ),
    Mutation(
        "how far a file was read is noted before its lines",
        "lake/landing.py",
        (
            (
                _STORED,
                "        if position is not None:\n            with self._db.transaction():\n"
                "                self.files.note(position)\n" + _STORED,
            ),
        ),
        _suite("kills", "inbox"),
    ),
    Mutation(
        "the same again is no duplicate",
        "lake/deduplication.py",
        (("if _say_the_same(stored[place], stored[own]):", "if False:"),),
        _PART_OF_MODEL,
    ),
    Mutation(
        "a correction forgets the day that it left",
        "lake/deduplication.py",
        (("                days.add(earlier_day)\n", ""),),
        _PART_OF_MODEL,
    ),
    Mutation(
        "a day that lost all its missions keeps its table",
        "lake/tables.py",
        (("        parts = {day: parts.get(day, rows.slice(0, 0)) for day in days}\n", ""),),
        _suite("model"),
    ),
    Mutation(
        "a line that breaks a rule is dropped",
        "lake/landing.py",
        (("            if keep_rejected:\n", "            if False:\n"),),
        _PART_OF_MODEL,
    ),
    Mutation(
        "a time that a wrong clock planned is waited for",
        "notify/lifecycle.py",
        (("return not now < planned <= now + ahead", "return planned <= now"),),
        _suite("clocks", part=True),
    ),
    Mutation(
        "sent is entered before sending",
        "notify/deliver.py",
        (
            (
                "            try:\n                outcome = await",
                '            ledger.finish(row, Outcome("sent"), clock(), way.on_unknown)\n'
                "            try:\n                outcome = await",
            ),
            (
                "from grace_assets.notify.routes",
                "from grace_assets.notify.outcome import Outcome\nfrom grace_assets.notify.routes",
            ),
        ),
        _tests("notify/test_deliver.py", "killed"),
    ),
    Mutation(
        "sent is never entered",
        "notify/deliver.py",
        ((_FINISHED, "                raise\n"),),
        _tests("notify/test_slack.py", "sent_once"),
    ),
    Mutation(
        "a delivery is known by its content alone",
        "notify/ledger_rows.py",
        (
            (
                "(self.kind, self.date, self.channel, self.destination, str(self.revision))",
                "(self.content_hash,)",
            ),
        ),
        _tests("notify/test_ledger.py", "the_key_is"),
    ),
    Mutation(
        "a refused recipient counts as reached",
        "notify/email.py",
        (('return await _refused(client, "recipient refused", code)', 'return Outcome("sent")'),),
        _tests("notify/test_email.py", "one_refused_address"),
    ),
    Mutation(
        "a connection lost after the mail is a safe retry",
        "notify/email.py",
        (('Outcome("unknown", f"no clear answer', 'Outcome("pending", f"no clear answer'),),
        _tests("notify/test_email.py", "each_fault_ends"),
    ),
    Mutation(
        "a 5xx is repeated without a mark",
        "notify/slack.py",
        (('Outcome("unknown", f"ambiguous answer', 'Outcome("pending", f"ambiguous answer'),),
        _tests("notify/test_slack.py", "may_have_arrived"),
    ),
    Mutation(
        "Retry-After is ignored",
        "notify/slack.py",
        (
            (
                'requested_wait(response.headers.get("Retry-After"), datetime.now(UTC))',
                "None",
            ),
        ),
        _tests("notify/test_slack.py", "long_retry_after"),
    ),
    Mutation(
        "an attempt has no total deadline",
        "notify/slack.py",
        (("asyncio.timeout(self._attempt_seconds)", "asyncio.timeout(None)"),),
        _tests("notify/test_faults.py", "drips_for_too_long"),
    ),
    Mutation(
        "the text of a Slack message is not escaped",
        "render/slack.py",
        (('return escape(" ".join(parts))', 'return " ".join(parts)'),),
        _tests("render/test_render.py", "slack_escapes"),
    ),
    Mutation(
        "Dagster's event log is made where it is used",
        "event_log.py",
        (("        home.mkdir(", "        return super()._init_db()\n        home.mkdir("),),
        _tests("test_event_log.py", "killed"),
    ),
    Mutation(
        "keys that stand twice are taken",
        "api/strict_json.py",
        (("    if len(found) != len(pairs):\n", "    if False:\n"),),
        _tests("api/test_app.py", "later_reader or repeated_among"),
    ),
)
