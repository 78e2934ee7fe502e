"""Typed requests: what a command is asked for, made once of the parsed arguments. Imports nothing that is slow."""

from argparse import Namespace
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Request = TypeVar("Request", bound="DataclassInstance")


def request_of(kind: type[Request], arguments: Namespace) -> Request:
    """Make a request of the options that have the names of its fields; a field that is a request itself is made alike.

    A field without an option keeps its default.

    Args:
        kind: a dataclass.
        arguments: as parsed.
    """
    hints, values = get_type_hints(kind), {}
    for field in fields(kind):
        if is_dataclass(hints[field.name]):
            values[field.name] = request_of(hints[field.name], arguments)
        elif hasattr(arguments, field.name):
            values[field.name] = getattr(arguments, field.name)
    return kind(**values)


def option(field: str) -> str:
    """The option of a field: focus_at is --focus-at."""
    return f"--{field.replace('_', '-')}"


def given_options(request: "DataclassInstance") -> dict[str, Any]:
    """The fields that differ from their defaults, or have none, by name and in order."""
    values = {field.name: (getattr(request, field.name), field.default) for field in fields(request)}
    return {name: value for name, (value, default) in values.items() if value != default}
