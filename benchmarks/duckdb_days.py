"""The least that a backfill could be: one DuckDB script over the same files.

`python -m benchmarks.duckdb_days EVENTS SAMPLES_FOLDER OUT [--by-day]` makes the medians before
and after each mission by a range join, and the sums of each day, as day-partitioned Parquet. No
verdicts, references, narratives, briefs, and no durability.

With `--by-day` samples are joined by their day as well, which no window made by `benchmarks.made`
leaves: much faster, and wrong for missions near midnight.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

from benchmarks.made import SETTLE_SECONDS, WINDOW_SECONDS

SCRIPT = f"""
create table missions as
  select mission_id, domain_id, success, started_at, completed_at, detected_at,
    started_at::date as date
  from read_json('{{events}}', format = 'newline_delimited', columns = {{{{
    mission_id: 'VARCHAR', domain_id: 'VARCHAR', success: 'BOOLEAN', started_at: 'TIMESTAMP',
    completed_at: 'TIMESTAMP', detected_at: 'TIMESTAMP'}}}});
create view samples as
  select source, domain_id, metric, timestamp::timestamp as moment, value, date::date as date
  from read_parquet('{{samples}}/*/*.parquet', hive_partitioning = true);
copy (
  with windows as (
    select *, started_at - interval {WINDOW_SECONDS} second as since,
      completed_at + interval {SETTLE_SECONDS} second as settled,
      completed_at + interval {SETTLE_SECONDS + WINDOW_SECONDS} second as until
    from missions)
  select w.date, mission_id, source, metric,
    median(value) filter (moment < started_at) as pre,
    median(value) filter (moment >= settled) as post
  from windows w join samples s
    on s.domain_id = w.domain_id and moment >= since and moment < until {{same_day}}
  group by all)
to '{{out}}/telemetry' (format parquet, compression zstd, partition_by (date));
copy (
  select date, domain_id, count(*) as missions, count(*) filter (success) as successes,
    sum(epoch(completed_at - started_at)) as duration_seconds_sum,
    sum(epoch(completed_at - detected_at)) filter (success) as mttr_seconds_sum
  from missions group by all)
to '{{out}}/domain_daily' (format parquet, compression zstd, partition_by (date));
"""


def main(events: str, samples: str, out: str, *how: str) -> None:
    same_day = "and s.date = w.date" if "--by-day" in how else ""
    Path(out).mkdir()
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    connection.execute(SCRIPT.format(events=events, samples=samples, out=out, same_day=same_day))


if __name__ == "__main__":
    main(*sys.argv[1:])
