"""As much of SQL's lexical structure as tells one statement from the next, and a text's shape from its accidents.

Source: PostgreSQL's documentation, "Lexical Structure".
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

TOKEN = re.compile(
    r"""
    (?P<space>   \s+ | --[^\n]* )
  | (?P<comment> /\* )
  | (?P<dollar>  \$ (?P<tag> [A-Za-z_\u0080-\uffff][\w]* )? \$ )
  | (?P<parameter> \$\d+ )
  | (?P<escaped> [eE]' (?: [^'\\] | \\. | '' )* '? )
  | (?P<string>  (?: [bBxXnN] | [uU]& )? ' (?: [^'] | '' )* '? )
  | (?P<quoted>  (?: [uU]& )? " (?: [^"] | "" )* "? )
  | (?P<word>    [^\W\d][\w$]* )
  | (?P<number>  (?: \d[\d_]* (?: \.[\d_]* )? | \.\d[\d_]* ) (?: [eE][+-]?\d+ )? (?: [xob][\da-fA-F_]+ )? )
  | (?P<cast>    :: )
  | (?P<sign>    . )
    """,
    re.VERBOSE | re.DOTALL,
)
COMMENT_EDGE = re.compile(r"/\*|\*/")
GENERATED = re.compile(r"__asyncpg_\w+__|sa_savepoint_\d+|_pg3_\w+|c_[0-9a-f]+_[0-9a-f]+|__asyncpg_\w+")
"""Names that asyncpg, SQLAlchemy and psycopg make up, with the quotes around them taken off."""
NAMING = frozenset({"SAVEPOINT", "DEALLOCATE"})
"""What is followed by a name that says nothing about the statement."""
NO_NAMES = frozenset({"SAVEPOINT", "PREPARE", "ALL"})
CURSOR_WORDS = frozenset({"DECLARE", "FETCH", "MOVE", "CLOSE"})


OWN = frozenset(
    {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE", "DEALLOCATE", "LISTEN", "UNLISTEN",
     "NOTIFY"}
)  # fmt: skip
"""Statements that a simulated session carries out itself: of them only the times are of use, under their shape."""


class Token(NamedTuple):
    """A piece of a text that is neither space nor comment."""

    kind: str
    text: str
    begin: int
    end: int


def tokens(sql: str) -> Iterator[Token]:
    """A text's tokens. Never fails: what is not closed reaches to the end."""
    at = 0
    while (match := TOKEN.match(sql, at)) is not None:
        kind, begin, at = match.lastgroup or "", match.start(), match.end()
        if kind == "tag":
            kind = "dollar"
        if kind == "comment":
            at = _comment_end(sql, at)
        elif match.group("dollar"):
            closing = sql.find(match.group(), at)
            at = len(sql) if closing < 0 else closing + len(match.group())
            yield Token("string", sql[begin:at], begin, at)
        elif kind != "space":
            yield Token("string" if kind == "escaped" else kind, match.group(), begin, at)


def _comment_end(sql: str, at: int) -> int:
    """Comments nest."""
    depth = 1
    while depth and (edge := COMMENT_EDGE.search(sql, at)) is not None:
        depth += 1 if edge.group() == "/*" else -1
        at = edge.end()
    return len(sql) if depth else at


@lru_cache(maxsize=4096)
def split(sql: str) -> tuple[str, ...]:
    """The statements of a simple query, without the semicolons and the space between; the empty ones are left out.

    A function's body between BEGIN ATOMIC and END keeps its semicolons.
    """
    found, begin, end, depth, word = [], None, 0, 0, ""
    for token in tokens(sql):
        if token.text == ";" and not depth:
            if begin is not None:
                found.append(sql[begin:end])
            begin = None
            continue
        if token.kind == "word":
            following = token.text.upper()
            if following == "ATOMIC" and word == "BEGIN":
                depth = 1
            elif depth and following == "CASE":
                depth += 1
            elif depth and following == "END":
                depth -= 1
            word = following
        begin, end = token.begin if begin is None else begin, token.end
    if begin is not None:
        found.append(sql[begin:end])
    return tuple(found)


@lru_cache(maxsize=4096)
def words(sql: str, count: int = 2) -> tuple[str, ...]:
    """A statement's first words, in capitals."""
    found: list[str] = []
    for token in tokens(sql):
        if token.kind != "word" or len(found) == count:
            break
        found.append(token.text.upper())
    return tuple(found)


@lru_cache(maxsize=4096)
def cursor_of(sql: str) -> str | None:
    """The name that a DECLARE, FETCH, MOVE or CLOSE is about, as PostgreSQL folds it; None: another statement."""
    found = list(tokens(sql))
    if not found or found[0].text.upper() not in CURSOR_WORDS or len(found) < 2:
        return None
    name = found[1] if found[0].text.upper() == "DECLARE" else found[-1]
    return name.text[1:-1].replace('""', '"') if name.kind == "quoted" else name.text.lower()


@dataclass(frozen=True, slots=True)
class Shape:
    """A text without what changes from one execution to the next."""

    text: str
    exact: str
    """The text itself, without comments, space and the names that client libraries make up."""
    slots: tuple[tuple[int, int], ...]
    """For each parameter: its number, and the number of the place in the shape that it stands in."""
    literals: tuple[str, ...]
    """The numbers and strings that stood in the text."""


