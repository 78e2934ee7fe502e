"""Typed requests: dataclasses whose fields are the options of a command. Imports nothing that is slow.

An option is declared once, as a field of a request by `opt`: type, default, group and text of the help. `add_command` adds all
options of a request, and of the requests that are its fields, to the command line; `request_of` makes it of what was parsed.
"""

import argparse
from argparse import Namespace
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Request = TypeVar("Request", bound="DataclassInstance")
T = TypeVar("T")


@dataclass(frozen=True)
class Ramp(Generic[T]):
    """A value in the first image of a series, and in the last.

    Attributes:
        start: in the first.
        end: in the last.
    """

    start: T
    end: T

    def at(self: "Ramp[float]", t: float) -> float:
        """The number in between, evenly with t from 0 to 1."""
        return self.end if t == 1 else self.start + t * (self.end - self.start)


def opt(
    text: str,
    metavar: str | tuple[str, ...] | None = None,
    type: Callable[[str], Any] | None = None,
    *,
    default: Any = None,
    **more: Any,
) -> Any:
    """Declare the option of a field.

    Args:
        text: its help.
        metavar: what stands for its value there.
        type: turns the text of a value into it.
        default: of the field; `MISSING`: it has none. False: the option is a switch.
        more: ``names`` instead of the field's own; ``group`` of the help instead of the request's; ``one_of``, a name for those
            of which one may be given, or with ``needed`` must be; ``ramp``, whether it may be A:B; and all that argparse takes.
    """
    if default is False:
        more["action"] = "store_true"
    given = {"metavar": metavar, "type": type}
    return field(default=default, metadata={"help": text, **{k: v for k, v in given.items() if v is not None}, **more})


def add_command(
    commands: Any, name: str, kind: type["DataclassInstance"], run: str, *, texts: Mapping[str, str], **changes: Any
) -> None:
    """Add a command.

    Args:
        commands: gets it.
        name: of the command.
        kind: of its request; made by its method ``of`` where it has one.
        run: "module:function", which is called with the request.
        texts: help, description and epilog.
        changes: as of `add_options`.
    """
    parser = commands.add_parser(name, formatter_class=argparse.RawDescriptionHelpFormatter, **texts)
    parser.set_defaults(run=run, request=getattr(kind, "of", partial(request_of, kind)))
    add_options(parser, kind, **changes)


def add_options(
    command: argparse._ActionsContainer,
    kind: type["DataclassInstance"],
    *,
    without: Collection[str] = (),
    ramps: bool = False,
    changed: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Add the options of a request, and of the requests that are its fields.

    Args:
        command: a parser, or the group of one that gets them all.
        kind: a dataclass; its attributes GROUP and ABOUT, if any, are the title of their group in the help, and its text.
        without: options that this command does not have, by the names of their fields.
        ramps: whether a value may be A:B where the field can be a `Ramp`.
        changed: what is different in this command, by the names of fields, as argparse takes it.
    """
    groups: dict[str, Any] = {"": command}
    for owner, one in _options(kind, without):
        how = {**one.metadata, **(changed or {}).get(one.name, {})}
        title, one_of = how.pop("group", getattr(owner, "GROUP", "")), how.pop("one_of", None)
        needed = how.pop("needed", False)
        title = "" if isinstance(command, argparse._ArgumentGroup) else title
        if title not in groups:
            groups[title] = command.add_argument_group(title, getattr(owner, "ABOUT", None))
        if one_of is not None and one_of not in groups:
            groups[one_of] = groups[title].add_mutually_exclusive_group(required=needed)
        if how.pop("ramp", False) and ramps:
            how |= {"type": _or_ramp(how["type"]), "help": how["help"] + ", or A:B"}
        if one.default is not MISSING:
            how["default"] = one.default
        groups[title if one_of is None else one_of].add_argument(*how.pop("names", [option(one.name)]), **how)


def _options(kind: type["DataclassInstance"], without: Collection[str]) -> Iterator[tuple[type, Field[Any]]]:
    hints = get_type_hints(kind)
    for one in fields(kind):
        if is_dataclass(hints[one.name]):
            yield from _options(hints[one.name], without)
        elif one.metadata and one.name not in without:
            yield kind, one


def _or_ramp(of: Callable[[str], Any]) -> Callable[[str], Any]:
    """Let a text be one value, or two as in A:B, which make a `Ramp`."""

    def convert(text: str) -> Any:
        start, colon, end = text.partition(":")
        return Ramp(of(start), of(end)) if colon else of(text)

    return convert


def request_of(kind: type[Request], arguments: Namespace) -> Request:
    """Make a request of the options that have the names of its fields; a field that is a request itself is made alike.

    A field without an option keeps its default.

    Args:
        kind: a dataclass.
        arguments: as parsed.
    """
    hints, values = get_type_hints(kind), {}
    for one in fields(kind):
        if is_dataclass(hints[one.name]):
            values[one.name] = request_of(hints[one.name], arguments)
        elif hasattr(arguments, one.name):
            values[one.name] = getattr(arguments, one.name)
    return kind(**values)


def option(name: str) -> str:
    """The option of a field: focus_at is --focus-at."""
    return f"--{name.replace('_', '-')}"


def given_options(request: "DataclassInstance") -> dict[str, Any]:
    """The fields that differ from their defaults, or have none, by name and in order."""
    values = {one.name: (getattr(request, one.name), one.default) for one in fields(request)}
    return {name: value for name, (value, default) in values.items() if value != default}
