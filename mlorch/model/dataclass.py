"""`dataclass`, `field` and `replace` as the standard library has them, for classes with slots, made a hundred times faster.

The standard decorator writes the text of each method and compiles it: 0.7 ms a class, so that half of what `mlorch run` needs to
find nothing to do went into making classes it hardly used (docs/decisions/0009). Here the methods are closures; making an
instance takes as long as there. For type checkers these are the standard ones, and `dataclasses.fields`, `dataclasses.replace` and their
like work on the classes made here.
"""

from __future__ import annotations

from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from dataclasses import dataclass, field, replace

__all__ = ["dataclass", "field", "replace"]

_UNSET: Any = object()


class _Field:
    """What is known of one field: `_UNSET` for what was not said."""

    __slots__ = ("default", "factory", "init", "repr")

    def __init__(self, default: Any, factory: Any, *, init: bool, repr: bool) -> None:  # noqa: A002 - the standard name
        self.default = default
        self.factory = factory
        self.init = init
        self.repr = repr


class _StandardFields:
    """`__dataclass_fields__`, made when somebody asks: by the standard decorator, on a class that has just the fields."""

    def __get__(self, instance: object, owner: type) -> Any:
        """The fields as `dataclasses` keeps them."""
        from dataclasses import dataclass as standard
        from dataclasses import field as standard_field

        space: dict[str, Any] = {"__annotations__": owner.__annotations__, "__module__": owner.__module__}
        for name, known in _fields_of(owner).items():
            given: dict[str, Any] = {"init": known.init, "repr": known.repr}
            if known.default is not _UNSET:
                given["default"] = known.default
            if known.factory is not _UNSET:
                given["default_factory"] = known.factory
            space[name] = standard_field(**given)
        made: type = standard(type(owner.__name__, (), space))
        setattr(owner, _STANDARD, getattr(made, _STANDARD))
        return getattr(owner, _STANDARD)


_FIELDS = "__mlorch_fields__"
_STANDARD = "__dataclass_fields__"


def _dataclass(cls: type | None = None, /, *, frozen: bool = False, slots: bool = False, order: bool = False) -> Any:
    """As `dataclasses.dataclass`; `slots` must be asked for, and a base class has no fields. Raises `TypeError`."""
    if not slots:
        raise TypeError("classes without slots are for dataclasses.dataclass")
    if cls is None:
        return lambda decorated: _make(decorated, frozen=frozen, order=order)
    return _make(cls, frozen=frozen, order=order)


def _field(
    *,
    default: Any = _UNSET,
    default_factory: Any = _UNSET,
    init: bool = True,
    repr: bool = True,  # noqa: A002 - the standard name
) -> Any:
    """As `dataclasses.field`."""
    return _Field(default, default_factory, init=init, repr=repr)


def _replace(instance: Any, /, **changes: Any) -> Any:
    """As `dataclasses.replace`. Raises `TypeError` for a field that there is not."""
    cls = type(instance)
    for name in cls.__match_args__:
        if name not in changes:
            changes[name] = getattr(instance, name)
    return cls(**changes)


if not TYPE_CHECKING:
    dataclass, field, replace = _dataclass, _field, _replace


def _fields_of(cls: type) -> dict[str, _Field]:
    found: dict[str, _Field] = getattr(cls, _FIELDS)
    return found


def _declared(space: Mapping[str, Any]) -> dict[str, _Field]:
    """The fields that a class body declares, in order. Raises `TypeError` and `ValueError` as the standard decorator does."""
    fields: dict[str, _Field] = {}
    optional = False
    for name, annotation in space.get("__annotations__", {}).items():
        if annotation.startswith("ClassVar"):
            continue
        value = space.get(name, _UNSET)
        known = value if isinstance(value, _Field) else _Field(value, _UNSET, init=True, repr=True)
        if known.default is not _UNSET and known.default.__class__.__hash__ is None:
            raise ValueError(
                f"mutable default {known.default.__class__} for field {name} is not allowed: use default_factory"
            )
        if known.init:
            given = known.default is not _UNSET or known.factory is not _UNSET
            if optional and not given:
                raise TypeError(f"non-default argument {name!r} follows default argument")
            optional = optional or given
        fields[name] = known
    return fields


def _make(cls: type, *, frozen: bool, order: bool) -> type:
    space = dict(cls.__dict__)
    fields = _declared(space)
    for name in (*fields, "__dict__", "__weakref__"):
        space.pop(name, None)
    names = tuple(fields)
    space["__qualname__"] = cls.__qualname__
    space["__slots__"] = names
    space[_FIELDS] = fields
    space[_STANDARD] = _StandardFields()
    space["__match_args__"] = tuple(name for name, known in fields.items() if known.init)
    values = _values(names)
    methods = _comparisons(values, order=order) | {"__repr__": _repr(tuple(n for n, f in fields.items() if f.repr))}
    if frozen:
        methods["__hash__"] = lambda self: hash(values(self))
        methods |= {"__setattr__": _no_setattr, "__delattr__": _no_delattr}
    else:
        methods["__hash__"] = None
    for name, method in methods.items():
        # An explicit one counts; a class that defines `__eq__` has a `__hash__` of None that nobody wrote.
        if space.get(name) is None:
            space[name] = method
    made = type(cls)(cls.__name__, cls.__bases__, space)
    puts = {name: made.__dict__[name].__set__ for name in names}
    if "__init__" not in space:
        made.__init__ = _init(made, fields, puts)  # type: ignore[misc]
    if frozen:
        setattr(made, "__getstate__", lambda self: list(values(self)))  # noqa: B010 - not in the stubs of every version
        setattr(made, "__setstate__", _setstate(tuple(puts.values())))  # noqa: B010 - same
    return made


