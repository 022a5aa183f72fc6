"""A Dask cluster of processes on loopback, until stdin ends: `python -m benchmarks.local_cluster WORKERS`.

It prints the scheduler's address. With `--failures` a task may be in so many deaths of a worker; the `dask_setup` of
the file `--preload` is called in each worker as it starts.
"""

import argparse
import sys

import dask
from distributed import LocalCluster


def main() -> None:
    """Serve, each worker with one thread."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.local_cluster", description=__doc__)
    parser.add_argument("workers", type=int)
    parser.add_argument("--failures", type=int, default=3)
    parser.add_argument("--preload", action="append", default=[])
    given = parser.parse_args()
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": given.failures}),
        LocalCluster(
            n_workers=given.workers, threads_per_worker=1, processes=True, host="127.0.0.1",
            dashboard_address="127.0.0.1:0", preload=given.preload,
        ) as cluster,
    ):  # fmt: skip
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
