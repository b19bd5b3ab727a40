"""No secret is written or shown: the product is run as a user runs it, with secrets that can be
recognised, and then every byte that it left behind or printed is searched for them."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, quote_plus

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import grace_assets
from grace_assets.notify.ledger import Ledger
from tests import postgres
from tests.conftest import encode, event
from tests.notify.authority import make_authority
from tests.notify.smtp_server import PASSWORD as SMTP_PASSWORD
from tests.notify.smtp_server import USER, smtp_server
from tests.notify.strict_slack import Answer, Trouble, strict_slack
from tests.servers import unavailable

GRACE = str(Path(sys.executable).with_name("grace"))
DAGSTER = str(Path(sys.executable).with_name("dagster"))
TODAY = datetime.now(UTC).date()
YESTERDAY = (TODAY - timedelta(days=1)).isoformat()
THE_DAY_BEFORE = (TODAY - timedelta(days=2)).isoformat()
SECRETS = {
    "webhook": "5lackC4n4ry7f31Xw",
    "smtp": SMTP_PASSWORD,
    "api": 'ap1C4n4ry/"7f31xQ"',
    "follow_up": "f0llowC4n4ry7f31Tk",
    "ledger": "l3dgerC4n4ry/7f31&ü",
    "prometheus": "pr0mC4n4ry+7f31/user",
    "apprise": "apprC4n4ry7f31+zu",
    "health": "h3althC4n4ry7f31/+wq",
    "scoped": "sc0pedC4n4ry7f31=Rd",
    "bearer": "b3arerC4n4ry/7f31=+tok",
}
CATALOGUE = "latency_ms: {direction: lower, promql: 'l{d=~\"$domains\"}', promql_label: d}\n"


def forms(secret: str) -> set[bytes]:
    """What a secret looks like in a file: as it is, in URLs, in JSON, in base64; and its parts."""
    found = {secret.encode(), secret.encode("latin-1"), json.dumps(secret)[1:-1].encode()}
    found |= {quote(secret).encode(), quote(secret, safe="").encode(), quote_plus(secret).encode()}
    found |= {repr(secret)[1:-1].encode(), repr(secret.encode())[2:-1].encode()}
    found |= {part.encode() for part in re.split(r"\W+", secret) if len(part) > 5}
    for shift in range(3):
        # Whole groups of three only: those do not depend on what stands before and after.
        inner = secret.encode()[(3 - shift) % 3 :]
        whole = inner[: len(inner) // 3 * 3]
        found |= {base64.b64encode(whole), base64.urlsafe_b64encode(whole)}
    return found


def contents(path: Path) -> Iterator[bytes]:
    """A file's bytes, and its values where those are compressed or spread over pages."""
    content = path.read_bytes()
    yield content
    if content[:4] == b"PAR1":
        yield repr(pq.ParquetFile(path).read().to_pylist()).encode()
        yield repr(pq.read_metadata(path).metadata).encode()
    elif content[:2] == b"\x1f\x8b":
        yield gzip.decompress(content)
    elif content[:15] == b"SQLite format 3":
        with closing(sqlite3.connect(path)) as db:
            names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE sql > ''")]
            tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
            for (name,) in db.execute(tables).fetchall():
                for row in db.execute(f'SELECT * FROM "{name}"'):
                    yield b"\n".join(v if isinstance(v, bytes) else str(v).encode() for v in row)
        yield "\n".join(names).encode()


def leaks(places: list[Path], shown: Mapping[str, bytes]) -> list[str]:
    """Where which secret stands; empty where nowhere."""
    wanted = [(name, form) for name, secret in SECRETS.items() for form in forms(secret)]
    files = [path for place in places for path in sorted(place.rglob("*")) if path.is_file()]
    texts = [(str(path), part) for path in files for part in contents(path)]
    texts += [(str(path), str(path).encode()) for path in files]
    found = [
        f"{where}: {name}"
        for where, text in [*texts, *shown.items()]
        for name, form in wanted
        if form in text
    ]
    return list(dict.fromkeys(found))