def _init(cls: type, fields: Mapping[str, _Field], puts: Mapping[str, Callable[[object, object], None]]) -> Any:
    taken = {name: known for name, known in fields.items() if known.init}
    setters = tuple(puts[name] for name in taken)
    count = len(setters)
    complete = _completing(cls, taken)
    others = tuple(
        (puts[name], known.factory if known.factory is not _UNSET else lambda value=known.default: value)
        for name, known in fields.items()
        if not known.init and not (known.factory is _UNSET and known.default is _UNSET)
    )
    after: Callable[[object], None] | None = getattr(cls, "__post_init__", None)

    def __init__(self: object, /, *given: object, **named: object) -> None:  # noqa: N807 - its name shows in tracebacks
        if named or len(given) != count:
            given = complete(given, named)
        for put, value in zip(setters, given, strict=True):
            put(self, value)

    if not others and after is None:
        return __init__

    def init_and_more(self: object, /, *given: object, **named: object) -> None:
        __init__(self, *given, **named)
        for put, make in others:
            put(self, make())
        if after is not None:
            after(self)

    return init_and_more


def _completing(
    cls: type, fields: Mapping[str, _Field]
) -> Callable[[tuple[object, ...], dict[str, object]], tuple[object, ...]]:
    """What fills in the arguments that were not given by position. Raises `TypeError` as a call of a function does."""
    names = tuple(fields)
    places = {name: at for at, name in enumerate(names)}
    defaults = tuple(known.default for known in fields.values())
    factories = tuple((at, known.factory) for at, known in enumerate(fields.values()) if known.factory is not _UNSET)
    required = sum(known.default is _UNSET and known.factory is _UNSET for known in fields.values())

    def complete(given: tuple[object, ...], named: dict[str, object]) -> tuple[object, ...]:
        if not named and not factories and required <= len(given) <= len(names):
            return given + defaults[len(given) :]
        if len(given) > len(names):
            raise TypeError(f"{cls.__qualname__}() takes {len(names)} arguments but {len(given)} were given")
        values = [*given, *defaults[len(given) :]]
        for name, value in named.items():
            at = places.get(name)
            if at is None:
                raise TypeError(f"{cls.__qualname__}() got an unexpected keyword argument {name!r}")
            if at < len(given):
                raise TypeError(f"{cls.__qualname__}() got multiple values for argument {name!r}")
            values[at] = value
        missing = [names[at] for at in range(len(given), required) if values[at] is _UNSET]
        if missing:
            raise TypeError(f"{cls.__qualname__}() is missing {', '.join(map(repr, missing))}")
        for at, factory in factories:
            if values[at] is _UNSET:
                values[at] = factory()
        return tuple(values)

    return complete


def _values(names: tuple[str, ...]) -> Callable[[object], tuple[object, ...]]:
    """All values of an instance in the order of the fields."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda self: tuple(getattr(self, name) for name in names)


def _comparisons(values: Callable[[object], tuple[object, ...]], *, order: bool) -> dict[str, Any]:
    def equal(self: object, other: object) -> bool:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    def less(self: object, other: object) -> bool:
        return values(self) < values(other) if other.__class__ is self.__class__ else NotImplemented

    def at_most(self: object, other: object) -> bool:
        return values(self) <= values(other) if other.__class__ is self.__class__ else NotImplemented

    def more(self: object, other: object) -> bool:
        return values(self) > values(other) if other.__class__ is self.__class__ else NotImplemented

    def at_least(self: object, other: object) -> bool:
        return values(self) >= values(other) if other.__class__ is self.__class__ else NotImplemented

    ordering = {"__lt__": less, "__le__": at_most, "__gt__": more, "__ge__": at_least} if order else {}
    return {"__eq__": equal, **ordering}


def _repr(shown: tuple[str, ...]) -> Any:
    @recursive_repr()
    def __repr__(self: object) -> str:  # noqa: N807 - its name shows in tracebacks
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"{self.__class__.__qualname__}({values})"

    return __repr__


def _setstate(setters: tuple[Callable[[object, object], None], ...]) -> Any:
    def __setstate__(self: object, state: list[object]) -> None:  # noqa: N807 - its name shows in tracebacks
        for put, value in zip(setters, state, strict=True):
            put(self, value)

    return __setstate__


def _no_setattr(self: object, name: str, value: object) -> None:  # noqa: ARG001 - the signature of `__setattr__`
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _no_delattr(self: object, name: str) -> None:  # noqa: ARG001 - the signature of `__delattr__`
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")
