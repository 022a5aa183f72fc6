"""Converts every model that goes into a JSON document, and back.

cattrs works from the models' types, so a new field needs no change here. This module adds only what the types don't
state: how to distinguish the members of a union, the names of a pool's settings outside of the code, and that
expectations, which are code, are left out.

msgspec, which reads the processes' messages, does not work here: it refuses a union of dataclasses ("Type unions may
not contain more than one dataclass"), and a timeline is one; with msgspec's structs the model would depend on it.
"""

import re
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar, get_args, get_type_hints

from cattrs import AttributeValidationNote, BaseValidationError, Converter, IterableValidationNote
from cattrs.errors import ForbiddenExtraKeysError
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from cattrs.strategies import configure_tagged_union

from harness.model.application_request import ApplicationRequest
from harness.model.arrivals import AnyRequest, RequestName
from harness.model.distribution import Distribution, Duration
from harness.model.errors import UserError
from harness.model.pool import SETTINGS, PoolConfiguration
from harness.model.scenario import RealTime, Scenario, Variant
from harness.model.shape import Checkout, Parallel, RequestShape, Step
from harness.model.story import Story
from harness.model.timeline import At, Burst, Load, MomentPhase, TimelinePhase, Traffic
from harness.model.wake import WakeProfile

Model = TypeVar("Model")
KIND = "kind"
"""The key that says which member of a union a document is."""
FOLLOWS = {
    f"{name}_follows": field
    for name, (field, _) in SETTINGS.items()
    if PoolConfiguration.__dataclass_fields__[field].default is None
}
"""The keys that say whether a setting, which always has its value in JSON, was not set: it follows another one."""
CODE = frozenset({"expect"})
"""The fields of a scenario that are code and not written; a manifest has their verdicts."""


def to_json(model: object) -> Any:  # noqa: ANN401 - a document of JSON
    """The model as values that `json.dumps` accepts."""
    return _converter.unstructure(model)


def from_json(document: object, kind: type[Model], *, where: str) -> Model:
    """The inverse of `to_json`. Raises `UserError`, in one line, for a document that is no such model."""
    if not isinstance(document, dict):
        raise UserError("it is not an object", where=where)
    try:
        return _converter.structure(document, kind)
    except BaseValidationError as error:
        raise UserError(_first_of(error), where=where) from error


def _made() -> Converter:
    converter = Converter(forbid_extra_keys=True)
    # Accept only the matching JSON type: int("7"), str(7) and bool("no") would also give values.
    for kind, words, accepted in (
        (int, "a whole number", (int,)),
        (float, "a number", (int, float)),
        (bool, "true or false", (bool,)),
        (str, "text", (str,)),
    ):
        converter.register_structure_hook(kind, _exactly(words, accepted))
    _tell_apart(converter, Duration)
    _add_shapes(converter)
    _tell_apart(converter, MomentPhase)
    _add_several(converter, Traffic, "phases", Burst | At)
    _tell_apart(converter, Burst | At)
    _tell_apart(converter, TimelinePhase)
    _tell_apart(converter, Load)
    # The times of a simulated database may be any Distribution; in a document they are always a Duration.
    known: Any = Duration
    converter.register_structure_hook(Distribution, lambda value, _: converter.structure(value, known))
    converter.register_unstructure_hook(Distribution, lambda value: converter.unstructure(value, known))
    _add_pools(converter)
    _add_scenarios(converter)
    return converter


def _exactly(words: str, accepted: tuple[type, ...]) -> Callable[[object, type], Any]:
    def read(value: object, wanted: type) -> Any:  # noqa: ANN401 - of the kind
        if type(value) not in accepted:
            raise ValueError(f"must be {words}, got {value!r}")
        # cattrs uses this hook for subclasses as well, such as text enums.
        if issubclass(wanted, Enum) and value not in set(wanted):
            raise ValueError(f"must be one of {', '.join(map(str, wanted))}, got {value!r}")
        return wanted(value)

    return read


