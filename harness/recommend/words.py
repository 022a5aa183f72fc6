"""The answer in sentences, the verdict first."""

from collections.abc import Iterator

from harness.analysis.sentences import percent, plural, seconds
from harness.model.compute import OnSuspend, WhileWaking
from harness.model.distribution import Constant, three_figures
from harness.model.pool import PoolConfiguration
from harness.recommend.answer import Answer, Confirmed, Warm, WouldHelp
from harness.recommend.judging import Verdict
from harness.recommend.margin import Margin, shown_s
from harness.recommend.question import Question
from harness.recommend.search import SCREENED

HOURS_OF_A_MONTH = 730


def named(pool: PoolConfiguration) -> str:
    """`2+0, connection_timeout 10 s`, and whatever else is no default."""
    settings = [f"connection_timeout {_connecting(pool)}"]
    if pool.queue_timeout_s != pool.connection_timeout_s:
        settings.append(f"pool_timeout {_time(pool.queue_timeout_s)}")
    shown = ("connection_timeout=", "pool_timeout=")
    others = [part.replace("=", " ") for part in pool.label.split()[1:] if not part.startswith(shown)]
    by_settings = ", ".join([pool.short, *settings, *others])
    return f"{pool.name} ({by_settings})" if pool.name else by_settings


def _time(timeout_s: float) -> str:
    return f"{timeout_s:g} s" if timeout_s else "none"


def _connecting(pool: PoolConfiguration) -> str:
    if not pool.connection_timeout_s and pool.connection_limit_s:
        return f"none ({pool.runs_on}'s own {pool.connection_limit_s:g} s an address)"
    return _time(pool.connection_timeout_s)


def share(value: float) -> str:
    """A share without more digits than it has: `99%`, `2.3%`; never 0% or 100% for what is not exactly that."""
    return percent(value).replace(".0%", "%")


def headline(answer: Answer) -> str:
    """The verdict in one line."""
    objectives = answer.question.objectives
    if answer.found is None:
        return f"No configuration meets {objectives}."
    return f"Set {named(answer.found)}."


def sentences(answer: Answer) -> Iterator[str]:
    """Everything else, in the order in which one asks."""
    question = answer.question
    if answer.found is None:
        assert answer.would_help is not None
        yield from _nothing(question, answer.would_help)
    else:
        assert answer.margin is not None
        yield _met(answer)
        yield holds_to(question, answer.margin)
        if not answer.refused:
            yield "Nothing cheaper was left to try."
        for verdict in answer.refused:
            yield f"Cheaper, and refused: {named(verdict.pool)}. {why(verdict)}"
        yield from timeouts(question, answer.found)
        yield from _awake(question, answer.warm)
    yield from _today(answer)
    for what in answer.marks:
        yield f"Not to be relied on (!): in some of the trials the application did what can't be played: {what}."
    for confirmed in answer.confirmed:
        yield in_real_time(confirmed, answer)


def _met(answer: Answer) -> str:
    question = answer.question
    seeds = len(question.seeds)
    are = "are" if len(question.objectives.all) > 1 else "is"
    text = f"{question.objectives} {are} met {the_wake(question)}"
    if seeds == 1:
        return f"{text}, with the story's arrivals."
    others = f"with 95% confidence, under {share(answer.confidence)} of others miss"
    return f"{text}, with each of {seeds} arrival sequences; {others}."


def the_wake(question: Question) -> str:
    """`at a wake of 9.95 s, which 99% of them are no longer than`."""
    if isinstance(question.wake.latency, Constant):
        return f"at its wake of {three_figures(question.upper_s)} s"
    longer = f"which {share(question.share)} of the wakes are no longer than"
    return f"at a wake of {three_figures(question.upper_s)} s, {longer}"


def holds_to(question: Question, margin: Margin) -> str:
    """The margin: how long a wake it survives, and how many are longer."""
    if not margin.monotone:
        return (
            f"Failures do not only grow with the wake: it survives one of {shown_s(margin.survives_s)}, and not every "
            f"shorter one. Of {plural(margin.sampled, 'drawn wake')} {margin.missed} {_miss(margin.missed)} the "
            f"objectives ({share(margin.longer)})."
        )
    if margin.breaks_at_s is None:
        return f"No wake that was tried breaks it, up to {shown_s(margin.survives_s)}."
    text = f"It holds to a wake of {shown_s(margin.survives_s)}"
    if isinstance(question.wake.latency, Constant):
        more_s = margin.survives_s - question.upper_s
        return f"{text}, {shown_s(more_s)} more than this one." if more_s >= 0.05 else f"{text}, and to none longer."
    longer = f"{share(margin.longer)} of the wakes are" if margin.longer else "no wake is"
    return f"{text}; {longer} longer."


def _miss(count: int) -> str:
    return "misses" if count == 1 else "miss"


def why(verdict: Verdict) -> str:
    """Why a candidate is refused, and the first request that counts against it."""
    missed = "; ".join(map(str, verdict.missed))
    row = verdict.breaking
    wake = "with the database awake" if verdict.wake_s is None else f"at a wake of {three_figures(verdict.wake_s)} s"
    text = f"With seed {verdict.seed} {wake}: {missed}."
    if row is None:
        return text
    ended = f"ends in {row['outcome']}" if row["outcome"] != "ok" else "is answered"
    return (
        f"{text} Request {row['number']}, which comes after {row['arrival_s']:.1f} s, {ended} after "
        f"{seconds(row['latency_s'])}."
    )


