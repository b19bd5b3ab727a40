"""The audit trail says what the tables say, and starts no program where it is opened."""

import csv
import io

import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from grace_assets.core.schemas import TABLES
from grace_assets.lake.export import write_trail
from tests.rows import outcome

TEXTS = ("mission_id", "domain_id", "mission_type", "narrative")
STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# A lone surrogate is no text, and no event may hold one.
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@settings(max_examples=60)
@given(st.sampled_from(STARTS_A_FORMULA) | WORDS, WORDS)
@example("=", 'cmd|"/c calc"!A1\n"')
def test_no_cell_is_a_formula_and_every_other_text_is_itself(start, words):
    text = start + words
    row = outcome("m", **dict.fromkeys(TEXTS[1:], text)) | {"mission_id": text}
    schema = TABLES["mission_outcomes"].with_date()
    table = pa.Table.from_pylist([{name: row.get(name) for name in schema.names}], schema)
    file = io.BytesIO()
    write_trail([table], "csv", file)
    (read,) = csv.DictReader(io.StringIO(file.getvalue().decode(), newline=""))
    for name in TEXTS:
        assert not read[name].startswith(STARTS_A_FORMULA)
        assert read[name] == (f"'{text}" if text.startswith(STARTS_A_FORMULA) else text)
