"""What a recommendation leaves behind: recommendation.json, recommendation.md and the frontier's chart."""

import json
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from harness.analysis.charts.draw import save, styled
from harness.analysis.tables import literal
from harness.model.visible import command_line
from harness.recommend.answer import Answer
from harness.recommend.chart import frontier_chart
from harness.recommend.frontier import Point
from harness.recommend.paste import call, environment
from harness.recommend.words import headline, sentences
from harness.results.disk import writing

DEFAULT_FOLDER = Path("results") / "recommendations"
CHART = "frontier"


def new_folder(out: Path, scenario: str) -> Path:
    """A new folder under `out`, whose name begins with the time. Raises `UserError` where it can't be made."""
    folder = out / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{scenario}-{secrets.token_hex(3)}"
    with writing(out):
        folder.mkdir(parents=True)
    return folder


def write(answer: Answer, points: Sequence[Point], folder: Path, *, argv: Sequence[str], charts: bool) -> None:
    """Write the answer into its folder. Raises `UserError` or `StackError` where the disk says no."""
    with writing(folder):
        document = {**answer.to_json(), "frontier": [point.to_json() for point in points]}
        (folder / "recommendation.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        drawn = bool(points) and charts
        (folder / "recommendation.md").write_text(markdown(answer, argv=argv, chart=drawn), encoding="utf-8")
        if drawn:
            save(styled(frontier_chart(answer, points)), folder)


def markdown(answer: Answer, *, argv: Sequence[str], chart: bool) -> str:
    """The answer as a page that can be pasted into a pull request."""
    parts = [f"# {literal(headline(answer))}"]
    if answer.found is not None:
        variables = environment(answer.found, answer.question.application)
        lines = "\n".join(f"{name}={value}" for name, value in variables.items())
        parts += [*([f"```sh\n{lines}\n```"] if lines else []), f"```python\n{call(answer.found)}\n```"]
    parts.append("\n".join(f"- {literal(sentence)}" for sentence in sentences(answer)))
    if chart:
        parts.append(f"![The longest wake that it survives]({CHART}.png)")
    parts += [answer.question.objectives.patience.rule(), f"```sh\n{command_line(argv)}\n```"]
    return "\n\n".join(parts) + "\n"