def timeouts(question: Question, pool: PoolConfiguration) -> Iterator[str]:
    """What each timeout is for, beside the wake."""
    upper_s = question.upper_s
    wake = f"the wake of {three_figures(upper_s)} s"
    waits = question.wake.while_waking in (WhileWaking.HOLD, WhileWaking.DROP)
    each = " for each address of the host" if pool.runs_on.value == "psycopg" else ""
    if waits and pool.connection_timeout_s > upper_s:
        yield (
            f"connection_timeout {_time(pool.connection_timeout_s)}{each} outlasts {wake}: who connects while the "
            "database wakes is answered when it has."
        )
    elif waits and pool.connection_timeout_s:
        yield (
            f"connection_timeout {_time(pool.connection_timeout_s)}{each} is no longer than {wake}: it need not be for "
            "these objectives."
        )
    else:
        yield f"connection_timeout {_time(pool.connection_timeout_s)}{each} decides nothing here."
    if pool.queue_timeout_s == pool.connection_timeout_s:
        yield "pool_timeout follows it: who queues behind them waits as long."
    else:
        yield f"pool_timeout {_time(pool.queue_timeout_s)} is how long the others queue behind them."
    statement_s = pool.client_statement_timeout_s
    if statement_s and statement_s != question.space.base.client_statement_timeout_s:
        survive = question.wake.on_suspend in (OnSuspend.KEEP, OnSuspend.FREEZE, OnSuspend.VANISH)
        because = ": connections survive the suspend, so a statement can meet it" if survive else ""
        yield f"statement_timeout {_time(statement_s)} was needed too{because}."
    elif statement_s:
        yield f"statement_timeout {_time(statement_s)} is as it was: nothing else was needed."


def _awake(question: Question, warm: tuple[Warm, ...]) -> Iterator[str]:
    if not warm:
        return
    ours, *today = warm
    instances = next(iter(question.plan.stories.values())).instances
    each = f" for each of {instances} instances" if instances > 1 else ""
    text = f"With the database awake it holds up to {plural(ours.pool.capacity, 'connection')}{each}: {_costs(ours)}."
    for other in today:
        text += f" What is set today holds up to {other.pool.capacity}: {_costs(other)}."
    yield text


def _costs(warm: Warm) -> str:
    fail = "none fails" if not warm.failed else "1 fails" if warm.failed == 1 else f"{warm.failed} fail"
    connect = "none has to connect" if not warm.connects else f"{warm.connects} have to connect"
    connect = "1 has to connect" if warm.connects == 1 else connect
    return f"p95 {seconds(warm.p95_s)}, of {plural(warm.requests, 'request')} {fail} and {connect}"


def _today(answer: Answer) -> Iterator[str]:
    today = answer.today
    if today is None or (answer.found is not None and today.pool.resolved == answer.found.resolved):
        if today is not None:
            yield "It is what is set today."
        return
    if today.meets:
        tried = len(answer.question.seeds[:SCREENED])
        yield f"What is set today, {named(today.pool)}, meets them too{f', with each of {tried}' if tried > 1 else ''}."
    else:
        yield f"What is set today is {named(today.pool)}. {why(today)}"


def _nothing(question: Question, would_help: WouldHelp) -> Iterator[str]:
    closest, smallest, largest = would_help.closest, would_help.smallest, would_help.largest
    yield f"The closest of {len(question.space)} candidates is {named(closest.pool)}. {why(closest)}"
    if len(question.space.sizes) > 1:
        values = f"{_values(smallest)} with {smallest.pool.short}, and {_values(largest)} with {largest.pool.short}"
        if _values(smallest) == _values(largest):
            values = f"{_values(largest)} with {smallest.pool.short} as with {largest.pool.short}"
        yield f"No pool size mends it: at a connection_timeout of {_connecting(largest.pool)} {values}."
    if would_help.wake_s is None:
        yield "No wake is short enough, not even one of 0 s."
    else:
        yield f"It takes a wake of no more than {shown_s(would_help.wake_s)}, with {named(would_help.with_wake)}."
    if would_help.patience_s is not None:
        yield f"Or clients that wait {would_help.patience_s:g} s for an answer, with {named(would_help.with_patience)}."
    yield from _keepalive(question, would_help.awake)


def _values(verdict: Verdict) -> str:
    """The missed values: `failed is 83.0%`."""
    missed = (f"{one.objective.measure} is {one.objective.shown(one.value)}" for one in verdict.missed)
    return ", ".join(missed)


def _keepalive(question: Question, awake: Verdict) -> Iterator[str]:
    if not awake.meets:
        yield f"Not even a database that is always awake would do. {why(awake)}"
        return
    yield f"Or a database that does not sleep: awake, {named(awake.pool)} meets them."
    if question.wake.suspend_after_s is not None:
        yield (
            f"A query every {question.wake.suspend_after_s:g} s or more often keeps it awake. The price is the compute "
            f"of every hour that it now sleeps: {HOURS_OF_A_MONTH} hours are a month. `coldstart run keepalive --stack "
            "simulated` plays one."
        )


def in_real_time(confirmed: Confirmed, answer: Answer) -> str:
    """Whether the prediction for one configuration held in real time."""
    values = ", ".join(
        f"{objective} {'holds' if objective.is_met(value) else 'is missed'} ({objective.shown(value)})"
        for objective in answer.question.objectives.all
        for value in [confirmed.values[str(objective)]]
    )
    where = f"On {answer.stack}, at a wake of {three_figures(answer.confirmed_at_s or 0.0)} s"
    if not confirmed.is_a_measurement:
        return f"{where}, {named(confirmed.pool)}: the trial kept no schedule, so it confirms nothing."
    held = "as predicted" if confirmed.held else "NOT as predicted"
    return f"{where}, {named(confirmed.pool)}, {held}: {values}."
