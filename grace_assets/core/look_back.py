"""How many days beside its own a day's tables are made of; assets depend on as many."""

EXPERIENCE_DAYS = 28
"""Days before a mission whose untreated episodes count as experience."""
LOOK_DAYS = 8
"""Days after a mission within which the last look at its recovery falls."""
BASE_RATE_DAYS = 28
"""Days back from which a domain's usual number of missions is taken."""
TREND_DAYS = 30
"""Days that end with the brief's, which its charts show."""
HOLD_DAYS = 28
"""Days up to the brief's whose missions the hold rates are of."""
EVER = 36_500
"""All days before: what is still open, however long ago it was asked for."""
