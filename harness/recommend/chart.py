"""The chart of the frontier: how long a wake the recommendation survives, by the burst and the service time."""

from collections.abc import Iterator, Sequence

from matplotlib.figure import Figure

from harness.analysis.charts.paper import line_legend, line_style, mark, set_note, stacked_panels
from harness.model.distribution import Constant, three_figures
from harness.recommend.answer import Answer
from harness.recommend.frontier import Point
from harness.recommend.margin import shown_s
from harness.recommend.words import named, share

ROOM = 1.15
OWN = "its own statement times"


def frontier_chart(answer: Answer, points: Sequence[Point]) -> Iterator[tuple[str, Figure]]:
    """The chart `frontier`. Lines that coincide are drawn once, and their names say so."""
    assert answer.found is not None
    figure, (panel,) = stacked_panels(1, title=_title(answer, points), panel_in=1.9)
    lines = together(points)
    for number, (name, of_service) in enumerate(lines):
        colour, dashes = line_style(number)
        panel.plot(
            [point.requests for point in of_service], [point.survives_s or 0.0 for point in of_service],
            color=colour, linestyle=dashes, marker="o", markersize=2.5, label=name, clip_on=False,
        )  # fmt: skip
    survived = [point.survives_s for point in points if point.survives_s is not None]
    top_s = ROOM * max([answer.question.upper_s, *survived])
    for words, wake_s in _wakes(answer):
        panel.axhline(wake_s, color=mark(), linewidth=0.7, linestyle=(0, (1, 2)))
        panel.annotate(
            words, (1, wake_s), xycoords=("axes fraction", "data"), xytext=(-2, 2), textcoords="offset points",
            ha="right", fontsize=6, color=mark(),
        )  # fmt: skip
    panel.set_ylim(0, top_s)
    panel.set_ylabel("longest wake that is survived, s")
    panel.set_xlabel("requests of the burst")
    panel.set_xticks(sorted({point.requests for point in points}))
    line_legend(figure, [panel])
    set_note(figure, f"{answer.question.objectives}, one sequence of arrivals; below a line it is met.")
    yield "frontier", figure


def together(points: Sequence[Point]) -> list[tuple[str, list[Point]]]:
    """A line for each service time, those with the same values as one line with both names."""
    by_service: dict[float | None, list[Point]] = {}
    for point in points:
        by_service.setdefault(point.service_time_s, []).append(point)
    lines: dict[tuple[float | None, ...], tuple[list[str], list[Point]]] = {}
    for service_time_s, of_service in by_service.items():
        values = tuple(None if point.survives_s is None else round(point.survives_s, 1) for point in of_service)
        names, _ = lines.setdefault(values, ([], of_service))
        if service_time_s is not None:
            names.append(_milliseconds(service_time_s))
    return [
        (f"{' and '.join(names)} a statement{': the same' if len(names) > 1 else ''}" if names else OWN, of_service)
        for names, of_service in lines.values()
    ]


def _milliseconds(service_time_s: float) -> str:
    return f"{1000 * service_time_s:g} ms"


def _wakes(answer: Answer) -> Iterator[tuple[str, float]]:
    latency = answer.question.wake.latency
    if isinstance(latency, Constant):
        yield f"the wake, {latency}", latency.latency_s
        return
    upper_s, middle_s = answer.question.upper_s, latency.quantile(0.5)
    yield f"{share(answer.question.share)} of the wakes, {three_figures(upper_s)} s", upper_s
    yield f"half of them, {three_figures(middle_s)} s", middle_s


def _title(answer: Answer, points: Sequence[Point]) -> str:
    assert answer.found is not None
    assert answer.margin is not None
    text = f"{named(answer.found)} survives a wake of {shown_s(answer.margin.survives_s)}"
    if len({point.requests for point in points}) < 2:
        return text
    largest = max(point.requests for point in points)
    of_largest = [point.survives_s or 0.0 for point in points if point.requests == largest]
    least_s, most_s = (choose(of_largest) for choose in (min, max))
    if shown_s(least_s) == shown_s(most_s):
        return f"{text}; with {largest} requests, of {shown_s(most_s)}"
    return f"{text}; with {largest} requests, of {shown_s(least_s).removesuffix(' s')} to {shown_s(most_s)}"
