"""`coldstart requests from-locustfile`: a real application, and Locust users that really ask it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.application.requests_file import read_requests
from harness.model.application_request import ApplicationRequest

APPLICATION = """
from fastapi import FastAPI, Header, HTTPException, Response
from fastapi.responses import RedirectResponse

app = FastAPI()
orders = {}

@app.post("/login")
def login(given: dict, response: Response):
    assert given["password"] == "hunter2"
    response.set_cookie("sid", "cookie-5ecret")
    return {"token": "eyJhbGci1.c2VjcmV0"}

@app.get("/items/{item}")
def item(item: int):
    if item > 50:
        raise HTTPException(404)
    return {"id": item}

@app.post("/orders", status_code=201)
def add(order: dict, authorization: str = Header()):
    assert authorization == "Bearer eyJhbGci1.c2VjcmV0"
    orders[1000 + len(orders)] = order
    return {"id": 999 + len(orders)}

@app.get("/orders/{number}")
def order(number: int):
    return orders[number]

@app.get("/old")
def old():
    return RedirectResponse("/items/1")
"""
HEAD = "import random\nimport uuid\nfrom locust import FastHttpUser, HttpUser, TaskSet, constant, tag, task\n"
SHOPPER = """
class Shopper(HttpUser):
    wait_time = constant(600)

    def on_start(self):
        answer = self.client.post("/login", json={"user": "me", "password": "hunter2"})
        self.headers = {"Authorization": "Bearer " + answer.json()["token"], "X-Tenant": "acme"}

    @tag("reading")
    @task(8)
    def read(self):
        self.client.get(f"/items/{random.randint(1, 50)}")

    @task(2)
    def buy(self):
        order = {"item": "tea", "email": f"u-{uuid.uuid4().hex}@example.com", "note": "{key} ${HOME}"}
        number = self.client.post("/orders", json=order, headers=self.headers).json()["id"]
        self.client.get(f"/orders/{number}", name="/orders/[id]")
"""


def coldstart(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness", "requests", "from-locustfile", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=110)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A small application that runs, as a user would run it; its URL."""
    folder = tmp_path_factory.mktemp("application")
    (folder / "main.py").write_text(APPLICATION)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "main:app", "--port", str(port), "--log-level", "critical"]
    with subprocess.Popen(command, cwd=folder) as process:
        until_s = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < until_s
        yield f"http://127.0.0.1:{port}"
        process.terminate()


def asked_of(file: Path) -> dict[str, tuple[ApplicationRequest, float]]:
    mix = read_requests(file)
    return {one.value: (one, weight) for one, weight in mix.weights if isinstance(one, ApplicationRequest)}