def _tell_apart(converter: Converter, union: Any) -> None:  # noqa: ANN401 - a union is no type
    """Write a union's member with its class name as KIND, in snake case: `log_normal`."""

    def name(kind: type) -> str:
        return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()

    configure_tagged_union(union, converter, tag_name=KIND, tag_generator=name)
    read_known, write = converter.get_structure_hook(union), converter.get_unstructure_hook(union)
    kinds = [name(kind) for kind in get_args(union)]

    def read(document: Any, _: Any) -> Any:  # noqa: ANN401 - not checked yet
        if not isinstance(document, dict) or document.get(KIND) not in kinds:
            raise ValueError(f"must be an object whose {KIND} is one of {', '.join(kinds)}, got {document!r}")
        return read_known(document, union)

    converter.register_structure_hook(union, read)
    # The union with None is a different type for Python, so it needs hooks of its own.
    converter.register_structure_hook(union | None, lambda value, _: None if value is None else read(value, union))
    converter.register_unstructure_hook(union | None, lambda value: None if value is None else write(value))


def _add_shapes(converter: Converter) -> None:
    _add_several(converter, Checkout, "steps", Step)
    _add_several(converter, Parallel, "steps", Step)
    _tell_apart(converter, Step)
    steps = tuple[Step, ...]

    def read(document: Any, _: type) -> RequestShape:  # noqa: ANN401 - not checked yet
        _check_keys(document, {"name", "steps", "at_most", "pool"})
        return RequestShape(
            converter.structure(document["name"], str),
            *converter.structure(document["steps"], steps),
            at_most=converter.structure(document["at_most"], int | None),  # type: ignore[arg-type]
            pool=converter.structure(document["pool"], PoolConfiguration | None),  # type: ignore[arg-type]
        )

    def write(shape: RequestShape) -> dict[str, Any]:
        return {
            "name": shape.name,
            "steps": converter.unstructure(shape.steps, unstructure_as=steps),
            "at_most": shape.at_most,
            "pool": None if shape.pool is None else converter.unstructure(shape.pool),
        }

    converter.register_structure_hook(RequestShape, read)
    converter.register_unstructure_hook(RequestShape, write)
    _add_choice(converter, AnyRequest, _kind_of_request)


def _kind_of_request(value: Any) -> type:  # noqa: ANN401 - a request, or what is read as one
    if isinstance(value, ApplicationRequest) or (isinstance(value, dict) and "target" in value):
        return ApplicationRequest
    return RequestName if isinstance(value, str) else RequestShape


def _add_several(converter: Converter, kind: Any, name: str, member: Any) -> None:  # noqa: ANN401 - types
    """A model that is made of several others, as its constructor takes them: `Checkout(Query(), Write())`."""
    members = tuple[member, ...]

    def read(document: Any, _: type) -> Any:  # noqa: ANN401 - not checked yet
        _check_keys(document, {name})
        return kind(*converter.structure(document[name], members))

    converter.register_structure_hook(kind, read)
    converter.register_unstructure_hook(
        kind, lambda model: {name: converter.unstructure(getattr(model, name), unstructure_as=members)}
    )


def _add_pools(converter: Converter) -> None:
    read = make_dict_structure_fn(PoolConfiguration, converter, _cattrs_forbid_extra_keys=True)

    def pool_to_json(pool: PoolConfiguration) -> dict[str, Any]:
        follows = {key: getattr(pool, field) is None for key, field in FOLLOWS.items()}
        return {**pool.to_json(), **follows, **({"name": pool.name} if pool.name else {})}

    def pool_from_json(document: Any, _: type) -> PoolConfiguration:  # noqa: ANN401 - not checked yet
        _check_keys(document, {*SETTINGS, *FOLLOWS, "name"})
        given = {field: document[name] for name, (field, _) in SETTINGS.items() if name in document}
        given |= {"name": document["name"]} if "name" in document else {}
        not_set = {field: None for key, field in FOLLOWS.items() if document.get(key)}
        return read({**given, **not_set}, PoolConfiguration)

    converter.register_unstructure_hook(PoolConfiguration, pool_to_json)
    converter.register_structure_hook(PoolConfiguration, pool_from_json)
    _add_choice(converter, PoolConfiguration | str, lambda value: str if isinstance(value, str) else PoolConfiguration)


