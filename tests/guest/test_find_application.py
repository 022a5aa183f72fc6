"""An application is found as uvicorn finds one, and what is none is refused in one line."""

import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from harness.guest.application import NoApplicationError, find_application

ASGI = "async def app(scope, receive, send): ...\n"
NUMBERS = count()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """Writes a module; its name, one that no other test has."""
    monkeypatch.syspath_prepend(tmp_path)
    written = []

    def write(source: str) -> str:
        name = f"application_{next(NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(source)
        written.append(name)
        return name

    yield write
    for name in written:
        sys.modules.pop(name, None)


def refused(name: str) -> str:
    with pytest.raises(NoApplicationError) as caught:
        find_application(name)
    (line,) = str(caught.value).splitlines()
    return line


def test_a_function_an_instance_and_a_nested_attribute_are_applications(module: Callable[[str], str]) -> None:
    name = module(
        ASGI
        + "class Application:\n"
        + "    async def __call__(self, scope, receive, send): ...\n"
        + "class Container:\n    pass\n"
        + "made = Application()\n"
        + "container = Container()\n"
        + "container.web = Container()\n"
        + "container.web.asgi = made\n"
    )
    imported = __import__(name)
    assert find_application(f"{name}:app") is imported.app
    assert find_application(f"{name}:made") is imported.made
    assert find_application(f"{name}:container.web.asgi") is imported.made


@pytest.mark.parametrize(
    "factory",
    [
        "def create():\n    return app\n",
        "def create(settings=None, **more):\n    return app\n",
        "class Factory:\n    def __call__(self):\n        return app\ncreate = Factory()\n",
        "create = lambda: app\n",
    ],
    ids=["no arguments", "all have defaults", "an object", "a lambda"],
)
def test_what_takes_no_arguments_is_called_and_makes_one(module: Callable[[str], str], factory: str) -> None:
    name = module(ASGI + factory)
    assert find_application(f"{name}:create") is __import__(name).app


def test_an_application_that_takes_any_arguments_is_not_called(module: Callable[[str], str]) -> None:
    name = module(
        "async def function(*arguments): ...\n"
        "class Application:\n    async def __call__(self, *arguments): ...\n"
        "instance = Application()\n"
    )
    imported = __import__(name)
    assert find_application(f"{name}:function") is imported.function
    assert find_application(f"{name}:instance") is imported.instance


def test_what_is_not_there_is_said(module: Callable[[str], str]) -> None:
    name = module(ASGI)
    assert refused("nothing_of_this_name:app") == (
        "nothing_of_this_name:app: no module 'nothing_of_this_name' in its environment"
    )
    assert refused(f"{name}:application") == f"{name}:application: {name} has no application"
    assert refused(f"{name}:app.inner") == f"{name}:app.inner: {name} has no app.inner"
    importing = module("import nothing_of_that_name\n")
    assert refused(f"{importing}:app") == f"{importing}:app: no module 'nothing_of_that_name' in its environment"


def test_what_the_module_raises_is_one_line_of_words(module: Callable[[str], str]) -> None:
    raising = module("raise RuntimeError('2 settings are missing\\n  SECRET_KEY\\n  field required')\n")
    assert refused(f"{raising}:app") == (
        f"{raising}:app: importing it failed: RuntimeError: 2 settings are missing SECRET_KEY field required"
    )
    wrong = module("def app(:\n")
    assert "importing it failed: SyntaxError: " in refused(f"{wrong}:app")
    leaving = module("import sys\nsys.exit('DATABASE_URL is not set')\n")
    assert refused(f"{leaving}:app") == f"{leaving}:app: importing it failed: SystemExit: DATABASE_URL is not set"
    factory = module("def create():\n    raise KeyError('SECRET_KEY')\n")
    assert refused(f"{factory}:create") == f"{factory}:create: calling it failed: KeyError: 'SECRET_KEY'"


@pytest.mark.parametrize(
    "source",
    [
        "def app(environ, start_response): ...\n",
        "class Flask:\n    def __call__(self, environ, start_response): ...\napp = Flask()\n",
        "def create(): return lambda environ, start_response: []\napp = create\n",
        "app = 'main:app'\n",
        "app = None\n",
        "class app:\n    async def __call__(self, scope, receive, send): ...\n",
        "async def app(): ...\n",
    ],
    ids=["wsgi", "an instance for wsgi", "a factory of wsgi", "a text", "none", "a class", "a coroutine's function"],
)
def test_what_is_no_asgi_application_is_refused(module: Callable[[str], str], source: str) -> None:
    name = module(source)
    assert refused(f"{name}:app") == f"{name}:app is not an ASGI application"
