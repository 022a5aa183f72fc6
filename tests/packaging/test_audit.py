"""`make audit` with the real pip-audit and a service of known vulnerabilities on loopback: found, none, not reached."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from benchmarks.audit import audit, lock_files
from harness.model.exit_status import EXIT_UNKNOWN

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements-uv.lock"
ADVISORY = {
    "id": "PYSEC-2026-1", "summary": "x", "details": "x", "aliases": [], "modified": "2026-01-01T00:00:00Z",
    "published": "2026-01-01T00:00:00Z",
    "affected": [{"package": {"name": "uv", "ecosystem": "PyPI"}, "ranges": [{"type": "ECOSYSTEM", "events": [
        {"introduced": "0"}, {"fixed": "99.1"},
    ]}]}],
}  # fmt: skip


class Service(HTTPServer):
    """Answers like osv.dev's /v1/query."""

    vulnerabilities: list[object]


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"vulns": self.server.vulnerabilities} if self.server.vulnerabilities else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - its base's


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(("127.0.0.1", 0), Handler) as server:
        server.vulnerabilities = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def asked(port: int) -> list[str]:
    return ["--vulnerability-service", "osv", "--osv-url", f"http://127.0.0.1:{port}/v1/query"]


def test_a_known_vulnerability_is_named_with_the_version_that_mends_it(service: Service) -> None:
    service.vulnerabilities = [ADVISORY]
    status, said = audit(LOCK, asked(service.server_port))
    assert status == 1, said
    assert "PYSEC-2026-1, fixed in 99.1" in said


def test_pins_without_one_pass(service: Service) -> None:
    status, said = audit(LOCK, asked(service.server_port))
    assert (status, said) == (0, "requirements-uv.lock: 1 packages, no known vulnerability")


def test_a_service_that_is_not_reached_is_said_in_one_line_and_is_no_pass() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    status, said = audit(LOCK, asked(port))
    assert status == EXIT_UNKNOWN
    assert said.startswith("requirements-uv.lock: not audited: ")
    assert "\n" not in said


def test_every_lock_file_is_asked_about() -> None:
    names = {str(path.relative_to(ROOT)) for path in lock_files()}
    assert names == {*(path.name for path in ROOT.glob("*.lock")), "examples/prefect/requirements.txt"}


def test_a_file_without_pins_is_no_pass(tmp_path: Path) -> None:
    (tmp_path / "empty.lock").write_text("# nothing\n")
    status, said = audit(tmp_path / "empty.lock")
    assert status == EXIT_UNKNOWN, said
