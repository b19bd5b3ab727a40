"""Names of other systems as domains: one rule for every source that has to make one up."""

from __future__ import annotations

import re
import unicodedata

from grace_assets.core.events import DOMAIN_MAX_LENGTH

_NOT_ALLOWED = re.compile(r"[/\\\x00-\x1f\x7f-\x9f]")


def as_domain(name: str, otherwise: str = "unknown") -> str:
    """`name` with a dash for what a domain must not hold; `otherwise` where nothing is left."""
    clean = _NOT_ALLOWED.sub("-", unicodedata.normalize("NFC", name))[:DOMAIN_MAX_LENGTH].strip()
    return otherwise if clean in ("", ".", "..") else clean
