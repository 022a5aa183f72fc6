"""What a finished run says on the terminal: the comparison, what it means, the verdicts, where everything is."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.analysis.findings import findings
from harness.analysis.labels import in_common, without
from harness.model.expectation import Judgement, Verdict
from harness.model.outcomes import FAILURES, Outcome
from harness.model.scenario import Burst
from harness.model.status import RunStatus
from harness.model.summary import TrialSummary
from harness.run import FinishedRun

VERDICT_STYLES = {Verdict.REPRODUCED: "green", Verdict.NOT_REPRODUCED: "bold red", Verdict.UNKNOWN: "yellow"}


@dataclass(frozen=True, slots=True)
class More:
    """A column that only some stories have."""

    name: str
    worth_telling: Callable[[TrialSummary], bool]
    value: Callable[[TrialSummary], str]


MORE = (
    More("asked", lambda one: one.attempts > one.requests, lambda one: str(one.attempts)),
    More("wakes", lambda one: one.wakes > 1, lambda one: str(one.wakes)),
    More("awake", lambda one: one.wakes > 1, lambda one: _duration(one.awake_s)),
    More("idle\np95", lambda one: not one.trial.pool.use_lifo, lambda one: _seconds(one.idle_p95_s)),
    More("live\nafter", lambda one: not one.trial.pool.use_lifo, lambda one: str(one.live_after)),
)


def print_run(done: FinishedRun, console: Console | None = None) -> None:
    """Print a run for people, on standard output."""
    console = console or Console(highlight=False)
    console.print()
    console.print(_headline(done), style="bold")
    if done.status is not RunStatus.COMPLETE:
        console.print(f"The run was {done.status}: what follows is what was measured until then.", style="yellow")
    if common := in_common([one.trial.pool for one in done.summaries]):
        console.print(f"every pool: {', '.join(common)}")
    console.print(comparison(done.summaries))
    for sentence in findings(done.summaries):
        console.print(Text("• ") + Text(sentence))
    if done.judgements:
        console.print()
        console.print(verdicts(done.judgements))
    console.print()
    console.print(f"Results: {done.folder}", soft_wrap=True)
    if (done.folder / "charts").is_dir():
        console.print(f"Charts:  {done.folder / 'charts'}", soft_wrap=True)


def comparison(summaries: Sequence[TrialSummary]) -> Table:
    """A line a trial, grouped by wake; the control, the same arrivals with the compute awake, comes last."""
    common = in_common([one.trial.pool for one in summaries])
    lost = [outcome for outcome in FAILURES if any(outcome in summary.outcomes for summary in summaries)]
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    # The one column that may wrap: of a label with many settings there are lines.
    table.add_column("pool", overflow="fold")
    # A column for each way to fail that occurred; its name is two words, one above the other.
    names = ["ok", *(outcome.value.replace("_", "\n") for outcome in lost), "p50", "p95", "max", "most\nwaiting"]
    told = [column for column in MORE if any(column.worth_telling(one) for one in summaries)]
    for name in (*names, *(column.name for column in told), "recovered\nafter"):
        table.add_column(name, justify="right", no_wrap=True)
    ordered = sorted(summaries, key=lambda one: (one.trial.is_control, one.trial.wake_latency_s or 0.0))
    for wake in dict.fromkeys(one.trial.wake_label for one in ordered):
        table.add_row(Text("awake (control)" if wake == "awake" else wake, "bold"))
        for one in summaries:
            if one.trial.wake_label == wake:
                table.add_row(
                    *_line(one, lost, told, common, many_seeds=len({one.trial.seed for one in summaries}) > 1)
                )
    return table


def verdicts(judgements: Sequence[Judgement]) -> Table:
    """What the scenario expected, and what became of it; why, where it did not come true."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), title="Expected", title_justify="left")
    table.title_style = "bold"
    table.show_header = False
    for one in judgements:
        why = f": {one.why}" if one.shown or one.verdict is not Verdict.REPRODUCED else ""
        verdict = Text(one.verdict.value, VERDICT_STYLES[one.verdict]) + Text(why)
        table.add_row(f"  {one.pool}", one.statement, verdict)
    return table


def _headline(done: FinishedRun) -> str:
    told = {story.variant: " then ".join(map(_burst, story.bursts)) for story in done.scenario.stories}
    if len(set(told.values())) == 1:
        bursts = next(iter(told.values()))
    else:
        bursts = "".join(f"\n  {name}: {text}" for name, text in told.items())
    shortened = f"\nshortened for real time: {done.scenario.shortened}" if done.scenario.shortened else ""
    return f"{done.scenario.name} on {done.stack}: {bursts}{shortened}"


def _line(
    one: TrialSummary, lost: Sequence[Outcome], told: Sequence[More], common: Collection[str], *, many_seeds: bool
) -> list[Text]:
    label = without(one.trial.configuration, common)
    label = f"{label}, seed {one.trial.seed}" if many_seeds else label
    doubt = "" if one.kept_schedule and one.complete else " (!)"
    return [
        Text(f"  {label}{doubt}"),
        Text(str(one.count(Outcome.OK)), "green" if not one.failed else ""),
        *(Text(str(one.count(outcome)), "bold red" if one.count(outcome) else "dim") for outcome in lost),
        *(Text(_seconds(one.latency_s.get(name))) for name in ("p50", "p95", "max")),
        Text(str(one.peak_waiting)),
        *(Text(column.value(one)) for column in told),
        Text("before" if (one.recovered_after_s or 0.0) < 0 else _seconds(one.recovered_after_s)),
    ]


def _burst(burst: Burst) -> str:
    over = _duration(burst.over_s) if burst.over_s >= 3600 else f"{burst.over_s:g} s"
    return f"{burst.requests} requests over {over}"


def _duration(seconds: float | None) -> str:
    """Seconds, or hours where there are many of them."""
    return f"{seconds / 3600:.1f} h" if seconds is not None and seconds >= 3600 else _seconds(seconds)


def _seconds(value: float | None) -> str:
    """Seconds to two figures that matter: below a tenth in ms."""
    if value is None:
        return "–"
    return f"{value * 1000:.0f} ms" if value < 0.0995 else f"{value:.2f} s" if value < 0.995 else f"{value:.1f} s"
