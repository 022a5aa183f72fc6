"""The guest in an environment that has nothing of ours: a virtual one with the application's libraries alone."""

import importlib.util
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from harness.model.errors import StackError
from harness.postgres import PostgresServer
from harness.processes.messages import PoolWarmed, ServiceReady, SimulatorReady, WarmPool
from tests.guest.started import APPLICATION, ENTRY, environment_for, started

pytestmark = pytest.mark.anyio

OF_SQLALCHEMY = ("sqlalchemy", "greenlet", "typing_extensions", "asyncpg")
OF_UVICORN = ("uvicorn", "h11", "click")
OF_STARLETTE = ("starlette", "anyio", "idna")
LIBRARIES = (*OF_SQLALCHEMY, *OF_UVICORN, *OF_STARLETTE)
NO_DATABASE = PostgresServer(host="127.0.0.1", port=1, user="u", database="d", version="", password="p")
Environment = Callable[..., str]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Makes an environment with these libraries and nothing else; its interpreter."""

    def make(*libraries: str) -> str:
        folder = tmp_path_factory.mktemp("environment") / ".venv"
        venv.create(folder, symlinks=True, with_pip=False)
        site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))
        for library in libraries:
            spec = importlib.util.find_spec(library)
            assert spec is not None
            assert spec.origin is not None
            origin = Path(spec.origin)
            there = origin.parent if origin.name == "__init__.py" else origin
            (site / there.name).symlink_to(there)
        return str(folder / "bin" / "python")

    return make


@pytest.fixture(scope="module")
def bare(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> str:
    python = environment(*LIBRARIES)
    importing = [python, "-c", "import harness"]
    nowhere = tmp_path_factory.mktemp("nowhere")
    done = subprocess.run(importing, cwd=nowhere, capture_output=True, text=True, check=False)
    assert "No module named 'harness'" in done.stderr
    return python


def entered(python: str, folder: Path, part: str = "serve") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, ENTRY, part], cwd=folder, env={**os.environ, **environment_for(NO_DATABASE)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


async def test_it_serves_where_nothing_of_ours_is_installed(
    tmp_path: Path, bare: str, postgres: PostgresServer
) -> None:
    (tmp_path / "main.py").write_text(APPLICATION)
    async with started(tmp_path, environment_for(postgres), python=bare) as child:
        port = (await child.next_record(ServiceReady)).port
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            assert (await client.get("/items/7")).json() == {"item": 7}
        await child.send(WarmPool(ages_s=(0.0, 0.0)))
        async for record in child.records():
            if isinstance(record, PoolWarmed):
                break


async def test_it_is_ready_to_simulate_there_too(tmp_path: Path, bare: str) -> None:
    (tmp_path / "main.py").write_text(APPLICATION)
    async with started(tmp_path, environment_for(NO_DATABASE), python=bare, part="simulate") as child:
        await child.next_record(SimulatorReady)
        assert await child.stop() == 0


async def test_the_applications_folder_comes_first_and_python_may_be_told_to_be_safe(tmp_path: Path, bare: str) -> None:
    (tmp_path / "main.py").write_text("import of_pythonpath, starlette\nraise LookupError(starlette.__file__)\n")
    (tmp_path / "starlette.py").touch()
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "of_pythonpath.py").touch()
    path = {"PYTHONPATH": str(tmp_path / "more")}
    for more in (path, {"PYTHONSAFEPATH": "1", **path}):
        environment = {**environment_for(NO_DATABASE), **more}
        async with started(tmp_path, environment, python=bare) as child:
            with pytest.raises(StackError) as caught:
                await child.next_record(ServiceReady)
        assert f"LookupError: {tmp_path / 'starlette.py'}" in str(caught.value)


@pytest.mark.parametrize("file", ["harness.py", "harness/__init__.py"])
@pytest.mark.parametrize("part", ["serve", "simulate"])
def test_an_application_with_a_module_of_our_name_is_refused_in_words(
    tmp_path: Path, bare: str, file: str, part: str
) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).touch()
    done = entered(bare, tmp_path, part)
    assert done.returncode == 1
    assert done.stderr == "the application has a module named harness, which is coldstart's own name in its process\n"


def test_an_environment_without_uvicorn_or_sqlalchemy_is_refused_in_words(
    tmp_path: Path, environment: Environment
) -> None:
    (tmp_path / "main.py").write_text(APPLICATION)
    without_uvicorn, without_sqlalchemy = environment(*OF_SQLALCHEMY, *OF_STARLETTE), environment(*OF_UVICORN)
    must = "the application's environment must have it (--python)\n"
    done = entered(without_uvicorn, tmp_path)
    assert (done.returncode, done.stderr) == (1, f"{without_uvicorn} has no uvicorn: {must}")
    for part in ("serve", "simulate"):
        done = entered(without_sqlalchemy, tmp_path, part)
        assert (done.returncode, done.stderr) == (1, f"{without_sqlalchemy} has no sqlalchemy: {must}")


def test_an_old_python_is_refused_in_words(tmp_path: Path) -> None:
    code = f"import sys; sys.version_info = (3, 9, 2); sys.argv = ['', 'serve']; exec(open({ENTRY!r}).read())"
    done = subprocess.run(
        [sys.executable, "-c", code.replace("exec(", "__file__ = " + repr(ENTRY) + "; exec(")],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == "the application's Python is 3.9, and coldstart needs 3.11 or newer there (--python)\n"
