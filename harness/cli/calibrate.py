"""`coldstart calibrate`: measured times for the simulated stack."""

import tempfile
from pathlib import Path

import click

from harness.cli.terminal import echo
from harness.processes.cancelling import run_async

FILE = Path("results") / "calibration.json"


@click.command()
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), default=FILE, show_default=True, help="Where to."
)
def calibrate(out: Path) -> None:
    """Measure round trip, connect and statement times. For `coldstart run --calibration`."""
    from harness.results.calibration import write_calibration
    from harness.stacks.calibrating import calibrate as measure

    with tempfile.TemporaryDirectory(prefix="coldstart-") as logs:
        measured = run_async(measure(Path(logs)))
    write_calibration(measured, out)
    for name, seconds in measured.medians_s().items():
        echo(f"{name:10}  {seconds * 1000:6.2f} ms (median)")
    echo(f"{measured.source}, through the proxy; written to {out}")
