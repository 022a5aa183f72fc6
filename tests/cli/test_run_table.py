"""The table of a run: a row a trial or, of several seeds, a row for all of them, with what was counted in it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.analysis import load
from harness.analysis.compare import compare
from harness.cli.console import console
from harness.cli.run import run as run_command
from harness.cli.run_table import comparison, seeds_note
from harness.model.outcomes import Outcome
from harness.model.summary import TrialSummary

SAMPLE = load(Path(__file__).parent.parent.parent / "results" / "sample" / "simulated")
SEEDS = len({summary.trial.seed for summary in SAMPLE.summaries})


def printed(summaries: Sequence[TrialSummary], *, width: int = 80) -> list[str]:
    output = console()
    output.width = width
    with output.capture() as captured:
        output.print(comparison(summaries))
    return captured.get().splitlines()


def rows(summaries: Sequence[TrialSummary]) -> dict[tuple[str, str], tuple[list[str], list[str]]]:
    """The words of each row and of the line below it, by wake and name."""
    lines = printed(summaries, width=120)
    found, wake = {}, ""
    for number, line in enumerate(lines):
        if line.startswith(("wake", "awake")):
            wake = line.strip()
        elif line.startswith("  ") and line[2] != " " and wake:
            name, *cells = (word for word in line.strip().split("  ") if word.strip())
            below = lines[number + 1].split() if number + 1 < len(lines) else []
            found[wake, name] = cells, below
    return found


def of(wake: str, name: str) -> list[TrialSummary]:
    return [one for one in SAMPLE.summaries if one.trial.wake_label == wake and one.trial.configuration == name]


def test_several_seeds_are_a_row_a_configuration_and_wake_within_80_columns() -> None:
    cells = {(one.trial.wake_label, one.trial.configuration) for one in SAMPLE.summaries}
    assert SEEDS > 1
    assert len(rows(SAMPLE.summaries)) == len(cells) == len(SAMPLE.summaries) / SEEDS
    assert max(map(len, printed(SAMPLE.summaries))) <= 80
    assert "seed" not in "\n".join(printed(SAMPLE.summaries))


def test_a_row_of_several_seeds_has_the_shares_and_intervals_of_compare() -> None:
    found = rows(SAMPLE.summaries)
    for line in compare([SAMPLE]).lines:
        if line.is_control or not line.failed or line.wake not in ("wake 12 s", "wake 14 s"):
            continue
        cells, below = found[line.wake, line.configuration]
        assert " ".join(cells).split()[0] == f"{line.failures.value:.1%}"
        low = line.failures.low
        assert low is not None
        assert below[0].startswith(f"{100 * low:.1f}–" if low < 0.0995 else f"{100 * low:.0f}–")


def test_the_longest_queue_is_shown_from_the_least_to_the_most_of_the_seeds() -> None:
    queues = [one.peak_waiting or 0 for one in of("wake 8 s", "10+5")]
    assert len(set(queues)) > 1
    assert f"{min(queues)}–{max(queues)}" in rows(SAMPLE.summaries)["wake 8 s", "10+5"][1]


def test_one_seed_is_a_row_a_trial_with_counts() -> None:
    one_seed = [one for one in SAMPLE.summaries if one.trial.seed == 2]
    cells, _ = rows(one_seed)["wake 12 s", "10+5"]
    assert " ".join(cells).split()[0] == str(one_seed[0].requests - of("wake 12 s", "10+5")[1].failed)
    assert seeds_note(one_seed) == ""


def test_rows_say_how_many_seeds_are_missing_and_how_many_are_not_to_be_relied_on() -> None:
    changed = []
    for one in SAMPLE.summaries:
        if one.trial.configuration == "15+5" and one.trial.seed == 3:
            continue
        late = one.trial.configuration == "10+5" and one.trial.seed == 1
        changed.append(replace(one, kept_schedule=not late, complete=one.trial.configuration != "5+0"))
    text = "\n".join(printed(changed, width=120))
    assert f"15+5, {SEEDS - 1} of {SEEDS} seeds" in text
    assert f"10+5 (! 1 of {SEEDS})" in text
    assert "5+0 (!)" in text
    assert "10+10 (" not in text
    assert "requests a row" not in seeds_note(changed)


@pytest.mark.parametrize(
    ("failed", "shown"), [(0, "0%"), (1, "0.017%"), (599, "10.0%"), (6000, "100%"), (5999, "99.983%")]
)
def test_none_and_all_are_shown_only_where_it_is_exactly_none_and_all(failed: int, shown: str) -> None:
    base = of("wake 12 s", "10+5")
    outcomes = [{Outcome.OK: 6000 - failed, Outcome.ERROR: failed}, {}]
    requests = [6000, 0]
    two = [
        replace(one, outcomes={key: count for key, count in counts.items() if count}, requests=total)
        for one, counts, total in zip(base, outcomes, requests, strict=False)
    ]
    assert " ".join(rows(two)["wake 12 s", "10+5"][0]).split()[0] == shown


def test_a_recovery_that_some_seeds_never_had_is_counted() -> None:
    base = of("wake 12 s", "10+5")
    partly = [replace(one, recovered_after_s=None if one.trial.seed == 1 else 12.2) for one in base]
    assert f"{SEEDS - 1} of {SEEDS}" in " ".join(rows(partly)["wake 12 s", "10+5"][1])
    never = [replace(one, recovered_after_s=None, peak_waiting=None) for one in base]
    assert rows(never)["wake 12 s", "10+5"][0][-1].split()[-1] == "–"


def test_a_repeated_run_prints_one_row_a_pool_and_says_what_its_intervals_are(tmp_path: Path) -> None:
    words = ["cold_burst", "--stack", "simulated", "--no-charts", "--pool", "5+0", "--pool", "10+5", "--wake", "12"]
    done = CliRunner(env={"COLUMNS": "80"}).invoke(
        run_command, [*words, "--requests", "40", "--repeat", "4", "--out", str(tmp_path)], catch_exceptions=False
    )
    table = done.stdout.partition("•")[0]
    assert sum(line.startswith("  10+5 ") for line in table.splitlines()) == 2, "one of the wake, one of the control"
    assert "4 seeds together, 160 requests a row." in " ".join(table.split())