class _Node(NamedTuple):
    """A token of a shape, or what stands between two brackets."""

    text: str
    slots: tuple[int, ...]
    """The numbers of its parameters, in their order."""
    inner: tuple["_Node", ...] = ()


@lru_cache(maxsize=4096)
def shape(sql: str) -> Shape:
    """A statement's shape.

    Literals become `0` or `''` and parameters `$`; lists of `IN (…)` and `ARRAY[…]` and the rows of VALUES are as if
    they had one element; names that client libraries make up become `_`; comments and space are left out.
    """
    literals: list[str] = []
    simplified = list(_simplified(sql, literals))
    exact = " ".join(whole for _, whole in simplified)
    try:
        nodes = _collapsed(_tree([node for node, _ in simplified])[0])
    except RecursionError:
        # Brackets within brackets, more of them than PostgreSQL itself takes (max_stack_depth).
        return Shape(exact, exact, (), ())
    slots: dict[int, int] = {}
    text = _written(nodes, slots)
    return Shape(text, exact, tuple(sorted(slots.items())), tuple(literals))


def recorded_text(sql: str) -> str:
    """The text that a statement is recorded under: names that client libraries make up are `_`.

    Of what a simulated session carries out itself only the times are of use, so its shape is enough.
    """
    if set(words(sql, 1)) & OWN:
        return shape(sql).text
    if GENERATED.search(sql) is None:
        return sql
    pieces, at = [], 0
    for token in tokens(sql):
        if token.kind in ("word", "quoted") and GENERATED.fullmatch(token.text.strip('"')):
            pieces += [sql[at : token.begin], "_"]
            at = token.end
    return "".join([*pieces, sql[at:]])


def _simplified(sql: str, literals: list[str]) -> Iterator[tuple[_Node, str]]:
    """Each token as a shape has it, and as it is apart from made-up names."""
    names_follow = False
    for token in tokens(sql):
        kind, text = token.kind, token.text
        word = text.upper() if kind == "word" else ""
        if kind == "parameter":
            yield _Node("$", (int(text[1:]),)), text
        elif kind in ("number", "string"):
            literals.append(text)
            yield _Node("0" if kind == "number" else "''", ()), text
        elif kind in ("word", "quoted") and (
            GENERATED.fullmatch(text.strip('"')) or (names_follow and word not in NO_NAMES)
        ):
            yield _Node("_", ()), "_"
        else:
            yield _Node(text, ()), text
        # `RELEASE SAVEPOINT name`, `DEALLOCATE PREPARE name`: the word between is no name.
        names_follow = word in NAMING or (names_follow and word in NO_NAMES)


def _tree(nodes: Sequence[_Node], at: int = 0, closing: str = "") -> tuple[list[_Node], int]:
    """The nodes up to the bracket that closes, those between two brackets as one."""
    found: list[_Node] = []
    while at < len(nodes):
        text = nodes[at].text
        if text == closing:
            return found, at + 1
        if text in ("(", "["):
            inner, at = _tree(nodes, at + 1, ")" if text == "(" else "]")
            found.append(_Node(text, (), tuple(inner)))
        else:
            found.append(nodes[at])
            at += 1
    return found, at


def _collapsed(nodes: Sequence[_Node]) -> list[_Node]:
    """Lists of equal elements become one element: of IN and ARRAY, and brackets beside brackets (VALUES)."""
    found: list[_Node] = []
    for index, node in enumerate(nodes):
        if not node.inner:
            found.append(node)
            continue
        inner = _collapsed(node.inner)
        before = nodes[index - 1].text.upper() if index else ""
        if before in ("IN", "ARRAY"):
            inner = _first_of_equal(inner)
        found.append(_Node(node.text, (), tuple(inner)))
    return _rows_collapsed(found)


def _first_of_equal(nodes: list[_Node]) -> list[_Node]:
    elements: list[list[_Node]] = [[]]
    for node in nodes:
        if node.text == "," and not node.inner:
            elements.append([])
        else:
            elements[-1].append(node)
    if len({_written(element) for element in elements}) != 1:
        return nodes
    return _merged(elements)


def _rows_collapsed(nodes: list[_Node]) -> list[_Node]:
    found: list[_Node] = []
    for node in nodes:
        if (
            node.inner
            and len(found) > 1
            and found[-1].text == ","
            and found[-2].inner
            and _written([found[-2]]) == _written([node])
        ):
            found.pop()
            (found[-1],) = _merged([[found[-1]], [node]])
        else:
            found.append(node)
    return found


def _merged(elements: Sequence[Sequence[_Node]]) -> list[_Node]:
    """Elements that are written alike as one: at each place of it stand the parameters of all of them."""
    return [
        _Node(
            nodes[0].text,
            tuple(number for node in nodes for number in node.slots),
            tuple(_merged([node.inner for node in nodes])) if nodes[0].inner else (),
        )
        for nodes in zip(*elements, strict=True)
    ]


def _written(nodes: Sequence[_Node], slots: dict[int, int] | None = None) -> str:
    pieces = []
    for node in nodes:
        if node.slots and slots is not None:
            place = max(slots.values(), default=-1) + 1
            for number in node.slots:
                slots.setdefault(number, place)
        if node.inner:
            inner = _written(node.inner, slots)
            pieces.append(f"({inner})" if node.text == "(" else f"[{inner}]")
        else:
            pieces.append({"(": "()", "[": "[]"}.get(node.text, node.text))
    return " ".join(pieces)
