"""`coldstart requests`: a requests file, of an OpenAPI document, an access log, or the users of a locustfile."""

import shutil
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

import click

from harness.access_log import read_log
from harness.application.drafts import Draft
from harness.application.logged import grouped
from harness.application.openapi import read_document, requests_of
from harness.application.requests_file import write_requests
from harness.application.variables import read_variables
from harness.cli.options import FILE, STARTED, Command, with_options
from harness.cli.questions import REQUESTS_FILE
from harness.cli.terminal import echo
from harness.cli.written import write_file
from harness.model.application import Application
from harness.model.application_request import METHODS, ApplicationRequest
from harness.model.arrivals import RequestMix
from harness.model.errors import StackError, UserError
from harness.model.replay import REQUEST_COLUMN, TIME_COLUMN
from harness.processes.cancelling import run_async

if TYPE_CHECKING:
    from harness.application.heard import Heard
    from harness.application.locustfile import Listened, Listening

LOG = click.Path(path_type=Path)
FETCH_LIMIT_S = 30.0
LARGEST_BYTES = 16 * 2**20
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
KINDS = 30
MOST_KINDS = 1000
MOST_TASKS = 10_000
MOST_USERS = 1000
LONGEST_S = 3600


def _methods_option(default: str) -> tuple[Callable[[Command], Command]]:
    help_ = "Requests of these methods, or all."
    return (click.option("--methods", default=default, show_default=True, metavar="GET,POST,…", help=help_),)


WRITTEN = (
    click.option("--out", type=FILE, metavar="FILE.toml", help="The file to write.  [default: standard output]"),
    click.option("--force", is_flag=True, help="Write over a file that is there."),
)


@click.group()
def requests() -> None:
    """Make a requests file: what an application of your own is asked."""


@requests.command("from-openapi")
@click.argument("source", required=False)
@with_options(STARTED, _methods_option("GET"), WRITTEN)
def from_openapi(source: str | None, **given: Any) -> None:  # noqa: ANN401 - click's options, each with its type above
    """Write the requests of an OpenAPI document.

    SOURCE is a JSON file or a URL; with --app instead, the application is asked itself, without being served.
    """
    methods = _methods(given["methods"])
    if (source is None) == (given["app"] is None):
        raise click.UsageError("Give either SOURCE or --app.")
    where = given["app"] if source is None else _without_secrets(source)
    text = _of_application(given) if source is None else _of_source(source, given)
    drafts = requests_of(read_document(text, where=where), methods=methods, where=where)
    _write(drafts, **_where_to(given))


@requests.command("from-log")
@click.argument("log", type=LOG)
@click.option("--time-column", default=TIME_COLUMN, show_default=True, metavar="NAME", help="Column of the moments.")
@click.option(
    "--request-column", default=REQUEST_COLUMN, show_default=True, metavar="NAME", help="Column of the requests."
)
@click.option(
    "--most",
    type=click.IntRange(1, MOST_KINDS),
    default=KINDS,
    show_default=True,
    help="Only so many kinds of requests, the most frequent ones.",
)
@with_options(_methods_option("GET"), WRITTEN)
def from_log(log: Path, **given: Any) -> None:  # noqa: ANN401 - click's options, each with its type above
    """Write the requests of an access log, with weights by how often each was asked for.

    LOG is CSV with a header, JSON lines (.jsonl, .ndjson, .json), or an access log of nginx or Apache (.log). Paths
    that differ in a number, a UUID or a hexadecimal id only are one kind of request.
    """
    methods = _methods(given["methods"])
    logged = read_log(log, columns=(given["time_column"], given["request_column"]))
    found = grouped((one.request for one in logged), methods=methods, most=given["most"], where=str(log))
    left_out = {
        f"of a method that is not in --methods {given['methods']}": found.other_methods,
        f"of kinds beyond the {given['most']} most frequent (--most)": found.rare,
        "that name no method and path": found.no_path,
    }
    _write(found.drafts, **_where_to(given))
    echo(f"{log.name}: {found.asked} of {len(logged)} requests, in {_counted(len(found.drafts), 'kind')}", err=True)
    for what, times in left_out.items():
        if times:
            echo(f"left out: {times} {what}", err=True)


