"""Which words of a query are searched for."""

from __future__ import annotations

import unicodedata

MAX_WORDS = 32
"""Of a longer query only the first words count: each one costs a look-up in the index."""
_STOP_TEXT = """
    a about all am an and any are as at be been but by can could did do does done for from get
    got grace had has have how i if in into is it its last many me month months more most much
    my of on or our please recent recently show since so some tell than that the their them then
    there these they this those to today up us was we week weeks were what when where which who
    why will with would yesterday you your day days fix fixed fixes repair repaired repairs
"""
_STOP_WORDS = frozenset(_STOP_TEXT.split())
"""Words that say how one asks, when, or what every document is about; none tells two apart."""


def search_words(query: str) -> list[str]:
    """The words of `query` worth searching for, in order, without stop words or repetition.

    Only letters, marks and digits survive, so no word can be an operator or end a quotation.
    """
    letters = (c if unicodedata.category(c)[0] in "LMN" else " " for c in query.casefold())
    words = unicodedata.normalize("NFC", "".join(letters)).split()
    return [word for word in dict.fromkeys(words) if word not in _STOP_WORDS][:MAX_WORDS]