@dataclass
class Echo:
    """A server that refuses everybody and quotes all that they said."""

    url: str
    requests: list[str] = field(default_factory=list)


@contextmanager
def echo(status: int) -> Iterator[Echo]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            said = f"{self.path}\n{self.headers}{self.rfile.read(length)!r}"
            state.requests.append(said)
            self.send_response(status, self.path)
            self.send_header("X-Path", self.path)
            self.send_header("X-Authorization", self.headers.get("Authorization", ""))
            self.end_headers()
            self.wfile.write(said.encode())

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Echo(f"127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class User:
    """Somebody with a terminal, an environment and secrets in it."""

    folder: Path
    env: dict[str, str]
    shown: dict[str, bytes] = field(default_factory=dict)

    def __call__(self, *args: str, exit_code: int = 0, program: str = GRACE, **over: str) -> bytes:
        done = subprocess.run(
            [program, *args],
            env=self.env | over,
            cwd=self.folder,
            capture_output=True,
            timeout=60,
            check=False,
        )
        self.shown[f"{len(self.shown)}: {Path(program).name} {' '.join(args)}"] = (
            done.stdout + done.stderr
        )
        assert done.returncode == exit_code, done.stderr.decode()[-2000:]
        return done.stdout

    def serves(self) -> None:
        """`grace serve`, asked with the right token, a wrong one, and for nonsense."""
        log = self.folder / "serve.log"
        with log.open("wb") as out:
            command = [GRACE, "serve", "--port", "0"]
            server = subprocess.Popen(
                command, env=self.env, cwd=self.folder, stdout=out, stderr=out
            )
        try:
            url = _address(log)
            token = {"Authorization": f"Bearer {SECRETS['api']}"}
            kind = {"Content-Type": "application/json"}
            with httpx.Client(base_url=url, headers=kind, trust_env=False, timeout=60) as client:
                path = "/api/missions/events"
                assert client.post(path, content=mission("api"), headers=token).status_code == 202
                for headers, body in (({}, b"{}"), (token, b"{"), (token, b'{"a":NaN}')):
                    answer = client.post(path, content=body, headers=headers)
                    assert 400 <= answer.status_code < 500
                    self.hears(answer)
                reader = {"Authorization": f"Bearer {SECRETS['scoped']}"}
                for path in ("/", "/missions", "/openapi.json", "/api/missions", "/api/none"):
                    for headers in ({}, reader, token):
                        self.hears(client.get(path, headers=headers))
                assert client.get("/", headers=reader).status_code == 200
                self.hears(client.post("/api/status-brief/generate", headers=reader))
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(10)
        self.shown["grace serve"] = log.read_bytes()

    def hears(self, answer: httpx.Response) -> None:
        head = f"{answer.status_code} {answer.headers}"
        name = f"{len(self.shown)}: {answer.request.method} {answer.url.path}"
        self.shown[name] = head.encode() + answer.content


def _address(log: Path) -> str:
    for _ in range(400):
        found = re.search(rb"running on (http://[\d.:]+)", log.read_bytes())
        if found:
            return found[1].decode()
        threading.Event().wait(0.05)
    raise RuntimeError("grace serve did not start")


def mission(mission_id: str, day: str = YESTERDAY, hour: int = 8, **fields: object) -> bytes:
    times = {"started_at": f"{day}T{hour:02}:00:00Z", "completed_at": f"{day}T{hour:02}:20:00Z"}
    trigger = {"metric": "latency_ms", "observed": 520, "threshold": 500}
    return encode(event(mission_id, **times, severity="high", trigger=trigger, **fields))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the user stands; data and Dagster's home are below it."""
    home = tmp_path / "user" / "dagster"
    home.mkdir(parents=True)
    shipped = Path(grace_assets.__file__).with_name("dagster_home.yaml")
    shutil.copyfile(shipped, home / "dagster.yaml")
    return tmp_path / "user"


@pytest.fixture
def base_env(folder: Path) -> dict[str, str]:
    (folder / "kpis.yaml").write_text(CATALOGUE, encoding="utf-8")
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {
        "DAGSTER_HOME": str(folder / "dagster"),
        "GRACE_DATA_DIR": str(folder / "data"),
        "GRACE_KPI_CATALOG": str(folder / "kpis.yaml"),
        "GRACE_API_TOKEN": SECRETS["api"],
    }


def test_no_secret_is_in_any_file_or_output_of_a_day_with_failures(
    tmp_path: Path, folder: Path, base_env: dict[str, str]
):
    programs = postgres.programs()
    if programs is None:
        unavailable("postgresql")
    keys = tmp_path / "keys"
    keys.mkdir()
    authority = make_authority(keys)
    with ExitStack() as stack:
        ledger = stack.enter_context(postgres.server(programs))
        slack = stack.enter_context(strict_slack(f"/services/T0/B0/{SECRETS['webhook']}"))
        mail = stack.enter_context(smtp_server(authority.context))
        follow_ups, source, chat, health = (
            stack.enter_context(echo(code)) for code in (500, 401, 500, 401)
        )
        by_password = f"http://grace:{quote(SECRETS['prometheus'], safe='')}@{source.url}"
        secret, hidden = SECRETS["follow_up"], quote(SECRETS["health"], safe="")
        env = base_env | {
            "SSL_CERT_FILE": str(authority.ca),
            "SLACK_WEBHOOK_URL": slack.url,
            "SMTP_HOST": "localhost",
            "SMTP_PORT": str(mail.port),
            "SMTP_USER": USER,
            "SMTP_PASSWORD": SMTP_PASSWORD,
            "SMTP_FROM_EMAIL": "grace@ops.example",
            "STATUS_BRIEF_RECIPIENTS": "ann@example.org",
            "FOLLOW_UP_WEBHOOK_URL": f"http://{follow_ups.url}/hooks/{secret}?token={secret}",
            "PROMETHEUS_URL": by_password,
            "DOMAIN_HEALTH_URL": f"http://grace:{hidden}@{health.url}/{hidden}?key={hidden}",
            "GRACE_API_TOKENS": f"read:{SECRETS['scoped']}",
            "APPRISE_URLS": f"json://ann:{quote(SECRETS['apprise'])}@{chat.url}/x",
            "GRACE_LEDGER_URL": ledger.replace("@", f":{quote(SECRETS['ledger'], safe='')}@"),
        }
        grace = User(folder, env)

        grace.serves()
        days = ((THE_DAY_BEFORE, "a"), (YESTERDAY, "b"))
        missions = [
            mission(f"{name}-{hour}", day, hour, success=hour != 12, error="disk full")
            for day, name in days
            for hour in (8, 12, 16)
        ]
        events = folder / "events.jsonl"
        events.write_bytes(b"".join(missions) + b"{broken\n")
        grace("ingest", str(events), exit_code=3)
        # Lost on the way, and refused in words that quote the secret.
        slack.script = [Trouble("reset", taken=True)]
        mail.faults = {"MAIL": f"550 not with {SMTP_PASSWORD.split()[0]}"}
        token = {
            "PROMETHEUS_URL": f"http://{source.url}",
            "PROMETHEUS_BEARER_TOKEN": SECRETS["bearer"],
        }
        grace("backfill", "--from", THE_DAY_BEFORE, "--to", THE_DAY_BEFORE, "--deliver", **token)
        grace("backfill", "--from", YESTERDAY, "--to", YESTERDAY)
        slack.script, mail.faults = [Answer(403, f"no: {slack.url}")], {}
        grace("deliver")
        grace("deliver", "--retry-rejected")
        assert len(slack.messages) == 2
        assert len(mail.taken) == 1
        rows = json.loads(grace("deliveries", "--json"))
        told = sorted((row["channel"], row["status"]) for row in rows)
        assert told == [
            *(("apprise", "unknown"), ("apprise", "unknown")),
            *(("email", "rejected"), ("email", "sent"), ("slack", "sent"), ("slack", "unknown")),
        ]
        grace("brief")
        grace("preview")
        grace("ask", "What did not work yesterday?")
        grace.shown["mail"] = b"".join(content for _, content in mail.taken)
        grace.shown["slack"] = json.dumps(slack.messages).encode()
        module = ("-m", "grace_assets.definitions")
        for sensor in ("domain_health_sensor", "due_deliveries_sensor"):
            grace("sensor", "preview", sensor, *module, program=DAGSTER)
        assert f"key={hidden}" in "".join(health.requests)
        login = base64.b64encode(f"grace:{SECRETS['prometheus']}".encode()).decode()
        basic = base64.b64encode(f"ann:{SECRETS['apprise']}".encode()).decode()
        assert f"Basic {basic}" in "".join(chat.requests)
        asked = "".join(source.requests)
        assert f"Bearer {SECRETS['bearer']}" in asked
        assert f"Basic {login}" in asked
        assert secret in "".join(follow_ups.requests)
    # PostgreSQL has ended: the next finds nobody.
    grace("deliver", exit_code=1)
    grace("deliveries", "--json", exit_code=1)
    told = list(grace.shown.values())[-1].decode()
    assert told.startswith("Error: the delivery ledger cannot be opened: connection failed")
    assert "Traceback" not in told

    assert len(list(folder.rglob("*"))) > 50
    assert leaks([folder], grace.shown) == []


def test_the_search_finds_a_secret_in_every_form_and_kind_of_file(tmp_path: Path):
    for name, secret in SECRETS.items():
        plain = f"see {secret} there"
        told = {
            "plain": plain.encode(),
            "url": quote(plain, safe="").encode(),
            "json": json.dumps(plain).encode(),
            "shown": repr(plain.encode()).encode(),
            **{f"base64 {n}": base64.b64encode(b"." * n + plain.encode()) for n in range(3)},
        }
        for form, content in told.items():
            assert leaks([], {form: content}) == [f"{form}: {name}"]
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as db:
        db.execute("CREATE TABLE t (a)")
        # Longer than a page: the file has other bytes in its middle.
        filling = "x" * (4096 - 60)
        db.execute("INSERT INTO t VALUES (?)", (filling + SECRETS["api"] + filling,))
        db.commit()
    (tmp_path / "b.gz").write_bytes(gzip.compress(SECRETS["api"].encode() * 50))
    table = {"a": [SECRETS["api"] * 50]}
    pq.write_table(pa.table(table), tmp_path / "c.parquet", compression="zstd")
    assert leaks([tmp_path], {}) == [
        f"{tmp_path}/{f}: api" for f in ("a.sqlite", "b.gz", "c.parquet")
    ]


def test_a_folder_of_the_data_may_have_any_name(tmp_path: Path):
    Ledger(tmp_path / "me@work:8 50% ü?x=1#y" / "delivery.sqlite")
    assert [path.name for path in tmp_path.rglob("*.sqlite")] == ["delivery.sqlite"]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://grace:{}@rest@127.0.0.1:1/db",
        "postgresql+psycopg://grace:rest@{}@127.0.0.1:1/db",
        "postgresql+psycopg://grace:re@st:{}@127.0.0.1:1/db",
        "postgresql+psycopg://grace:re@st/{}@127.0.0.1:1/db",
        "postgresql+psycopg://grace:{}@127.0.0.1:port/db",
        "postgresql+psycopg://grace:{}@127.0.0.1:1/db?sslmode=odd",
        "postgresql+psycopg://grace:{}@127.0.0.1:1/db",
        "postgresql+psycopg://127.0.0.1:1/db?user=grace&password={}",
        "{}://grace:secret@127.0.0.1/db",
        "{}",
    ],
)
def test_a_ledger_that_cannot_be_opened_is_not_told_with_its_password(url: str):
    canary = "l3dgerC4n4ry7f31"
    with pytest.raises(Exception) as error:
        Ledger(url.format(canary))
    told = "".join(traceback.format_exception(error.value))
    assert canary not in told
    assert "rest@" not in told