def listened(folder: Path, target: str, source: str, *words: str) -> tuple[str, str]:
    """The file that is written, and what is said of it."""
    (folder / "locustfile.py").write_text(HEAD + source)
    done = coldstart("locustfile.py", "--target", target, "--out", "mine.toml", "--force", *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    return (folder / "mine.toml").read_text(), done.stderr


def refusal(folder: Path, *words: str, status: int = 2) -> str:
    done = coldstart(*words, cwd=folder)
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    (line,) = done.stderr.splitlines()
    return line


def test_users_become_a_file_with_their_names_weights_and_no_credential(tmp_path: Path, target: str) -> None:
    # 120 tasks of 4 users who wait ten minutes after each would be five hours.
    text, said = listened(tmp_path, target, SHOPPER, "--tasks", "120", "--users", "4")
    asked = asked_of(tmp_path / "mine.toml")
    assert set(asked) == {"items_key", "post_orders", "orders_id", "post_login"}
    read, reads = asked["items_key"]
    assert read.target == "/items/{key}"
    assert 1 <= read.keys[0] < read.keys[1] <= 50
    order, orders = asked["post_orders"]
    # Eight of ten tasks read: of 120 that is 96, give or take four standard deviations of 4.4.
    assert reads + orders == 120
    assert 78 <= reads <= 114
    assert order.body == '{"item": "tea", "email": "u-{unique}@example.com", "note": "key {HOME}"}'
    assert dict(order.headers) == {
        "Authorization": "Bearer ${API_TOKEN}",
        "X-Tenant": "acme",
        "Content-Type": "application/json",
    }
    assert asked["post_login"][0].body == '{"user": "me", "password": "${PASSWORD}"}'
    assert asked["post_login"][1] == 4
    for secret in ("hunter2", "eyJhbGci1", "c2VjcmV0", "5ecret"):
        assert secret not in text + said
    assert "where it needs one, headers = {Cookie = " in text
    assert "API_TOKEN is a variable of your environment: Authorization is a credential" in text
    assert "asked by no task, only as users started or stopped" in text
    # An order's number is the application's own: no range of numbers that exist.
    made, _ = asked["orders_id"]
    assert made.target.startswith("/orders/1")
    assert f"# {made.target.rpartition('/')[2]} was in an earlier answer to its user: put one that exists\n" in text
    total = int(reads + 2 * orders + 4)
    assert f"locustfile.py: {total} requests by 120 tasks of 4 users, in 4 kinds\n" in said
    assert "not answered well" not in said


def test_the_file_is_asked_of_the_same_application_by_run(tmp_path: Path, target: str) -> None:
    """Its placeholders and variables are those that every other command fills in."""
    listened(tmp_path, target, SHOPPER, "--tasks", "100", "--users", "2")
    asked = asked_of(tmp_path / "mine.toml")
    sent = asked["post_orders"][0].asked(7, {"API_TOKEN": "a"})
    assert sent.headers["Authorization"] == "Bearer a"
    assert '"email": "u-7@example.com"' in (sent.body or "")


def test_waits_decide_how_often_each_class_asks_though_nobody_waits(tmp_path: Path, target: str) -> None:
    source = """
class Often(FastHttpUser):
    wait_time = constant(100)
    @task
    def ask(self):
        self.client.get("/items/1", name="often")

class Seldom(FastHttpUser):
    wait_time = constant(900)
    @task
    def ask(self):
        self.client.get("/items/2", name="seldom")
"""
    listened(tmp_path, target, source, "--tasks", "100", "--users", "2")
    weights = {name: weight for name, (_, weight) in asked_of(tmp_path / "mine.toml").items()}
    # Nine to one, but for the first task of each, before which nobody waits.
    assert weights == pytest.approx({"often": 90, "seldom": 10}, abs=2)


def test_pacing_looks_at_a_clock_on_which_a_wait_takes_its_time(tmp_path: Path, target: str) -> None:
    source = """
from locust import constant_pacing
class Paced(FastHttpUser):
    wait_time = constant_pacing(500)
    @task
    def ask(self):
        self.client.get("/items/1", name="paced")

class Waiting(FastHttpUser):
    wait_time = constant(500)
    @task
    def ask(self):
        self.client.get("/items/2", name="waiting")
"""
    listened(tmp_path, target, source, "--tasks", "80", "--users", "2")
    weights = {name: weight for name, (_, weight) in asked_of(tmp_path / "mine.toml").items()}
    assert weights == pytest.approx({"paced": 40, "waiting": 40}, abs=3)


def test_nested_task_sets_end_and_their_tasks_are_counted(tmp_path: Path, target: str) -> None:
    source = """
class Deep(HttpUser):
    @task
    class Inside(TaskSet):
        @task(3)
        def ask(self):
            self.client.get("/items/1", name="inside")
        @task
        def leave(self):
            self.interrupt()
"""
    _, said = listened(tmp_path, target, source, "--tasks", "40", "--users", "2")
    assert "by 40 tasks of 2 users, in 1 kind\n" in said


def test_what_was_not_answered_well_is_told(tmp_path: Path, target: str) -> None:
    source = """
class Unlucky(FastHttpUser):
    n = 0
    @task
    def ask(self):
        type(self).n += 1
        self.client.get(f"/items/{40 + type(self).n}", name="some")
        with self.client.get("/nowhere", catch_response=True) as answer:
            answer.success()
        with self.client.get("/items/1", name="refused", catch_response=True) as answer:
            answer.failure("too old")
        self.client.get("/items/x", name="never")
        raise RuntimeError("at its end")
"""
    text, said = listened(tmp_path, target, source, "--tasks", "20", "--users", "1")
    asked = asked_of(tmp_path / "mine.toml")
    # What was answered well is what is to be asked.
    assert asked["some"][0].keys == (41, 50)
    assert "# 10 of 20 were not answered well: 404 (10)\n" in text
    assert asked["nowhere"][0].statuses == (404,)
    assert "# statuses: the locustfile takes 404 for a success\n" in text
    assert "# 20 of 20 were not answered well: 200 (20)\n" in text
    assert "# 20 of 20 were not answered well: 422 (20)\n" in text
    assert "not answered well: 50 of 80 requests: 200 (20), 422 (20), 404 (10)\n" in said
    assert "ended by an exception: 20 tasks: RuntimeError: at its end\n" in said


@pytest.mark.parametrize("kind", ["HttpUser", "FastHttpUser"])
def test_both_kinds_of_users_are_heard_alike(tmp_path: Path, target: str, kind: str) -> None:
    source = f"""
class One({kind}):
    @task
    def ask(self):
        self.client.get("/old")
        self.client.get("/items/" + str(random.randint(1, 40)), params={{"of": "tea & cake"}})
        self.client.post("/orders", data={{"a": "b c", "pin": "1234"}}, name="form")
        self.client.post("/orders", data=bytes([255, 0, 1]), name="bytes")
        self.client.get("http://127.0.0.1:9/other")
"""
    text, said = listened(tmp_path, target, source, "--tasks", "10", "--users", "1", "--methods", "all")
    asked = asked_of(tmp_path / "mine.toml")
    assert set(asked) == {"old", "items_key", "form", "bytes"}
    assert asked["items_key"][0].target == "/items/{key}?of=tea%20%26%20cake"
    assert asked["old"][0].target == "/old"
    assert "# its answer was a redirect, which is not followed here\n" in text
    assert asked["form"][0].body == "a=b%20c&pin=${PIN}"
    assert asked["bytes"][0].body is None
    assert "# its body is no text, or a long one: write it, as body\n" in text
    assert f"left out: 10 not below {target}\n" in said
    only, said = listened(tmp_path, target, source, "--tasks", "10", "--users", "1", "--methods", "GET")
    assert "post" not in only.lower().replace("from-", "")
    assert "left out: 20 of a method that is not in --methods GET\n" in said


def test_a_target_below_a_path_is_left_out_of_paths(tmp_path: Path, target: str) -> None:
    source = """
class One(HttpUser):
    @task
    def ask(self):
        self.client.get("/3")
        self.client.get(self.host.removesuffix("/items") + "/old", allow_redirects=False)
"""
    _, said = listened(tmp_path, f"{target}/items", source, "--tasks", "5", "--users", "1")
    (request, weight) = asked_of(tmp_path / "mine.toml")["id"]
    assert (request.target, weight) == ("/3", 5)
    assert f"left out: 5 not below {target}/items\n" in said


def test_it_stops_after_the_time_that_was_given(tmp_path: Path, target: str) -> None:
    source = """
import gevent
class Slow(HttpUser):
    @task
    def ask(self):
        self.client.get("/items/1")
        gevent.sleep(0.5)
"""
    _, said = listened(tmp_path, target, source, "--users", "1", "--within", "2")
    assert "stopped after 2 s, before 200 tasks (--within)\n" in said


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import nothing_of_this_name\n", "importing it failed: ModuleNotFoundError: No module named 'nothing_of_th"),
        ("raise SystemExit('needs TOKEN')\n", "importing it failed: SystemExit: needs TOKEN"),
        ("def f(:\n", "importing it failed: SyntaxError: "),
        ("x = 1\n", "has no user class with tasks (allowed: a class of HttpUser or FastHttpUser with @task)"),
        ("class A(HttpUser):\n    pass\n", "has no user class with tasks (allowed: "),
        ("class A(HttpUser):\n    @task\n    def ask(self):\n        pass\n", "asked nothing"),
        (
            "class A(HttpUser):\n    def on_start(self):\n        raise KeyError('token')\n    @task\n"
            "    def ask(self):\n        pass\n",
            "asked nothing: KeyError: 'token'",
        ),
        (
            "class A(HttpUser):\n    @task\n    def ask(self):\n        self.client.get('http://127.0.0.1:9/x')\n",
            "but 3 times something else (allowed: the --target that its users ask)",
        ),
        (
            "class A(HttpUser):\n    @task\n    def ask(self):\n        self.client.post('/orders')\n",
            "asked nothing of GET, but 3 requests of other methods (allowed: --methods all)",
        ),
    ],
    ids=["import", "exit", "syntax", "no class", "no task", "nothing", "on_start", "elsewhere", "methods"],
)
def test_a_locustfile_that_cant_be_used_is_named_in_one_line(
    tmp_path: Path, target: str, source: str, says: str
) -> None:
    (tmp_path / "mine.py").write_text(HEAD + source)
    words = ("mine.py", "--target", target, "--tasks", "3", "--users", "1", "--methods", "GET")
    line = refusal(tmp_path, *words)
    assert line.startswith("coldstart: mine.py: ")
    assert says in line


