"""Profiles of a project: named changes of its variables, parameters and pools, chosen by `--profile`."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from mlorch.model.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeVar

    from mlorch.model.spec import Project

    _T = TypeVar("_T")


def profiled(project: Project, name: str) -> Project:
    """The project as its profile `name` changes it, value by value; as it is for "". Raises `UsageError` for one it does not have."""
    if not name:
        return project
    known = {profile.name: profile for profile in project.profiles}
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        where = project.file or "mlorch.yaml"
        raise UsageError(
            f"--profile {name}: there is no profile `{name}`" + (f"; did you mean `{close[0]}`?" if close else ""),
            f"profiles of {where}: {', '.join(known)}" if known else f"{where} has no `profiles`",
        )
    profile = known[name]
    return project._replace(
        env=_over(profile.env, project.env),
        params=_over(profile.params, project.params),
        pools=_over(profile.pools, project.pools),
        profile=name,
        digest=f"{project.digest} {name}",  # a pipeline may be sound with one profile and not with another
    )


def _over(changes: Iterable[tuple[str, _T]], items: Iterable[tuple[str, _T]]) -> tuple[tuple[str, _T], ...]:
    return tuple((dict(items) | dict(changes)).items())
