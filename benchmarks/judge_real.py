"""The judge on data that nobody here made: its verdicts, and its error rate where nobody acted.

`make judge-real DATA="folder …"`: each folder holds `missions.jsonl` and `kpi_samples.csv` in the
formats of the README. Prints the verdicts on the missions by metric row, and the placebo rate:
how many hours without a mission, of all that could be judged, would have been called a success.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.judge_exam import VERDICTS, percent
from grace_assets.core.catalogue import Catalogue, parse_catalogue
from grace_assets.core.events import Accepted, EventError, day_of, parse, to_table
from grace_assets.core.judge import judge
from grace_assets.core.placebo import placebo_daily, placebo_missions
from grace_assets.lake.sample_files import read_file

RULES = Path(__file__).with_name("real_kpis.yaml")
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def read_missions(path: Path) -> pa.Table:
    rows = []
    for number, raw in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            day = day_of(parse(raw, NOW).completed_at, UTC)
        except EventError as error:
            print(f"{path}:{number}: {error}", file=sys.stderr)
            continue
        rows.append(Accepted(day, raw, NOW, 1, f"{path.name}:{number}"))
    return to_table(rows)


def read_samples(path: Path) -> pa.Table:
    """Samples sorted by identity; of those told twice the last one counts."""
    rows = pa.concat_tables(batch.rows for batch in read_file(path))
    names = ["source", "domain_id", "metric", "timestamp"]
    last = rows.group_by(names, use_threads=False).aggregate([("value", "last")])
    return last.rename_columns([*names, "value"]).sort_by([(n, "ascending") for n in names])


def days_of(samples: pa.Table) -> list[tuple[str, datetime, datetime]]:
    first, last = pc.min(samples["timestamp"]).as_py(), pc.max(samples["timestamp"]).as_py()
    day = datetime(first.year, first.month, first.day, tzinfo=UTC)
    found = []
    while day < last:
        found.append((day.date().isoformat(), day, day + timedelta(days=1)))
        day += timedelta(days=1)
    return found


def placebos_of(samples: pa.Table, missions: pa.Table, catalogue: Catalogue) -> Counter:
    """Sums of `placebo_daily` over the whole set, a month at a time."""
    total: Counter = Counter()
    for domain in pc.unique(samples["domain_id"]).to_pylist():
        of_domain = samples.filter(pc.equal(samples["domain_id"], domain))
        placebos = placebo_missions(days_of(of_domain), [domain], missions, catalogue)
        rows = placebo_daily(placebos, of_domain, catalogue, NOW, missions)
        for name in ("placebos", "false_successes", "false_harms", "episodes", "healed"):
            total[name] += pc.sum(rows[name]).as_py() or 0
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    options = parser.parse_args()
    catalogue = parse_catalogue(RULES.read_text(encoding="utf-8"), str(RULES))
    print(f"{'set':16}{'missions':>9}{'rows':>6} " + "".join(f"{w:>9}" for w in VERDICTS.values()))
    notes = []
    for folder in options.folders:
        missions = read_missions(folder / "missions.jsonl")
        samples = read_samples(folder / "kpi_samples.csv")
        rows = judge(missions, samples, catalogue, NOW)
        verdicts = Counter(rows["verdict"].to_pylist())
        cells = "".join(f"{verdicts[v] or '·':>9}" for v in VERDICTS)
        print(f"{folder.name:16}{missions.num_rows:>9}{rows.num_rows:>6} {cells}")
        n = placebos_of(samples, missions, catalogue)
        rate = percent(n["false_successes"] / n["placebos"]) if n["placebos"] else "–"
        notes.append(
            f"{folder.name}: {n['false_successes']:,} of {n['placebos']:,} placebos called a "
            f"success ({rate} %), {n['false_harms']:,} worse; {n['episodes']:,} problems began "
            f"untreated, {n['healed']:,} passed by themselves within the window"
        )
    print("\n".join(["", *notes]))


if __name__ == "__main__":
    main()
