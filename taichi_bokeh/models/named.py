"""Models by name: what turns a string and keywords into one."""

from collections.abc import Mapping
from dataclasses import fields as fields_of
from types import MappingProxyType
from typing import Any

from taichi_bokeh.models.base import Model
from taichi_bokeh.models.official import OfficialScatter
from taichi_bokeh.models.scatter import Scatter
from taichi_bokeh.models.subaperture import SubAperture

#: The one default of the library, the command line, the preview and the module.
DEFAULT = SubAperture()
MODELS: Mapping[str, type[Model]] = MappingProxyType({model.name: model for model in (SubAperture, Scatter, OfficialScatter)})
#: The names of the fields of each model.
FIELDS = MappingProxyType({name: tuple(field.name for field in fields_of(model)) for name, model in MODELS.items()})
_WHAT_ALL_DO = (("quality", "full"), ("occlusion", True))  # taken by models without such a field, as it asks for nothing


def model_of(model: str | Model | None, **fields: Any) -> Model:
    """Build a model of its name and fields; a field that is None is as by default.

    Args:
        model: a name of `MODELS`; a model, which is returned; or None for the first of `MODELS` that has all the fields.
        fields: of the dataclass of that name.

    Raises:
        TypeError: the model is neither, fields are given beside a model, no model has such a field, or one is of another type.
        ValueError: there is no model of this name, it has no such field though another has, or a value is not allowed.
    """
    if isinstance(model, Model):
        if fields:
            raise TypeError(f"{', '.join(fields)} given beside the model {model}; expected dataclasses.replace(model, …) alone")
        return model
    given = {name: value for name, value in fields.items() if value is not None}
    if model is None:
        model = next((name for name in MODELS if not _foreign(name, given)), DEFAULT.name)
    if not isinstance(model, str):
        raise TypeError(f"model is of type {type(model).__name__}; expected a name or a model")
    if model not in MODELS:
        raise ValueError(f"model is {model!r}; expected one of {', '.join(map(repr, MODELS))}")
    for name in _foreign(model, given):
        _refuse(name, given[name], model)
    return MODELS[model](**{name: value for name, value in given.items() if name in FIELDS[model]})


def _foreign(model: str, given: Mapping[str, Any]) -> list[str]:
    """Find those of the fields that the model of this name has not, and which ask for something."""
    return [name for name, value in given.items() if name not in FIELDS[model] and (name, value) not in _WHAT_ALL_DO]


def _refuse(name: str, value: Any, model: str) -> None:
    owners = [repr(other) for other, names in FIELDS.items() if name in names]
    if not owners:
        raise TypeError(f"{name} is no field of a model; those of {model!r} are {', '.join(FIELDS[model])}")
    raise ValueError(
        f"{name} is {value!r}, but model {model!r} has no such field, only {', '.join(FIELDS[model])}; it is one of "
        f"{' and '.join(owners)}"
    )
