"""The columns of every table: the one place that names them.

The writer enforces these schemas, the Dagster catalog shows them, and a test holds the docs
against them. In memory a table carries `date` (the partition, `YYYY-MM-DD`) in front; on disk
the partition is the folder and the column is not repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

DATE = "date"
"""The partition column that in-memory tables carry: a string, `YYYY-MM-DD`."""


@dataclass(frozen=True)
class Column:
    """One column: `type` is a key of `ARROW_TYPES`; a required column holds no null."""

    name: str
    type: str
    description: str
    required: bool = False
    unique: bool = False


@dataclass(frozen=True)
class TableSchema:
    name: str
    description: str
    columns: tuple[Column, ...]

    def arrow(self) -> pa.Schema:
        """The schema of the files (without `date`)."""
        import pyarrow as pa

        types = arrow_types()
        return pa.schema(
            [pa.field(c.name, types[c.type], nullable=not c.required) for c in self.columns]
        )

    def with_date(self) -> pa.Schema:
        """The schema of a table in memory: `date` first, then the columns of the files."""
        import pyarrow as pa

        return pa.schema([pa.field(DATE, pa.string(), nullable=False), *self.arrow()])

    @property
    def unique_columns(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns if c.unique)


@cache
def arrow_types() -> dict[str, pa.DataType]:
    """Our type names to Arrow's."""
    import pyarrow as pa

    return {
        "string": pa.string(),
        "bool": pa.bool_(),
        "int": pa.int64(),
        "float": pa.float64(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us", tz="UTC"),
        "list<string>": pa.list_(pa.string()),
        "list<float>": pa.list_(pa.float64()),
        "map<string,float>": pa.map_(pa.string(), pa.float64()),
        "trigger": pa.struct(
            [
                ("metric", pa.string()),
                ("observed", pa.float64()),
                ("threshold", pa.float64()),
                ("description", pa.string()),
            ]
        ),
    }


def _required(name: str, type_: str, description: str, *, unique: bool = False) -> Column:
    return Column(name, type_, description, required=True, unique=unique)


EVENT_COLUMNS = (
    _required("mission_id", "string", "Identity of the mission.", unique=True),
    _required("domain_id", "string", "What was repaired."),
    _required("started_at", "timestamp", "Start of the repair."),
    _required("completed_at", "timestamp", "End of the repair; its local date is the partition."),
    _required("success", "bool", "The agent's own exit status; never the verdict."),
    Column("onset_at", "timestamp", "When the problem began, where known."),
    _required("detected_at", "timestamp", "When it was noticed; the start where not said."),
    Column("title", "string", "A short name."),
    Column("error", "string", "What went wrong with the mission itself."),
    _required("mission_type", "string", "Kind of repair, `unspecified` where not said."),
    _required("severity", "string", "low, medium, high, critical or unknown."),
    Column("trigger", "trigger", "What made Grace act: metric, observed, threshold, description."),
    _required("actions", "list<string>", "What Grace did, past tense."),
    _required("metrics", "map<string,float>", "Readings the agent took before it acted."),
    Column("follow_up_id", "string", "The follow-up that this mission carries out."),
    _required("received_at", "timestamp", "When the accepted revision arrived."),
    _required("revision", "int", "1 for the first content received, 2 after one correction, …"),
    _required("record_id", "string", "Stable hash of `mission_id`.", unique=True),
    _required("origin", "string", "File and line, or `http`."),
)

_SCHEMAS = (
    TableSchema(
        "mission_events", "Accepted, deduplicated mission events: one row a mission.", EVENT_COLUMNS
    ),
    TableSchema(
        "rejected_events",
        "Lines that broke a rule, by the day they were received; nothing is thrown away.",
        (
            _required("received_at", "timestamp", "When the line arrived."),
            _required("origin", "string", "The file, or `http`."),
            _required("line", "int", "Line number in the file, or index in the request, from 1."),
            Column("field", "string", "The field that broke a rule; null for the whole line."),
            _required("reason", "string", "The rule, in words."),
            _required("raw", "string", "The line as it came (undecodable bytes escaped)."),
        ),
    ),
    TableSchema(
        "mission_telemetry",
        "One row per mission × source × metric: readings before and after, and the verdict.",
        (
            _required("mission_id", "string", "The mission."),
            _required("domain_id", "string", "Its domain."),
            _required("source", "string", "Where the samples came from."),
            _required("metric", "string", "The metric."),
            Column("unit", "string", "Unit from the catalogue."),
            Column("direction", "string", "lower, higher or band: what is better."),
            Column("pre", "float", "Median of the window before the mission started."),
            Column("post", "float", "Median of the window after it completed and settled."),
            Column("healthy", "float", "The healthy level the verdict compares with."),
            Column("healthy_kind", "string", "reference, target or threshold."),
            Column("problem_level", "float", "Level while the problem lasted; null without one."),
            Column("delta", "float", "post − pre."),
            Column("percent_change", "float", "100 · delta / |pre|; null where pre = 0."),
            Column("improvement_percent", "float", "Percent change, positive is better."),
            Column("improved", "bool", "Whether post is better than pre."),
            Column("restoration", "float", "1 healthy again, 0 unchanged, below 0 worse."),
            Column("restoration_low", "float", "Lower end of its interval."),
            Column("restoration_high", "float", "Upper end of its interval."),
            _required("n_pre", "int", "Samples before."),
            _required("n_post", "int", "Samples after."),
            _required("n_reference", "int", "Reference windows used."),
            _required("verdict", "string", "Verdict on this metric."),
            _required("reason_codes", "list<string>", "Why, in codes."),
            Column("method_version", "string", "The judge that gave it."),
        ),
    ),
    TableSchema(
        "mission_outcomes",
        "One row a mission: the event, what the metrics show, and the narrative.",
        (
            *EVENT_COLUMNS[:-4],
            _required("duration_seconds", "float", "completed − started."),
            Column("time_to_restore_seconds", "float", "completed − detected; only where success."),
            Column("effectiveness_score", "float", "0..1, weighted restoration; null if unknown."),
            Column("effectiveness_low", "float", "Lower end of its interval."),
            Column("effectiveness_high", "float", "Upper end of its interval."),
            _required("verdict", "string", "Did it get better?"),
            _required("attribution", "string", "May the mission be credited?"),
            _required("reason_codes", "list<string>", "Why, in codes."),
            _required("metrics_delta", "map<string,float>", "Metric → percent change as measured."),
            _required("data_sources", "list<string>", "Sources with samples for this mission."),
            _required("narrative", "string", "What Grace did, in her words; figures from rows."),
            _required("knowledge_id", "string", "Key in the world model.", unique=True),
            _required("judged_at", "timestamp", "When the verdict was given."),
            _required("method_version", "string", "The judge that gave it."),
            _required("record_id", "string", "Stable hash of `mission_id`.", unique=True),
        ),
    ),
    TableSchema(
        "mission_verdicts",
        "Append-only history: a row each time a verdict was given or changed.",
        (
            _required("mission_id", "string", "The mission."),
            _required("stage", "string", "first, hold_24h, hold_7d or restated."),
            _required("judged_at", "timestamp", "When."),
            _required("method_version", "string", "By which judge."),
            _required("verdict", "string", "The verdict."),
            Column("effectiveness_score", "float", "The score with it."),
            Column("held", "bool", "Whether an earlier recovery lasted; null if not assessed."),
            _required("reason_codes", "list<string>", "Why it did not hold, in codes."),
        ),
    ),
    TableSchema(
        "hold_daily",
        "Per domain, mission type and day of the missions: whose recovery lasted.",
        (
            _required("domain_id", "string", "The domain."),
            _required("mission_type", "string", "Kind of repair."),
            _required("held_24h", "int", "Recoveries that lasted a day."),
            _required("relapsed_24h", "int", "Recoveries that were gone after a day."),
            _required("held_7d", "int", "Recoveries that lasted a week."),
            _required("relapsed_7d", "int", "Recoveries that were gone after a week."),
        ),
    ),
    TableSchema(
        "mission_controls",
        "Recoveries beside domains that had the same problem and were left alone.",
        (
            _required("mission_id", "string", "The mission."),
            _required("domain_id", "string", "Its domain."),
            _required("source", "string", "Where the samples came from."),
            _required("metric", "string", "The metric that recovered."),
            _required("restoration", "float", "Share of the gap to healthy that closed."),
            _required("controls", "int", "Other domains with the same problem, left alone."),
            _required("controls_recovered", "int", "Of these effective or partial."),
            _required("control_restoration", "float", "Their median share of the gap closed."),
            _required("difference", "float", "Difference in differences: the mission's − theirs."),
            _required("placebo_p", "float", "Chance that one left alone does as well."),
        ),
    ),
    TableSchema(
        "placebo_daily",
        "The judge on times when nobody acted, per domain, source and metric: its own error rate.",
        (
            _required("domain_id", "string", "The domain."),
            _required("source", "string", "Where the samples came from."),
            _required("metric", "string", "The metric."),
            _required("placebos", "int", "Times judged at which no mission ran."),
            _required("false_successes", "int", "Of these called effective or partial."),
            _required("false_harms", "int", "Of these called worse."),
            _required("episodes", "int", "Problems that began while nobody acted."),
            _required("healed", "int", "Of these healthy again without a mission."),
        ),
    ),
    TableSchema(
        "domain_daily",
        "Per domain and day: counts and sums that add up over any range.",
        (
            _required("domain_id", "string", "The domain.", unique=True),
            _required("missions", "int", "Missions completed."),
            _required("successes", "int", "Where the agent reported success."),
            _required("failures", "int", "Where it reported failure."),
            _required("assessed", "int", "Missions with an effectiveness score."),
            _required("effective", "int", "Missions judged effective."),
            _required("duration_seconds_sum", "float", "Sum of durations."),
            _required("mttr_seconds_sum", "float", "Sum of times to restore."),
            _required("mttr_count", "int", "Missions with a time to restore."),
            _required("effectiveness_sum", "float", "Sum of scores."),
            _required("effectiveness_count", "int", "Missions with a score."),
            _required("follow_up_missions", "int", "Missions that carried out a follow-up."),
            _required("mttr_seconds_values", "list<float>", "Times to restore, ascending."),
            _required("verdicts", "map<string,float>", "Missions per verdict."),
        ),
    ),
    TableSchema(
        "kpi_daily",
        "Per domain, metric and day: counts and sums of measured changes.",
        (
            _required("domain_id", "string", "The domain."),
            _required("metric", "string", "The metric."),
            _required("missions", "int", "Missions with a row for it."),
            _required("percent_change_sum", "float", "Sum of percent changes."),
            _required("percent_change_count", "int", "Missions with a percent change."),
            _required("improvement_percent_sum", "float", "Sum of improvements."),
            _required("improvement_percent_count", "int", "Missions with an improvement."),
            _required("improved", "int", "Missions after which it was better."),
            _required("worsened", "int", "Missions after which it was worse."),
        ),
    ),
    TableSchema(
        "status_briefs",
        "One brief a day: what Grace fixed, what did not work, what follows.",
        (
            _required("brief_id", "string", "Identity.", unique=True),
            _required("period_start", "timestamp", "Start of the local day."),
            _required("period_end", "timestamp", "End of the local day."),
            _required("headline", "string", "The day in a sentence."),
            _required("missions", "int", "Missions of the day."),
            _required("domains", "int", "Domains with missions."),
            _required("content", "string", "The view model, as JSON."),
            _required("markdown", "string", "The brief as markdown."),
            _required("content_hash", "string", "Hash of `content`."),
            _required("revision", "int", "1, then one more each time a sent brief changed."),
        ),
    ),
    TableSchema(
        "problems",
        "What keeps breaking or got worse, with the evidence.",
        (
            _required("problem_id", "string", "Identity.", unique=True),
            _required("domain_id", "string", "The domain."),
            _required("type", "string", "Which rule found it."),
            _required("severity", "string", "medium or high."),
            _required("description", "string", "In a sentence, with its figures."),
            _required("evidence", "list<string>", "Mission ids and figures."),
        ),
    ),
    TableSchema(
        "follow_up_missions",
        "Missions that Grace asked for, by the day they were opened; one row each.",
        (
            _required("follow_up_id", "string", "Identity.", unique=True),
            _required("domain_id", "string", "The domain."),
            _required("title", "string", "What to do."),
            _required("type", "string", "Mission type."),
            _required("reason", "string", "Why."),
            _required("priority", "string", "medium or high."),
            _required("status", "string", "open or closed."),
            _required("opened_on", "date", "Local date of the first evidence."),
            Column("closed_by_mission_id", "string", "The mission that carried it out."),
            Column("verdict", "string", "That mission's verdict."),
            _required("evidence", "list<string>", "Mission ids and figures, all days."),
        ),
    ),
    TableSchema(
        "deliveries",
        "Readable copy of the delivery ledger: a row per brief revision and destination.",
        (
            _required("delivery_key", "string", "Identity.", unique=True),
            _required("brief_id", "string", "The brief."),
            _required("revision", "int", "Its revision."),
            _required("channel", "string", "slack or email."),
            _required("destination", "string", "Where to; never a secret."),
            _required("content_hash", "string", "Hash of the content."),
            _required("status", "string", "What became of it."),
            Column("reason", "string", "Why."),
            _required("attempts", "int", "Attempts so far."),
            Column("first_attempt_at", "timestamp", "First attempt."),
            Column("last_attempt_at", "timestamp", "Latest attempt."),
            Column("retry_at", "timestamp", "Next attempt."),
        ),
    ),
)

TABLES: dict[str, TableSchema] = {schema.name: schema for schema in _SCHEMAS}

VERDICTS = (
    "effective",
    "partial",
    "no_effect",
    "worse",
    "inconclusive",
    "no_sustained_problem",
    "pending",
    "insufficient_data",
    "not_applicable",
)
SEVERITIES = ("critical", "high", "medium", "low", "unknown")
"""Most severe first."""
