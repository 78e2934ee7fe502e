"""Pages of reports, from the jinja2 templates beside this file. Whatever is given as text is escaped there."""

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2


def require_report() -> None:
    """Refuse to begin work whose report could not be written.

    Raises:
        ModuleNotFoundError: a package of the extra "report" is missing.
    """
    import jinja2  # noqa: F401
    import matplotlib  # noqa: F401


def render_page(template: str, **values: Any) -> str:
    """Fill a template in.

    Args:
        template: name of a file in ``templates``.
        values: by the names that it has for them; `Markup` stays as it is.

    Raises:
        ModuleNotFoundError: jinja2 is missing.
    """
    return _environment().get_template(template).render(values)


@cache
def _environment() -> "jinja2.Environment":
    import jinja2

    loader = jinja2.PackageLoader("taichi_bokeh.report")
    return jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