@requests.command("from-locustfile")
@click.argument("locustfile", type=LOG)
@click.option("--target", required=True, metavar="URL", help="Your application, which is running and is asked.")
@click.option("--tasks", type=click.IntRange(1, MOST_TASKS), default=200, show_default=True, help="Tasks to run.")
@click.option("--users", type=click.IntRange(1, MOST_USERS), default=10, show_default=True, help="Users to run them.")
@click.option(
    "--within", "within_s", type=click.FloatRange(1, LONGEST_S), default=60, show_default=True, metavar="SECONDS",
    help="Stop after this time, with what was asked by then.",
)  # fmt: skip
@click.option("--python", metavar="PATH", help="The locustfile's environment.  [default: coldstart's own]")
@with_options(_methods_option("all"), WRITTEN)
def from_locustfile(locustfile: Path, **given: Any) -> None:  # noqa: ANN401 - click's options, each with its type above
    """Write the requests of a locustfile's users.

    The users really ask them of TARGET, and what they add is added: it should not be production. A weight is how
    often a request was asked. Waits between two tasks are passed over, which leaves every share as it is.
    """
    from harness.application.heard import counted_answers, heard
    from harness.application.locustfile import Listening, check_listening, listen

    methods = _methods(given["methods"])
    listening = Listening(
        locustfile=locustfile, **{name: given[name] for name in ("target", "python", "users", "tasks", "within_s")}
    )
    check_listening(listening)
    with _log_kept_on_failure("locustfile") as log:
        listened = run_async(listen(listening, log=log))
    found = heard(listened.requests, target=listening.target, methods=methods)
    _check_heard(found, listened, listening, given["methods"])
    _write(found.drafts, **_where_to(given))
    assert listened.ended is not None
    by = f"{_counted(listened.ended.tasks, 'task')} of {_counted(listened.ended.users, 'user')}"
    echo(
        f"{locustfile.name}: {_counted(found.asked, 'request')} by {by}, in {_counted(len(found.drafts), 'kind')}",
        err=True,
    )
    if listened.ended.timed_out:
        echo(f"stopped after {listening.within_s:g} s, before {listening.tasks} tasks (--within)", err=True)
    if found.answers:
        failed = f"{sum(found.answers.values())} of {_counted(found.asked, 'request')}"
        echo(f"not answered well: {failed}: {counted_answers(found.answers)}", err=True)
    left_out = {
        f"of a method that is not in --methods {given['methods']}": found.other_methods,
        f"not below {listening.target}": found.elsewhere,
        "that were none of HTTP": listened.ended.elsewhere,
    }
    for what, times in left_out.items():
        if times:
            echo(f"left out: {times} {what}", err=True)
    for error, times in listened.ended.errors.items():
        echo(f"ended by an exception: {_counted(times, 'task')}: {' '.join(error.split())}", err=True)


def _check_heard(found: "Heard", listened: "Listened", listening: "Listening", methods: str) -> None:
    """Raises `UserError` where nothing was asked that a file can have, and where nothing was answered."""
    where, ended = str(listening.locustfile), listened.ended
    assert ended is not None
    if not found.drafts:
        why = next(iter(ended.errors), None)
        if found.other_methods:
            what = f"asked nothing of {methods}, but {_counted(found.other_methods, 'request')} of other methods"
            raise UserError(what, where=where, allowed="--methods all")
        if found.elsewhere or ended.elsewhere:
            what = (
                f"asked nothing below {listening.target}, but {found.elsewhere + ended.elsewhere} times something else"
            )
            raise UserError(what, where=where, allowed="the --target that its users ask")
        within = f" in {listening.within_s:g} s" if ended.timed_out else ""
        raise UserError(f"asked nothing{within}" + (f": {why}" if why else ""), where=where)
    if all(record.status == 0 for record in listened.requests):
        first = next((record.error for record in listened.requests if record.error), "no answer")
        raise UserError(
            f"answered none of {_counted(len(listened.requests), 'request')}: {first}", where=listening.target
        )


def _methods(text: str) -> frozenset[str]:
    """Read `GET,POST`, or `all`. Raises `UserError`."""
    if text.strip().lower() == "all":
        return frozenset(METHODS)
    methods = [method.strip().upper() for method in text.split(",")]
    for method in methods:
        if method not in METHODS:
            raise UserError(f"no method {method!r}", where="--methods", allowed=f"{', '.join(METHODS)}, or all")
    return frozenset(methods)


