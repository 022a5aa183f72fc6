"""A DSN of the user's, read and written with the proxy's place in it."""

import pytest

from harness.up.upstream import Upstream

PLACE = ("127.0.0.1", 5433)


@pytest.mark.parametrize(
    ("dsn", "dialled", "url", "libpq_url"),
    [
        ("postgresql://a:b%40@localhost/c", "localhost:5432", "postgresql://a:b%40@127.0.0.1:5433/c", None),
        ("host=10.0.0.1 port=6000 user=a dbname=c", "10.0.0.1:6000", "postgresql://a@127.0.0.1:5433/c", None),
        ("postgresql://[::1]:7/c", "[::1]:7", "postgresql://127.0.0.1:5433/c", None),
        (
            "postgresql://a:b@db.example.com/c?channel_binding=require&sslmode=verify-full",
            "db.example.com:5432",
            "postgresql://a:b@127.0.0.1:5433/c?sslmode=verify-full",
            "postgresql://a:b@db.example.com:5433/c?channel_binding=require&sslmode=verify-full&hostaddr=127.0.0.1",
        ),
        (
            "postgresql://a@db.example.com/c?sslmode=disable",
            "db.example.com:5432",
            "postgresql://a@127.0.0.1:5433/c?sslmode=disable",
            None,
        ),
        (
            "postgresql://a@db.example.com/c?options=-c%20x%3Dy&hostaddr=10.0.0.1",
            "10.0.0.1:5432",
            "postgresql://a@127.0.0.1:5433/c?options=-c%20x%3Dy",
            "postgresql://a@db.example.com:5433/c?options=-c%20x%3Dy&hostaddr=127.0.0.1",
        ),
    ],
)
def test_the_proxys_place_is_put_into_a_dsn(dsn: str, dialled: str, url: str, libpq_url: str | None) -> None:
    upstream = Upstream.read(dsn)
    assert upstream.place == dialled
    assert upstream.url_at(*PLACE) == url
    assert upstream.libpq_url_at(*PLACE) == (libpq_url or url)


def test_its_password_is_not_shown() -> None:
    assert "secret" not in repr(Upstream.read("postgresql://a:secret@b/c"))
