"""The model of a silent network beside this machine's own kernel, measured in a network namespace: `make kernel`.

Several connections of each kind, a fraction of a second apart, so that they meet the kernel's timer wheel in different
phases. A row has the least and the largest measured time of one retransmission, and how far the model is from it at
most, in the phase that the kernel says it was in. Needs root, `unshare`, `ip` and `nft`; takes 142 s, with `--long`,
which waits until data is given up, 960 s.
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks.report import SIMULATION_PAGE, write_table
from benchmarks.silent_network import Seen, Story, measure, obstacle
from harness.model.kernel import LINUX_5, LINUX_6_5, TICKS_A_SECOND, Kernel, Silence

CONNECTIONS = 8
REQUESTS_S = 142.0
DATA_S = 142.0
LONG_S = 960.0
ALLOWED_S = 0.1
"""How far the model may be from a measured time: the kernel's clock was read a little earlier."""


def expected(seen: Seen, kernel: Kernel, *, request: bool) -> Silence:
    """What the model says of a connection in the same phase; its times count from the moment it asked or wrote."""
    asked_s = seen.jiffies / TICKS_A_SECOND
    silence = kernel.request(asked_s) if request else kernel.data(asked_s)
    return Silence(tuple(again_s - asked_s for again_s in silence.again_s), silence.gives_up_s - asked_s)


def apart_s(seen: Seen, silence: Silence) -> list[float]:
    """How far each retransmission, and the end where it was seen, is from the model."""
    ends = [] if seen.ended_s is None else [seen.ended_s - silence.gives_up_s]
    return [*(one - model for one, model in zip(seen.sent_s, silence.again_s, strict=False)), *ends]


def rows(what: str, seen_all: Sequence[Seen], kernel: Kernel, *, request: bool) -> list[list[str]]:
    """A row for each retransmission, and for giving up."""
    expectations = [expected(seen, kernel, request=request) for seen in seen_all]
    numbers = range(min(len(seen.sent_s) for seen in seen_all))
    moments = [
        (f"{number + 1}", [seen.sent_s[number] for seen in seen_all], [one.again_s[number] for one in expectations])
        for number in numbers
    ]
    ended_s = [seen.ended_s for seen in seen_all if seen.ended_s is not None]
    if len(ended_s) == len(seen_all):
        moments.append(("given up", ended_s, [one.gives_up_s for one in expectations]))
    return [
        [
            what, name, f"{min(measured_s):.2f} to {max(measured_s):.2f}",
            f"{max(abs(one - model) for one, model in zip(measured_s, model_s, strict=True)):.3f}",
        ]
        for name, measured_s, model_s in moments
    ]  # fmt: skip


def main(*, long: bool) -> int:
    if missing := obstacle():
        print(f"not measured: {missing}")
        return 2
    requests = [Story(request=True)] * CONNECTIONS
    data = [Story(request=False)] * CONNECTIONS
    with ThreadPoolExecutor() as at_once:
        new = at_once.submit(measure, requests, for_s=REQUESTS_S, settings={"tcp_syn_linear_timeouts": 4})
        old = at_once.submit(measure, requests, for_s=REQUESTS_S, settings={"tcp_syn_linear_timeouts": 0})
        sent = at_once.submit(measure, data, for_s=LONG_S if long else DATA_S)
    table = [
        *rows("request, linux-6.5", new.result(), LINUX_6_5, request=True),
        *rows("request, linux-5", old.result(), LINUX_5, request=True),
        *rows("data", sent.result(), LINUX_6_5, request=False),
    ]
    write_table("kernel", ("what", "sent again", "measured, after [s]", "model apart [s]"), table, page=SIMULATION_PAGE)
    return 1 if any(float(row[-1]) > ALLOWED_S for row in table) else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true", help="wait until unacknowledged data is given up: 16 minutes")
    sys.exit(main(long=parser.parse_args().long))
