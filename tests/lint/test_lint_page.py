"""docs/lint.md has every rule."""

from pathlib import Path

from linted import linted

from harness.lint.linting import RULES
from harness.lint.report import together_lines, verdict

PAGE = (Path(__file__).parent.parent.parent / "docs" / "lint.md").read_text()


def test_every_rule_has_a_row_of_the_page() -> None:
    assert [rule.name for rule in RULES if f"| {rule.name} |" not in PAGE] == []
    assert PAGE.count("\n| no ") + PAGE.count("\n| the client ") + PAGE.count("\n| every answer ") == len(RULES)


def test_the_pages_example_is_what_is_printed() -> None:
    result = linted("10+5", "12")
    words = " ".join(PAGE.split())
    assert verdict(result) in PAGE
    for finding in result.findings:
        assert finding.sentence in words
    assert all(f"  {line}\n" in PAGE for line in together_lines(result))
