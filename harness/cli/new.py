"""`coldstart new`: a commented scenario to begin with."""

from pathlib import Path

import click

from harness.cli.options import FOLDER
from harness.cli.written import write_scenario
from harness.model.limits import check_name

TEXT = '''"""{name}: what is played, and what it is to show. The first line is what `coldstart list` shows."""

from harness.scenario import Burst, RequestMix, Scenario, Suspend, Traffic, Warm, none
from harness.wake import profile

# What clients ask for, as weights. RequestShape("upload", Checkout(Query(), Upstream(0.5))) is a request of your own.
mix = RequestMix.of({{"read_track": 6, "list_tracks": 3, "write_play": 1}})

SCENARIO = Scenario(
    name="{name}",
    # How the database suspends, and how long its wake takes: `coldstart list profiles` shows the providers'.
    wake=profile("neon", latency_s=8.0),
    # The pools to compare, pool_size+max_overflow; pool("5+0", pool_timeout=30) has another setting.
    pools=("5+0", "10+5"),
    # What happens, one phase after the other; there are Idle, Slow, Outage and Deploy as well.
    timeline=(
        # The pool opens its connections.
        Warm(),
        # The compute suspends. The first request will wake it.
        Suspend(),
        # Requests come on time, whatever became of those before; At(10, Suspend()) in here is a suspend meanwhile.
        Traffic(
            Burst.rate(4, for_s=20, mix=mix),
            Burst.rate(12, for_s=10, mix=mix),
        ),
    ),
    # How long a client waits for its answer.
    client_timeout_s=60,
    # What should come of it, by pool. Where it does not, the exit status is 1.
    expect={{"10+5": none("failure")}},
)
'''


@click.command()
@click.argument("name")
@click.option("--out", type=FOLDER, default=".", help="The folder to write it into.  [default: here]")
def new(name: str, out: Path) -> None:
    """Write NAME.py, a commented scenario to begin with. It runs as it is."""
    check_name(name, where="NAME")
    write_scenario(out / f"{name}.py", TEXT.format(name=name), otherwise="another name, or another folder with --out")
