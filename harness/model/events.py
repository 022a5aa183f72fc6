"""The events of a trial's timeline: the values of the `event` column of a run's events."""

from enum import StrEnum
from typing import Self


class Event(StrEnum):
    """An event's name, as in a run's files, and its meaning."""

    meaning: str

    def __new__(cls, name: str, meaning: str = "") -> Self:
        event = str.__new__(cls, name)
        event._value_ = name
        event.meaning = meaning
        return event

    WARMED = "warmed", "The pool holds the connections the story begins with; detail: how many"
    SUSPENDED = "suspended", "The compute suspended"
    SLOW = "slow", "From here on a round trip to the database takes longer; value_s: by how much"
    OUTAGE = "outage", "The database went away; value_s: for how long"
    CONNECTIONS_LOST = (
        "connections_lost",
        "Some of the open connections died, the database being awake; detail: how many in a hundred, and how",
    )
    POOL_REPLACED = "pool_replaced", "A deploy: an instance has a new, empty pool; detail: which instance"
    BURST_STARTED = (
        "burst_started",
        "The first arrival of a burst could come from here on; at_s is 0 for the first burst; "
        "detail: its number where there are several, and that moment in UTC, in real time",
    )
    FIRST_ATTEMPT = (
        "first_attempt",
        "The first connection attempt after a suspend: the wake begins; value_s: how late it was detected",
    )
    WOKEN = "woken", "The compute answers again; value_s: how long after the planned wake"
    FIRST_RELEASED = "first_released", "The first held connection went on; value_s: how long after the planned wake"
    LAST_RELEASED = "last_released", "The last held connection went on; value_s: how long after the planned wake"
    BURST_ENDED = "burst_ended", "The last request of a burst had ended; of overlapping bursts, the last of all"
    LISTENER_CONNECTED = (
        "listener_connected",
        "The queue listener listens; value_s: how long the attempt took; detail: which",
    )
    LISTENER_HEARTBEAT_FAILED = (
        "listener_heartbeat_failed",
        "Its heartbeat failed; value_s: how long that took; detail: the exception's name",
    )
    LISTENER_DISCONNECTED = "listener_disconnected", "It dropped its connection"
    LISTENER_RECONNECTING = (
        "listener_reconnecting",
        "It will try to connect again; value_s: how long it waits before it does",
    )
    LISTENER_CONNECT_FAILED = (
        "listener_connect_failed",
        "An attempt failed; value_s: how long it took; detail: which, the exception's name",
    )
    LISTENER_NOTIFIED = "listener_notified", "It heard a notification; detail: the payload"
    STALLED = (
        "stalled",
        "A part stood still, so that what it did meanwhile came late; value_s: for how long; detail: which part",
    )
    RESTARTED = (
        "restarted",
        "PostgreSQL crashed or was restarted, which no story asks of it: it ended all of its processes",
    )
    ANSWERED = (
        "answered",
        "How an application's statements were answered from its recording; detail: exactly, by the same shape, by the "
        "last answer of the statement",
    )
    NOT_PLAYED = (
        "not_played",
        "An application did what virtual time can't play, so its trial is not to be relied on; detail: what, how often",
    )
