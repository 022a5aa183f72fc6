"""Turns the command line's options into `Overrides`: everything that a user changed."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.application.env_file import EnvFile
from harness.application.requests_file import read_requests
from harness.application.variables import read_variables
from harness.model.application import Application, Stub
from harness.model.arrivals import Pattern
from harness.model.compute import OnSuspend, WhileWaking
from harness.model.errors import UserError
from harness.model.kernel import KERNELS
from harness.model.plan import Overrides, PlannedRun
from harness.model.pool import SHORT_FORM_ALLOWED, PoolConfiguration
from harness.model.wake import read_wake

REQUESTS_FILE = "requests.toml"
"""Where an application's requests are looked for, in its folder."""
RECORDING_FILE = "recording.jsonl"
"""Where its recording is written, and looked for."""

ABOUT_AN_APPLICATION = (
    "requests_file", "python", "folder", "variables", "init", "prepare", "recording", "stubs", "cpu",
)  # fmt: skip
"""Options that are about an application, and mean nothing without one."""


def overrides_of(given: Mapping[str, Any]) -> Overrides:
    """The given options (`pools`, `wakes`, `over_s`, …) as overrides. Raises `UserError` for a wrong value."""
    from harness.results.calibration import read_calibration

    return Overrides(
        pools=tuple(read_pool(text) for text in given["pools"]),
        settings=read_settings(given["settings"]),
        wakes=tuple(read_wake(text, where="--wake") for text in given["wakes"]),
        on_suspend=None if given["on_suspend"] is None else OnSuspend(given["on_suspend"]),
        while_waking=None if given["while_waking"] is None else WhileWaking(given["while_waking"]),
        requests=given["requests"],
        over_s=given["over_s"],
        arrivals=None if given["arrivals"] is None else Pattern(given["arrivals"]),
        warm=given["warm"],
        alert_sustained_s=given["alert_sustained_s"],
        service_time_s=given["service_time_s"],
        connect_time_s=given["connect_time_s"],
        calibration=None if given["calibration"] is None else read_calibration(given["calibration"]),
        application=application_of(given),
        kernel=None if given["kernel"] is None else KERNELS[given["kernel"]](),
        seed=given["seed"],
        repeat=given["repeat"],
        control=given["control"],
    )


def application_of(given: Mapping[str, Any]) -> Application | None:
    """The application that the options describe; None: they name none. Raises `UserError`."""
    if given.get("target") is not None:
        return _running(given)
    if given.get("up_port") is not None:
        raise UserError("is about an application that is running", where="--up-port", allowed="with --target")
    if given.get("app") is None:
        for option in ABOUT_AN_APPLICATION:
            if given.get(option):
                named = {"folder": "--app-dir", "variables": "--env", "stubs": "--stub"}
                raise UserError(
                    f"{named.get(option, '--' + option.replace('_', '-'))} is about an application of one's own",
                    where="run",
                    allowed="with --app, or with --target" if option == "requests_file" else "with --app",
                )
        return None
    folder: Path = given["folder"] or Path()
    return Application(
        app=given["app"],
        mix=read_requests(given["requests_file"] or folder / REQUESTS_FILE),
        python=given["python"],
        folder=str(folder),
        variables=read_variables(given["variables"]),
        init=None if given["init"] is None else str(given["init"]),
        prepare=given["prepare"],
        recording=_recording(given.get("recording"), folder),
        stubs=tuple(_read_stub(text) for text in given.get("stubs", ())),
        cpu=given.get("cpu", False),
    )


def _running(given: Mapping[str, Any]) -> Application:
    """The application that is running at `--target`. Raises `UserError` for what only one that is started can have."""
    only_started = {
        "app": "--app", "python": "--python", "folder": "--app-dir", "variables": "--env", "init": "--init",
        "prepare": "--prepare", "recording": "--recording", "stubs": "--stub", "cpu": "--cpu",
    }  # fmt: skip
    for name, option in only_started.items():
        if given.get(name):
            raise UserError(
                "is for an application that is started, and --target is one that is running", where=option,
                allowed="one of the two",
            )  # fmt: skip
    return Application(target=given["target"], mix=read_requests(given["requests_file"] or Path(REQUESTS_FILE)))


def _recording(given: Path | None, folder: Path) -> str | None:
    """The recording that was asked for, else the one beside the application where there is one."""
    if given is not None:
        return str(given)
    beside = folder / RECORDING_FILE
    return str(beside) if beside.is_file() else None


def _read_stub(text: str) -> Stub:
    host, _, seconds = text.partition("=")
    try:
        return Stub(host=host.strip(), for_s=float(seconds.strip().removesuffix("s")))
    except ValueError:
        raise UserError(f"{text!r} is not a stub", where="--stub", allowed="HOST=SECONDS") from None


def read_pool(text: str) -> PoolConfiguration:
    """Read `10+5`, `the fix: 10+5,pool_timeout=30,use_lifo=false`, or `env` for the pool of the DATABASE_ variables."""
    name, colon, pool_text = text.rpartition(":")
    short, *settings = pool_text.strip().split(",")
    pool = PoolConfiguration.from_environment(os.environ) if short == "env" else PoolConfiguration.from_short(short)
    pool = pool.with_settings(read_settings(settings, where="--pool"), where="--pool")
    return pool.named(name.strip()) if colon else pool


def env_file_of(given: Mapping[str, Any]) -> EnvFile | None:
    """The env file that says the configuration; None: --pool or the scenario does. Raises `UserError`."""
    if given["env_file"] is None:
        return None
    if given["pool"] is not None:
        raise UserError("is a configuration, as --pool is", where="--env-file", allowed="one of the two")
    return EnvFile.read(given["env_file"])


def configuration_of(given: Mapping[str, Any], env_file: EnvFile | None, plan: PlannedRun) -> PoolConfiguration:
    """One configuration: the env file's, the given pool, or the scenario's first. Raises `UserError`."""
    if env_file is not None:
        return PoolConfiguration.from_environment(env_file.values)
    return plan.scenario.pool_configurations[0] if given["pool"] is None else read_pool(given["pool"])


def read_axes(texts: Sequence[str]) -> dict[str, list[str]]:
    """Read `NAME=VALUE,VALUE` of `--set`, by name: each value is to be tried. The names are checked later."""
    axes: dict[str, list[str]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not name.strip():
            raise UserError(f"{text!r} is not a setting", where="--set", allowed="NAME=VALUE, or NAME=VALUE,VALUE,…")
        axes[name.strip()] = [value.strip() for value in values.split(",")]
    return axes


def read_settings(pairs: Sequence[str], *, where: str = "--set") -> dict[str, str]:
    """Read `NAME=VALUE` pairs. The names are checked later, when the settings are applied."""
    settings = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            allowed = SHORT_FORM_ALLOWED + ", then NAME=VALUE" if where == "--pool" else "NAME=VALUE"
            raise UserError(f"{pair!r} is not a setting", where=where, allowed=allowed)
        settings[name.strip()] = value.strip()
    return settings
