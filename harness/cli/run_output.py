"""The terminal output of a finished run: comparison, findings, verdicts, and the paths of its files."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from harness.analysis.findings import findings
from harness.analysis.labels import Names
from harness.analysis.sentences import listed, plural
from harness.cli.console import console as output_console
from harness.cli.decision import print_decision
from harness.cli.run_table import comparison, duration, seeds_note, short_seconds
from harness.cli.table import Column, Heading, Row, Sheet
from harness.model.expectation import Judgement, Verdict
from harness.model.outcomes import FAILURES, Outcome
from harness.model.part import Part
from harness.model.status import RunStatus
from harness.model.story import Story
from harness.model.summary import TrialSummary, within_patience
from harness.model.timeline import Burst
from harness.run import FinishedRun

MAX_BURSTS = 6
"""How many bursts of a trial the terminal shows."""
MAX_TRIALS_WITH_BURSTS = 10
"""And of how many trials."""
MAX_BURSTS_IN_A_LINE = 3
VERDICT_STYLES = {Verdict.REPRODUCED: "green", Verdict.NOT_REPRODUCED: "bold red", Verdict.UNKNOWN: "yellow"}


def print_run(done: FinishedRun) -> None:
    """Print a run's results on standard output."""
    console = output_console()
    console.print()
    console.print(_headline(done), style="bold")
    print_cut_short(console, done, "run")
    if note := Names.of(summary.trial for summary in done.summaries).note():
        console.print(note)
    console.print(comparison(done.summaries))
    if note := seeds_note(done.summaries):
        console.print(Text(note, "dim"))
    for meaning in Names.of(summary.trial for summary in done.summaries).meanings():
        console.print(Text(meaning, "dim"))
    if any(len(summary.trial.story.bursts) > 1 for summary in done.summaries):
        console.print()
        console.print("Bursts", style="bold")
        console.print(bursts(done.summaries))
        if left_out := unshown_bursts(done.summaries):
            console.print(Text(left_out, "dim"))
    for sentence in findings(done.summaries):
        console.print(Text("• ") + Text(sentence))
    if done.judgements:
        console.print()
        console.print("Expected", style="bold")
        console.print(verdicts(done.judgements))
    console.print()
    console.print(f"Results: {done.folder}", soft_wrap=True)
    if (done.folder / "charts").is_dir():
        console.print(f"Charts:  {done.folder / 'charts'}", soft_wrap=True)
    print_decision(console, done.decision)


def print_cut_short(console: Console, done: FinishedRun, what: str) -> None:
    """Where it was cut short: say so, and how to go on."""
    if done.status is RunStatus.COMPLETE:
        return
    console.print(f"The {what} was {done.status}: what follows is what was played until then.", style="yellow")
    if done.how_to_resume:
        console.print(Text(f"{done.how_to_resume}.", "yellow"), soft_wrap=True)


def bursts(summaries: Sequence[TrialSummary]) -> Sheet:
    """A row for each of the first bursts of each trial with a wake, or of the controls where there are only those."""
    summaries = _with_bursts(summaries)
    names = Names.of(summary.trial for summary in summaries)
    failures = [outcome for outcome in FAILURES if any(outcome in summary.outcomes for summary in summaries)]
    within = any(summary.patience_s is not None for summary in summaries)
    headers = [
        "ok", *(outcome.value.replace("_", "\n") for outcome in failures),
        *([within_patience(summaries)] if within else []), "p50", "p95", "max",
    ]  # fmt: skip
    parts: list[Heading | Row] = []
    for summary in summaries[:MAX_TRIALS_WITH_BURSTS]:
        parts.append(Heading(f"{names[summary.trial.configuration]}, {summary.trial.wake_label}"))
        for number, burst in enumerate(summary.trial.story.bursts[:MAX_BURSTS]):
            part = summary.part(Part(burst=number))
            parts.append(Row(f"{number}: {_burst(burst)}", _cells_of_burst(part, failures, within=within)))
    return Sheet("burst", [Column(name) for name in headers], parts)


