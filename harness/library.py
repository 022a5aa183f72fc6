"""Where scenarios are found: `scenarios/` of the working directory, those that are shipped, or any path."""

from dataclasses import replace
from pathlib import Path

from harness.access_log import with_logs_read
from harness.model.errors import UserError
from harness.model.paths import is_file, is_folder
from harness.model.plan import PlannedRun
from harness.model.scenario import Scenario
from harness.model.story import Story
from harness.scenario_file import import_file
from harness.shipped import shipped

SCENARIO_ALLOWED = "a scenario's name, or the path of a Python file"
NOT_SCENARIOS = frozenset({"__init__", "locustfile"})


def scenario_folders() -> list[Path]:
    """The folders that hold scenarios by name, the working directory's first."""
    return [folder for folder in dict.fromkeys([Path.cwd() / "scenarios", shipped("scenarios")]) if folder.is_dir()]


def scenario_names() -> list[str]:
    """Every scenario that can be run by its name."""
    return sorted(
        {path.stem for folder in scenario_folders() for path in folder.glob("*.py") if path.stem not in NOT_SCENARIOS}
    )


def load_scenario(name_or_path: str) -> Scenario:
    """The scenario of that name, or of the file at that path. Raises `UserError` in one line."""
    path = _find(name_or_path)
    module = import_file(path)
    scenario = getattr(module, "SCENARIO", None)
    if not isinstance(scenario, Scenario):
        raise UserError("has no SCENARIO", where=str(path), allowed="SCENARIO = Scenario(...)")
    scenario = with_logs_read(scenario, beside=path.parent)
    return replace(scenario, description=scenario.description or (module.__doc__ or "").strip())


def story_in_real_time(name_or_path: str) -> Story:
    """The story that Locust's own command line plays: shortened if it is, and of several variants the first."""
    return PlannedRun(scenario=load_scenario(name_or_path), real_time=True).trials[0].story


def _find(name_or_path: str) -> Path:
    path = Path(name_or_path)
    if path.suffix == ".py" or len(path.parts) > 1:
        if is_file(path):
            return path
        what = "is a folder" if is_folder(path) else "no such file"
        raise UserError(what, where=name_or_path, allowed=SCENARIO_ALLOWED)
    for folder in scenario_folders():
        if name_or_path not in NOT_SCENARIOS and is_file(found := folder / f"{name_or_path}.py"):
            return found
    raise UserError(f"no scenario {name_or_path!r}", where="SCENARIO", allowed=", ".join([*scenario_names(), "a path"]))
