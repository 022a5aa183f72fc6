"""`python -m harness.results.document` writes results/README.md from the definitions of the columns."""

from collections.abc import Sequence

from harness.model.columns import EVENTS, POOL, REQUESTS, Column
from harness.model.events import Event
from harness.model.outcomes import Outcome
from harness.model.summary import SUMMARY
from harness.shipped import shipped

PAGE = shipped("results/README.md")
TOP = """\
# Results

A run keeps everything in a folder of its own, `results/runs/<id>/`, written as the run goes: a run that was killed
leaves what it had. `harness.analysis.load("newest")` reads it back in one call, also by id or path.

| file | what it is |
| --- | --- |
| `manifest.json` | scenario, stack, seeds, versions, machine, git commit, times, status, verdicts |
| `requests.parquet` | a row a request |
| `pool.parquet` | a row a sample of a pool: every 50 ms, and 1 ms after every change |
| `events.parquet` | suspend, first attempt, wake, releases, what the queue listener met |
| `report.html` | after `coldstart report`: everything in one file |
| `postmortem.md` | after `coldstart postmortem`: a draft; its charts are among the others |
| `summary.csv` | a row a trial: the numbers of the table; text that begins like a formula has an apostrophe in front |
| `charts/` | every chart as SVG and PNG, at half a page's width; in `charts/dark/` for dark pages |
| `logs/` | what the stack's processes wrote to stderr |
| `*.jsonl` | only while a run is under way, or after it was killed: a line a row, and a line a trial that has ended |

`status` is `complete`, `aborted` (Ctrl-C), `failed` (a part of the stack died), `running`, or, for a reader of a run
whose process is gone without a word, `killed`. `coldstart resume <id>` plays the rest of one that was cut short.

`sample/` keeps a run of each stack, which the notebooks, the documents and the tests read: `embedded` and `compose` are
the default of `make coldstart` (in containers on stand-ins for the official images: Debian's PostgreSQL 15, the real
Toxiproxy), `simulated` has five wake latencies and three seeds, `incident` is
[incident_2025_12_02](../scenarios/incident_2025_12_02.py). `python -m benchmarks.sample` makes them anew.

| notebook | what it answers |
| --- | --- |
| [compare_pools.ipynb](compare_pools.ipynb) | exhaustion and timeout rates per pool, what each costs, what to choose |
| [incident.ipynb](incident.ipynb) | one incident, before and after a change, request by request |
| [wake_latency.ipynb](wake_latency.ipynb) | how long a wake each pool survives, and where the choice changes |

They read a run's files with pandas and nothing else. `make notebooks` executes them on the newest run and leaves them
beside its files; without a run, on the samples, as they are committed here.

Times are seconds from the start of the trial's burst unless the name says otherwise; before it they are negative.
A column marked ∅ can be empty.
"""


def page() -> str:
    """The text of results/README.md. A test checks that the file is up to date."""
    tables = {"requests.parquet": REQUESTS, "pool.parquet": POOL, "events.parquet": EVENTS}
    parts = [TOP, *(f"## {name}\n\n{_columns(columns)}" for name, columns in tables.items())]
    events = "\n".join(f"| `{event}` | {event.meaning} |" for event in Event)
    parts.append(f"## summary.csv\n\n{_columns(SUMMARY)}")
    outcomes = "\n".join(
        f"| `{outcome}` | {outcome.http_status or 'no answer'} | {outcome.meaning} |" for outcome in Outcome
    )
    parts.append(f"## Outcomes\n\n| outcome | HTTP status | meaning |\n| --- | --- | --- |\n{outcomes}\n")
    return "\n".join([*parts, f"## Events\n\n| event | meaning |\n| --- | --- |\n{events}\n"])


def _columns(columns: Sequence[Column]) -> str:
    rows = (
        f"| `{column.name}` | {column.type}{' ∅' if column.nullable else ''} | {column.meaning} |" for column in columns
    )
    return "| column | type | meaning |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
