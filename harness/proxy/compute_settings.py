"""A compute as the /coldstart endpoints describe it, and as a stack asks for it."""

import sys
from dataclasses import dataclass
from typing import Any

from harness.model.compute import Behaviour, ErrorResponse, OnSuspend, WhileWaking
from harness.model.errors import UserError
from harness.proxy.silence import can_silence


@dataclass(frozen=True, slots=True)
class ComputeSettings:
    """A compute as the API describes it."""

    behaviour: Behaviour
    wake_latencies_s: tuple[float, ...]
    """One a wake; the last one goes on for every wake after."""
    names_clients: bool = False
    """Whether events are to tell who its clients are, also where it does not suspend by itself."""

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> "ComputeSettings":
        """Raises `UserError` for a word or a number that doesn't fit."""
        latencies = body.get("wake_latency_s", 0.0)
        latencies_s = tuple(latencies) if isinstance(latencies, list) else (latencies,)
        if not latencies_s or not all(is_seconds(latency_s) for latency_s in latencies_s):
            raise UserError("wake_latency_s must be seconds, 0 or positive, or a list of them", where="compute")
        suspend_after_s = body.get("suspend_after_s")
        if suspend_after_s is not None and not is_seconds(suspend_after_s):
            raise UserError("suspend_after_s must be seconds, more than 0", where="compute")
        error = body.get("error")
        try:
            behaviour = Behaviour(
                on_suspend=OnSuspend(body.get("on_suspend", OnSuspend.TERMINATE)),
                while_waking=WhileWaking(body.get("while_waking", WhileWaking.HOLD)),
                suspend_after_s=suspend_after_s,
                open_connections_prevent_suspend=bool(body.get("open_connections_prevent_suspend", False)),
                **({"error": ErrorResponse(**error)} if error else {}),
            )
        except (ValueError, TypeError) as wrong:
            raise UserError(str(wrong), where="compute") from wrong
        check_can(behaviour.on_suspend)
        return cls(behaviour, latencies_s, bool(body.get("names_clients", False)))

    def to_json(self) -> dict[str, Any]:
        behaviour = self.behaviour
        return {
            "on_suspend": behaviour.on_suspend.value,
            "while_waking": behaviour.while_waking.value,
            "wake_latency_s": list(self.wake_latencies_s),
            "suspend_after_s": behaviour.suspend_after_s,
            "open_connections_prevent_suspend": behaviour.open_connections_prevent_suspend,
            "error": {
                "severity": behaviour.error.severity,
                "sqlstate": behaviour.error.sqlstate,
                "message": behaviour.error.message,
            },
            "names_clients": self.names_clients,
        }


def check_can(on_suspend: OnSuspend) -> None:
    """Raises `UserError` for what a proxy on this machine can't do to its connections."""
    if on_suspend is OnSuspend.VANISH and not can_silence():
        allowed = ", ".join(sorted(set(OnSuspend) - {OnSuspend.VANISH}))
        raise UserError("connections can only vanish on Linux", where="compute", allowed=allowed)


def is_seconds(value: object) -> bool:
    # Python compares whole numbers of any size with infinity, and then can't add them to a clock: hence the largest.
    return type(value) in (int, float) and 0 <= value <= sys.float_info.max  # type: ignore[operator]  # a number