def _add_scenarios(converter: Converter) -> None:
    wakes = tuple[WakeProfile, ...]
    _add_choice(converter, WakeProfile | wakes, lambda value: wakes if isinstance(value, list | tuple) else WakeProfile)
    _add_changes(converter, Variant, "name", of=Story)
    _add_changes(converter, RealTime, "description", of=Scenario)
    # Last, because Scenario has fields of the types above.
    expectations = override(omit=True)
    converter.register_unstructure_hook(Scenario, make_dict_unstructure_fn(Scenario, converter, expect=expectations))
    converter.register_structure_hook(
        Scenario,
        make_dict_structure_fn(Scenario, converter, _cattrs_forbid_extra_keys=True, expect=expectations),
    )


def _add_choice(converter: Converter, union: Any, chosen: Callable[[Any], Any]) -> None:  # noqa: ANN401 - no type
    """A union whose members have different JSON types, such as text and object; `chosen` gives the member's type."""
    converter.register_structure_hook(union, lambda value, _: converter.structure(value, chosen(value)))
    converter.register_unstructure_hook(union, lambda value: converter.unstructure(value, unstructure_as=chosen(value)))


def _add_changes(converter: Converter, kind: type[Variant] | type[RealTime], title: str, *, of: type) -> None:
    """A model with a title and changed fields of the model `of`; each change is written with that field's type."""
    types = {name: hint for name, hint in get_type_hints(of).items() if name not in CODE}

    def write(model: Variant | RealTime) -> dict[str, Any]:
        changed = {name: value for name, value in model.changes.items() if name not in CODE}
        changes = {name: converter.unstructure(value, unstructure_as=types[name]) for name, value in changed.items()}
        return {title: getattr(model, title), "changes": changes}

    def read(document: Any, _: type) -> Variant | RealTime:  # noqa: ANN401 - not checked yet
        _check_keys(document, {title, "changes"})
        _check_keys(document["changes"], set(types))
        changes = {name: converter.structure(value, types[name]) for name, value in document["changes"].items()}
        return kind(converter.structure(document[title], str), **changes)

    converter.register_unstructure_hook(kind, write)
    converter.register_structure_hook(kind, read)


def _check_keys(document: object, known: set[str]) -> None:
    if not isinstance(document, dict):
        raise ValueError(f"must be an object, got {document!r}")  # noqa: TRY004 - what cattrs collects
    if unknown := sorted(set(document) - known):
        raise ValueError(f"has an unknown key {unknown[0]!r}")


def _first_of(error: BaseException) -> str:
    """The first error, with its place in the document: `plan.scenario.timeline[0]: …`."""
    place = ""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
        for note in getattr(error, "__notes__", ()):
            if isinstance(note, AttributeValidationNote):
                place += f".{note.name}"
            elif isinstance(note, IterableValidationNote):
                place += f"[{note.index}]"
    match error:
        case KeyError():
            # The place ends with the missing key, which the message has already.
            place = place.removesuffix(f".{error.args[0]}")
            what = f"{error.args[0]!r} is missing"
        case ForbiddenExtraKeysError():
            what = f"has an unknown key {min(error.extra_fields)!r}"
        case UserError():
            what = str(error)
        case ValueError() if type(error) is ValueError:
            what = str(error)
        case _:
            what = "is not what belongs there"
    return f"{place.removeprefix('.')}: {what}" if place else what


_converter = _made()