def _of_source(source: str, given: dict[str, Any]) -> bytes:
    """The document that a file or a URL has."""
    named = {"--python": given["python"], "--app-dir": given["folder"], "--env": given["variables"]}
    for option, value in named.items():
        if value:
            raise UserError(f"{option} is about an application", where=_without_secrets(source), allowed="with --app")
    return _fetched(source) if _is_url(source) else _file(Path(source))


def _of_application(given: dict[str, Any]) -> str:
    """The document of an application that is imported for it."""
    from harness.application.describing import describe
    from harness.application.starting import check_application

    asked = ApplicationRequest(name="openapi", target="/openapi.json")
    application = Application(
        app=given["app"],
        mix=RequestMix(((asked, 1.0),)),
        python=given["python"],
        folder=str(given["folder"] or "."),
        variables=read_variables(given["variables"]),
    )
    check_application(application)
    with _log_kept_on_failure("application") as log:
        return run_async(describe(application, log=log))


@contextmanager
def _log_kept_on_failure(name: str) -> Iterator[Path]:
    """A file for what a process says: kept when the process fails, because the message names it."""
    logs = Path(tempfile.mkdtemp(prefix="coldstart-requests-"))
    try:
        yield logs / f"{name}.log"
    except StackError:
        raise
    except BaseException:
        shutil.rmtree(logs)
        raise
    shutil.rmtree(logs)


def _is_url(source: str) -> bool:
    return source.lower().startswith(("http://", "https://"))


def _without_secrets(source: str) -> str:
    """The source as it can be shown: a URL without a user, a password and a query."""
    if not _is_url(source):
        return source
    scheme, _, rest = source.partition("://")
    place, slash, path = rest.partition("?")[0].partition("#")[0].partition("/")
    return f"{scheme}://{place.rpartition('@')[2]}{slash}{path}"


def _fetched(url: str) -> bytes:
    """What a URL answers. Raises `UserError`."""
    where = _without_secrets(url)
    try:
        parts = urlsplit(url)
        request = Request(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl())  # noqa: S310 - http or https
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            # Not for whoever it may be redirected to.
            request.add_unredirected_header("Authorization", f"Basic {b64encode(user.encode()).decode()}")
        # A proxy configured for the outside world has no business on loopback.
        direct = [ProxyHandler({})] if parts.hostname in LOOPBACK else []
        with build_opener(*direct).open(request, timeout=FETCH_LIMIT_S) as answer:
            text: bytes = answer.read(LARGEST_BYTES + 1)
    except HTTPError as error:
        error.close()
        raise UserError(f"was answered with {error.code}", where=where, allowed="an OpenAPI document") from None
    except OSError as error:
        raise UserError(f"can't be fetched: {getattr(error, 'reason', error)}", where=where) from None
    except (ValueError, HTTPException) as error:
        # Its own words may have the user and the password.
        raise UserError(f"can't be fetched: {type(error).__name__}", where=where) from None
    return _small(text, where)


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return _small(file.read(LARGEST_BYTES + 1), str(path))
    except OSError as error:
        raise UserError(f"can't be read: {error.strerror}", where=str(path)) from None


def _small(text: bytes, where: str) -> bytes:
    if len(text) > LARGEST_BYTES:
        raise UserError("is too large", where=where, allowed=f"up to {LARGEST_BYTES // 2**20} MB")
    return text


def _where_to(given: dict[str, Any]) -> dict[str, Any]:
    return {"out": given["out"], "force": given["force"]}


def _write(drafts: Sequence[Draft], *, out: Path | None, force: bool) -> None:
    """The file, or standard output; and on standard error what is left to do."""
    text = write_requests(drafts, name=REQUESTS_FILE if out is None else out.name)
    if out is None:
        echo(text.removesuffix("\n"))
    else:
        write_file(out, text, force=force, otherwise="another --out, or --force to write over it")
        echo(f"{out} is written: {_counted(len(drafts), 'request')}", err=True)
    if noted := sum(bool(draft.notes) for draft in drafts):
        echo(f"left to your hand: {noted} of {_counted(len(drafts), 'request')}, each with a comment", err=True)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
