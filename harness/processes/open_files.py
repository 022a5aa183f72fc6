"""The limit of open files: a storm of clients needs more than the usual 1,024."""

import resource

ENOUGH = 65_536
"""Where the hard limit is infinity, setting that itself fails on macOS."""


def allow_open_files() -> None:
    """Let this process and the children it starts open as many files as the system lets them.

    A request that waits for the wake holds a socket in Locust, one in the service and two in the proxy.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