def _with_bursts(summaries: Sequence[TrialSummary]) -> list[TrialSummary]:
    """The trials of stories with several bursts: of the first seed and, unless there are no others, no controls."""
    several = [summary for summary in summaries if len(summary.trial.story.bursts) > 1]
    shown = [summary for summary in several if not summary.trial.is_control] or several
    first_seed = min((summary.trial.seed for summary in shown), default=0)
    return [summary for summary in shown if summary.trial.seed == first_seed]


def unshown_bursts(summaries: Sequence[TrialSummary]) -> str:
    """What the table of bursts leaves out, and where it is; empty: nothing."""
    shown = _with_bursts(summaries)
    bursts = max((len(summary.trial.story.bursts) for summary in shown), default=0) - MAX_BURSTS
    trials = len(shown) - MAX_TRIALS_WITH_BURSTS
    left_out = [
        *([plural(bursts, "more burst")] if bursts > 0 else []),
        *([plural(trials, "more trial")] if trials > 0 else []),
        *(["the other seeds"] if len({summary.trial.seed for summary in summaries}) > 1 else []),
        *(["the controls"] if len({summary.trial.is_control for summary in summaries}) > 1 else []),
    ]
    if not left_out:
        return ""
    return f"Not shown: {listed(left_out)}. The document of --json has them; in requests.parquet the column is burst."


def _cells_of_burst(burst: TrialSummary, failures: Sequence[Outcome], *, within: bool) -> list[Text]:
    counts = [burst.count(outcome) for outcome in failures]
    answered = "–" if burst.answered_within is None else str(burst.answered_within)
    return [
        Text(str(burst.count(Outcome.OK)), "green" if not burst.failed else ""),
        *(Text(str(count), "bold red" if count else "dim") for count in counts),
        *([Text(answered)] if within else []),
        *(Text(short_seconds(burst.latency_s.get(name))) for name in ("p50", "p95", "max")),
    ]


def verdicts(judgements: Sequence[Judgement]) -> Sheet:
    """The scenario's expectations with their verdicts, and the reason where one was not reproduced."""
    rows = [Row(judgement.pool, [judgement.statement, _verdict(judgement)]) for judgement in judgements]
    return Sheet("", [Column("", wraps=True), Column("", wraps=True)], rows)


def _verdict(judgement: Judgement) -> Text:
    explained = judgement.shown or judgement.verdict is not Verdict.REPRODUCED
    verdict = Text(judgement.verdict.value, VERDICT_STYLES[judgement.verdict])
    return verdict + Text(f": {judgement.why}" if explained else "")


def _headline(done: FinishedRun) -> str:
    bursts_of = {variant: _load(story) for variant, story in done.plan.stories.items()}
    if len(set(bursts_of.values())) == 1:
        load = next(iter(bursts_of.values()))
    else:
        load = "".join(f"\n  {name}: {text}" for name, text in bursts_of.items())
    shortened = f"\nshortened for real time: {done.plan.shortened}" if done.plan.shortened else ""
    unlike = "".join(f"\n{note}" for note in done.notes)
    return f"{done.plan.title} on {done.stack}: {load}{shortened}{unlike}"


def _load(story: Story) -> str:
    """What the clients ask for: each burst, or of more than a few their number and sum."""
    if len(story.bursts) <= MAX_BURSTS_IN_A_LINE:
        return " then ".join(map(_burst, story.bursts))
    over = _over(sum(load.over_s for load in story.loads))
    time = f"over {over}" if len(story.loads) == 1 else f"of {over} in all"
    return f"{sum(load.requests for load in story.loads)} requests in {len(story.bursts)} bursts {time}"


def _burst(burst: Burst) -> str:
    return f"{burst.requests} requests over {_over(burst.over_s)}"


def _over(seconds: float) -> str:
    return duration(seconds) if seconds >= 3600 else f"{seconds:g} s"
