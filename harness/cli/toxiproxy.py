"""`coldstart toxiproxy`: the embedded Toxiproxy server by itself."""

import click


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where its HTTP API listens.")
@click.option("--port", default=8474, show_default=True, type=click.IntRange(0, 65_535), help="0: any free port.")
def toxiproxy(host: str, port: int) -> None:
    """Serve Toxiproxy's HTTP API and its toxics. For any Toxiproxy client; Ctrl-C stops it."""
    from harness.proxy.server import serve

    serve(host=host, port=port)
