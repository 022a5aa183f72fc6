"""How each request is asked for over HTTP. The load generator imports this, so it needs nothing but the nouns."""

from dataclasses import dataclass

from harness.model.arrivals import RequestName

PROBLEM_JSON = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path; `{key}` in the path is the arrival's key."""

    method: str
    path: str

    def url(self, key: int, *, hold_s: float) -> str:
        """The path of one request."""
        return self.path.format(key=key, hold_s=hold_s)


ROUTES: dict[RequestName, Route] = {
    RequestName.READ_TRACK: Route("GET", "/tracks/{key}"),
    RequestName.LIST_TRACKS: Route("GET", "/tracks?after={key}"),
    RequestName.WRITE_PLAY: Route("POST", "/tracks/{key}/plays"),
    RequestName.HOLD_CONNECTION: Route("POST", "/tracks/{key}/hold?hold_s={hold_s:g}"),
    RequestName.SLOW_QUERY: Route("GET", "/tracks/{key}/slow?seconds={hold_s:g}"),
    RequestName.LEAK_CONNECTION: Route("POST", "/tracks/{key}/leak"),
}
