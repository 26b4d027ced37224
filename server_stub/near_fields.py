"""Which names a request could have meant by one that nobody knows: those of its own documents."""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from pydantic import BaseModel

from telemhq_agents.nearest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fastapi.routing import APIRoute


def hint(route: APIRoute, place: Sequence[str | int]) -> str:
    """Return `; did you mean 'x'?` for a name that a route does not know; "" where none is near."""
    where, *inside, wanted = place
    known: list[str] = []
    for shape in _documents(route, str(where)):
        for found in _walked(shape, inside):
            known += _fields(found)
    return did_you_mean(str(wanted), known)


def _documents(route: APIRoute, where: str) -> Iterator[Any]:
    """Yield the types of what a route reads from its body, or from its query."""
    if where == "body" and route.body_field is not None:
        yield route.body_field.field_info.annotation
    if where == "query":
        for one in route.dependant.query_params:
            yield one.field_info.annotation


def _walked(shape: Any, inside: Sequence[str | int]) -> list[Any]:  # noqa: ANN401 - a type
    """Return the types at a place within a document; a union may have several."""
    shapes = list(_bare(shape))
    for part in inside:
        below = [_fields(one)[part] for one in shapes if part in _fields(one)]
        if below:  # else it is an index, or a word of pydantic's own
            shapes = [one for each in below for one in _bare(each)]
    return shapes


def _bare(shape: Any) -> Iterator[Any]:  # noqa: ANN401 - a type
    """Yield the documents in a type: of a list, a union, something with notes."""
    if _fields(shape):
        yield shape
    for inner in get_args(shape):
        yield from _bare(inner)


def _fields(shape: Any) -> dict[Any, Any]:  # noqa: ANN401 - a type
    if not isinstance(shape, type):
        return {}
    if issubclass(shape, BaseModel):
        return {field.alias or name: field.annotation for name, field in shape.model_fields.items()}
    return get_type_hints(shape) if is_dataclass(shape) else {}
