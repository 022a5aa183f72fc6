"""The profile of `make fuzz`, and what is said at its end: how many examples of each, and how many were accepted."""

import pytest
from hypothesis import settings

from tests.fuzz.fuzzing import NIGHTLY, PROFILE, fuzzer

__all__ = ["fuzzer"]

NIGHTLY_LIMIT_S = 7_200
settings.register_profile(PROFILE, max_examples=NIGHTLY)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if settings.get_current_profile_name() == PROFILE:
        for item in items:
            item.add_marker(pytest.mark.timeout(NIGHTLY_LIMIT_S))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if settings.get_current_profile_name() != PROFILE:
        return
    terminalreporter.section("fuzzed")
    total = 0
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        for name, value in report.user_properties:
            if name == "fuzzed":
                examples, share, took_s = value
                total += examples
                test = report.nodeid.partition("::")[2]
                terminalreporter.write_line(f"{examples:>7} examples  {share:4.0%} accepted  {took_s:6.0f} s  {test}")
    terminalreporter.write_line(f"{total:>7} examples in all")
