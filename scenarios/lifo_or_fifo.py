"""LIFO or FIFO: after a burst, how many connections stay alive, and how stale is the one a request is given?

Thirty requests at once fill the pool; then one comes every two seconds. LIFO gives out the connection that was used
last, so it is seconds old; FIFO goes round, so it is as old as a round takes. But neither lets any go: SQLAlchemy
closes what is beyond pool_size when it comes back, and keeps the rest for ever. LIFO only lets the others grow old, so
that something else (a server's idle timeout, pool_recycle at the next checkout) can end them unnoticed.
"""

from harness.scenario import Burst, RealTime, RequestMix, Scenario, Warm, none, pool, that
from harness.wake import profile

lifo, fifo = pool("10+5"), pool("10+5", use_lifo=False)
peak = Burst(30, over_s=0, arrivals="at_once", mix=RequestMix.of({"hold_connection": 1}, hold_s=0.5))

keeps_ten = that("ten connections stay", lambda trial: trial.live_after == 10)

SCENARIO = Scenario(
    name="lifo_or_fifo",
    wake=profile("always-on"),
    pools=(lifo, fifo),
    timeline=(Warm(0), peak, Burst(60, over_s=120, arrivals="even")),
    expect={
        lifo: (none("failure"), keeps_ten, that("idle at most 3 s (p95)", lambda trial: (trial.idle_p95_s or 0) <= 3)),
        fifo: (
            none("failure"),
            keeps_ten,
            that("idle 15 s and more (p95)", lambda trial: (trial.idle_p95_s or 0) >= 15),
        ),
    },
    real_time=RealTime(
        "the two quiet minutes are 12 s, with a request every 0.2 s",
        timeline=(Warm(0), peak, Burst(60, over_s=12, arrivals="even")),
        expect={
            lifo: (
                none("failure"),
                keeps_ten,
                that("idle at most 0.5 s (p95)", lambda one: (one.idle_p95_s or 0) <= 0.5),
            ),
            fifo: (
                none("failure"),
                keeps_ten,
                that("idle 1.5 s and more (p95)", lambda one: (one.idle_p95_s or 0) >= 1.5),
            ),
        },
    ),
)
