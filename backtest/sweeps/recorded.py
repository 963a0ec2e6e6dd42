"""Params that tell which of their fields were read."""

from typing import Any

_WHOLE = (
    "__getitem__ __iter__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __hash__ __contains__ __add__"
    " __mul__ __rmul__ __repr__ __getnewargs__ index count"
).split()


def recorded(kind: Any) -> Any:
    """Derive a Params class whose objects note in `_seen` every field that is looked at.

    What looks at the tuple as a whole has looked at all of them. A calculation gives the same for
    any two objects that agree in what it read of the first.
    """
    members: dict[str, Any] = {name: _field(at, name) for at, name in enumerate(kind._fields)}
    members |= {name: _all_of(kind, name) for name in _WHOLE}
    return type("Recorded", (kind,), members)


def note(params: Any, kind: Any) -> Any:
    """Turn params into such an object."""
    out = kind(*params)
    out._seen = set()
    return out


def _field(at: int, name: str) -> property:
    def read(self: Any) -> Any:
        self._seen.add(name)
        return tuple.__getitem__(self, at)

    return property(read)


def _all_of(kind: Any, name: str) -> Any:
    method = getattr(kind, name)

    def read(self: Any, *arguments: Any) -> Any:
        self._seen.update(self._fields)
        return method(self, *arguments)

    return read