def test_what_is_wrong_before_anything_starts_is_named_in_one_line(tmp_path: Path, target: str) -> None:
    assert "none.py: no such file (allowed: a locustfile)" in refusal(tmp_path, "none.py", "--target", target)
    assert ".: is a folder" in refusal(tmp_path, ".", "--target", target)
    (tmp_path / "mine.py").write_text(HEAD + SHOPPER)
    assert "nobody answers at http://127.0.0.1:9: Connection refused" in refusal(
        tmp_path, "mine.py", "--target", "http://127.0.0.1:9"
    )
    line = refusal(tmp_path, "mine.py", "--target", "http://me:s3cret@127.0.0.1:9")
    assert "has a user in it" in line
    assert "s3cret" not in line
    assert "no/py is no Python" in refusal(tmp_path, "mine.py", "--target", target, "--python", "no/py")
    assert "Missing option '--target'" in refusal(tmp_path, "mine.py")
    assert "0 is not in the range" in refusal(tmp_path, "mine.py", "--target", target, "--tasks", "0")


def test_an_application_that_never_answers_is_named(tmp_path: Path) -> None:
    source = "class A(HttpUser):\n    @task\n    def ask(self):\n        self.client.get('/', timeout=0.2)\n"
    (tmp_path / "mine.py").write_text(HEAD + source)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        line = refusal(tmp_path, "mine.py", "--target", url, "--tasks", "2", "--users", "1")
    assert line.startswith(f"coldstart: {url}: answered none of 2 requests: ReadTimeout")


def test_an_environment_without_locust_is_named(tmp_path: Path, target: str) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    (tmp_path / "mine.py").write_text(HEAD + SHOPPER)
    line = refusal(tmp_path, "mine.py", "--target", target, "--python", "bare")
    assert "needs Locust, which this Python does not have (allowed: --python, an environment with locust in it)" in line


def test_the_locustfiles_process_goes_when_the_command_is_killed(tmp_path: Path, target: str) -> None:
    written = tmp_path / "pid"
    source = f"""
import os, gevent
class Long(HttpUser):
    @task
    def ask(self):
        self.client.get("/items/1")
        with open({str(written)!r}, "a") as file:
            file.write(f"{{os.getpid()}}\\n")
        gevent.sleep(600)
"""
    (tmp_path / "mine.py").write_text(HEAD + source)
    command = [sys.executable, "-m", "harness", "requests", "from-locustfile", "mine.py", "--target", target]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not (written.exists() and written.read_text().endswith("\n")):
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
    # Its waits pass at once, so that the task has been run more than once.
    (pid,) = {int(line) for line in written.read_text().splitlines()}
    until_s = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
        assert time.monotonic() < until_s
        time.sleep(0.05)
    assert os.getpid() != pid
