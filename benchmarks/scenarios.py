"""Every scenario on a stack: whether its expectations are met, how long it took; the table of docs/findings.md.

`python -m benchmarks.scenarios simulated embedded` plays the whole library on both; 1 when something is not reproduced.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from benchmarks.report import FINDINGS_PAGE, write_table
from harness.cli.progress import watching
from harness.library import load_scenario, scenario_names
from harness.model.errors import UserError
from harness.model.expectation import Judgement, Verdict
from harness.model.plan import PlannedRun
from harness.run import execute
from harness.stacks.base import RunOptions
from harness.stacks.choose import choose, plays_in_real_time

UNABLE = "can't"


@dataclass(frozen=True, slots=True)
class Played:
    """A scenario on one stack; `refused` is why the stack can't play it."""

    name: str
    judgements: tuple[Judgement, ...]
    took_s: float
    refused: str = ""

    @property
    def met(self) -> bool:
        return all(one.verdict is Verdict.REPRODUCED for one in self.judgements)

    @property
    def cell(self) -> str:
        if self.refused:
            return UNABLE
        reproduced = sum(one.verdict is Verdict.REPRODUCED for one in self.judgements)
        said = f"{reproduced} of {len(self.judgements)}, {self.took_s:.0f} s"
        return said if self.met else f"**{said}**"


def play(name: str, stack: str, out: Path) -> Played:
    """Play one scenario with its defaults."""
    chosen = choose(stack)
    plan = PlannedRun(scenario=load_scenario(name), real_time=plays_in_real_time(chosen[0]))
    began_s = monotonic()
    try:
        with watching(plan.trials) as progress:
            done = execute(plan, stack=chosen, options=RunOptions(), progress=progress, out=out, charts=False)
    except UserError as refused:
        return Played(name, (), 0.0, str(refused))
    return Played(name, tuple(done.judgements), monotonic() - began_s)


def main(stacks: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="coldstart-scenarios-") as folder:
        found = {stack: [play(name, stack, Path(folder)) for name in scenario_names()] for stack in stacks}
    rows = []
    for number, name in enumerate(scenario_names()):
        scenario = load_scenario(name)
        shortened = scenario.real_time.description if scenario.real_time is not None else "no"
        rows.append([f"`{name}`", *(found[stack][number].cell for stack in stacks), shortened])
    write_table("scenarios", ("scenario", *stacks, "shortened in real time"), rows, page=FINDINGS_PAGE)
    unmet = [one for played in found.values() for one in played if not one.met]
    for one in unmet:
        for judgement in one.judgements:
            if judgement.verdict is not Verdict.REPRODUCED:
                print(
                    f"{one.name}: {judgement.pool}: {judgement.statement}: {judgement.verdict.value}: {judgement.why}"
                )
    return 1 if unmet else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stacks", nargs="+", choices=("simulated", "embedded", "compose"))
    sys.exit(main(parser.parse_args().stacks))
