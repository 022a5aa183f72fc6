"""The verdicts as JUnit XML: a test suite a check, a test case an objective, configuration and wake.

The format that build servers read, as https://github.com/testmoapp/junitxml collects it.
"""

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from harness.gate.checks import Checked, Gate
from harness.gate.verdict import RULE, Judged, Verdict

NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write (https://www.w3.org/TR/xml/#charsets)."""
ELEMENTS = {Verdict.MISSED: "failure", Verdict.UNKNOWN: "error"}
"""What is unknown is an error: a skipped test is shown as no problem."""


def junit(gate: Gate) -> str:
    """The document, as text in UTF-8; it ends with a newline."""
    # The trials of a check are played together: the suite's time is all that is known.
    took_s = sum(check.wall_s for check in gate.checks)
    document = ET.Element("testsuites", {"name": "coldstart check", **_counts(gate.judged, took_s)})
    document.extend(_suite(check, gate.file) for check in gate.checks)
    ET.indent(document)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(document, encoding="unicode") + "\n"


def _suite(check: Checked, file: str) -> ET.Element:
    suite = ET.Element("testsuite", {"name": _xml(check.name), "skipped": "0", **_counts(check.judged, check.wall_s)})
    properties = {
        "file": file, "scenario": check.title, "stack": check.stack, "run": check.run or "", "rule": RULE,
        "patience": check.patience,
    }  # fmt: skip
    written = ET.SubElement(suite, "properties")
    for name, value in properties.items():
        if value:
            ET.SubElement(written, "property", name=name, value=_xml(value))
    suite.extend(_case(one, check.name) for one in check.judged)
    if said := check.remarks:
        ET.SubElement(suite, "system-out").text = _xml("\n".join(said))
    return suite


def _case(one: Judged, check: str) -> ET.Element:
    name = f"{one.objective} with {one.configuration}, {one.wake}"
    case = ET.Element("testcase", name=_xml(name), classname=_xml(f"coldstart.{check}"))
    if one.verdict in ELEMENTS:
        result = ET.SubElement(case, ELEMENTS[one.verdict], type=one.verdict.value, message=_xml(one.sentence))
        result.text = _xml(one.sentence)
    return case


def _counts(judged: Sequence[Judged], took_s: float) -> dict[str, str]:
    verdicts = [one.verdict for one in judged]
    return {
        "tests": str(len(verdicts)), "failures": str(verdicts.count(Verdict.MISSED)),
        "errors": str(verdicts.count(Verdict.UNKNOWN)), "time": f"{took_s:.3f}",
    }  # fmt: skip


def _xml(text: str) -> str:
    return NOT_XML.sub("?", text)
