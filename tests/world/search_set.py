"""Questions in ordinary words and the missions that answer them, for measuring search.

The missions (`search_missions.csv`) are invented; their narratives come from the product's own
code. Questions were written from the incidents, before any engine was asked; every second one is
held out, so that whatever is tuned is tuned on the others.
"""

from __future__ import annotations

import csv
from pathlib import Path

from grace_assets.core.narrative import tell
from grace_assets.core.told import Told
from grace_assets.world.store import Document

_MISSIONS = Path(__file__).with_name("search_missions.csv")

PAIRS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("customers were charged two times", ("m04",)),
    ("slow responses when paying by card", ("m01",)),
    ("certificate problem with the bank", ("m03",)),
    ("the hard disk ran out of room", ("m22",)),
    ("too few database connections", ("m09",)),
    ("replica minutes behind the primary", ("m62",)),
    ("product photos did not show up", ("m39",)),
    ("people could not sign in", ("m33", "m35", "m32", "m34")),
    ("stolen credentials attack", ("m32",)),
    ("out of memory kills", ("m16", "m54")),
    ("voucher codes crashed", ("m08",)),
    ("users logged out while shopping", ("m12",)),
    ("newsletter sending blocked", ("m29",)),
    ("our messages ended up in the spam folder", ("m30",)),
    ("smartphone application keeps crashing", ("m36",)),
    ("no notifications on phones", ("m37",)),
    ("overnight report was not ready", ("m45",)),
    ("figures too high because of duplicates", ("m46",)),
    ("a renamed column broke the pipeline", ("m48",)),
    ("faulty network switch", ("m56",)),
    ("remote workers could not connect", ("m57",)),
    ("backups missing", ("m59",)),
    ("data exposed to the public", ("m61",)),
    ("query stopped using its index", ("m64", "m24")),
    ("transaction left open", ("m63", "m11")),
    ("prices in the wrong currency", ("m68",)),
    ("old exchange rates", ("m69",)),
    ("everyone sees identical suggestions", ("m70",)),
    ("cache was cold", ("m71", "m17")),
    ("machine learning inference too slow", ("m51", "m72")),
    ("lost spot instances", ("m49",)),
    ("container registry rate limit", ("m53",)),
    ("secret was deleted", ("m55",)),
    ("website takes long to load", ("m40",)),
    ("advertising script errors", ("m41",)),
    ("infinite redirects", ("m42",)),
    ("crawlers hammering the shop", ("m43",)),
    ("domain name pointed to the wrong server", ("m44",)),
    ("parcel tracking not updated", ("m27",)),
    ("postal addresses with special characters", ("m26",)),
    ("kafka is lagging", ("m21",)),
    ("stock levels not arriving from the warehouse", ("m19",)),
    ("sold items we did not have", ("m20",)),
    ("searches that found nothing", ("m14",)),
    ("fresh articles missing from search", ("m13",)),
    ("uneven load between backends", ("m58", "m15")),
    ("serch index out of date", ("m13",)),
    ("password reset link came late", ("m31",)),
    ("helpdesk chat unreachable", ("m66",)),
    ("refunds waiting", ("m05",)),
)  # fmt: skip


def documents() -> list[Document]:
    """The missions as the world model remembers them."""
    with _MISSIONS.open(encoding="utf-8", newline="") as file:
        return [_document(**row) for row in csv.DictReader(file)]


def _document(
    mission_id: str,
    domain_id: str,
    title: str,
    metric: str,
    before: str,
    after: str,
    noticed: str,
    action: str,
) -> Document:
    pre, post = float(before), float(after)
    better = 100 * abs(pre - post) / pre
    row = {
        "source": "rag_kpis",
        "metric": metric,
        "unit": None,
        "direction": "lower" if post < pre else "higher",
        "pre": pre,
        "post": post,
        "healthy": post,
        "problem_level": None,
        "percent_change": better,
        "improvement_percent": better,
        "improved": True,
        "verdict": "effective",
    }
    mission = {
        "mission_id": mission_id,
        "domain_id": domain_id,
        "title": title,
        "success": True,
        "error": None,
        "actions": [action],
        "verdict": "effective",
        "attribution": "coincident",
        "trigger_metric": metric,
        "trigger_observed": pre,
        "trigger_threshold": None,
        "trigger_description": noticed,
    }
    text = tell(mission, Told([row], unit=row["unit"], direction=row["direction"]))
    return Document(mission_id, "mission", "2026-03-01", domain_id, title, text, "effective")
