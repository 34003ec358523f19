"""The labels of dimensions by value: listed, found by a glob, or told by a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.lang.keys import label_of, lines_or_json
from mlorch.lang.partitions import join_key
from mlorch.model.diagnostics import Diagnostic, Place
from mlorch.model.errors import NotReadyError, SpecError
from mlorch.model.times import iso_utc, parse_iso

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlorch.model.ports import Clock
    from mlorch.model.spec import Pipeline, ValueDimension


class Answers:
    """What commands of specs said. They are called only where `calls` is true, and then once a command; else the last answer counts."""

    def __init__(self, folder: str, root: str, env: Mapping[str, str], clock: Clock) -> None:
        self._folder = folder
        self._root = root
        self._env = dict(env)
        self._clock = clock
        self._said: dict[str, str] = {}
        self.calls = False
        self.notes: list[str] = []

    def ask(self, who: str, run: str | tuple[str, ...]) -> str | None:
        """What the command of `who` says; None where only its last answer would do and there is none. Raises `CommandError`."""
        from mlorch.world.called import Answer, call, digest_of, keep, recall

        name = digest_of(run)
        if name in self._said:
            return self._said[name]
        if self.calls:
            answer = Answer(call(run, self._env, self._root), iso_utc(self._clock.wall()))
            keep(self._folder, name, answer)
        else:
            kept = recall(self._folder, name)
            if kept is None:
                return None
            answer = kept
            age = (self._clock.wall() - parse_iso(answer.at)).total_seconds()
            self.notes.append(f"{who}: as its command said {_age(age)} ago")
        self._said[name] = answer.text
        return answer.text


class Labels:
    """The labels of each dimension, looked up once a command."""

    def __init__(self, root: str, answers: Answers) -> None:
        self._root = root
        self._answers = answers
        self._found: dict[tuple[str, str], tuple[str, ...]] = {}

    def of(self, pipeline: Pipeline, dim: ValueDimension) -> tuple[str, ...]:
        """In the order of the list or command, or sorted.

        Raises `SpecError` for labels that cannot be, or a command that fails, `NotReadyError` where it was never called.
        """
        place = (pipeline.name, dim.name)
        if place not in self._found:
            self._found[place] = self._find(pipeline, dim)
        return self._found[place]

    def _find(self, pipeline: Pipeline, dim: ValueDimension) -> tuple[str, ...]:
        try:
            if dim.values:
                labels: tuple[str, ...] = dim.values
            elif dim.glob:
                from mlorch.world.expand import expand

                paths = expand("" if dim.glob.startswith("/") else f"{self._root}/", dim.glob)
                labels = tuple(dict.fromkeys(label_of(dim.glob, path) for path in paths))
            else:
                labels = self._told(pipeline, dim)
            for label in labels:
                join_key((label,))
        except ValueError as error:
            message = f"the dimension {dim.name} of {pipeline.name}: {error}"
            raise SpecError((Diagnostic("E421", message, Place(pipeline.file)),)) from error
        return labels

    def _told(self, pipeline: Pipeline, dim: ValueDimension) -> tuple[str, ...]:
        from mlorch.world.called import CommandError

        who = f"{pipeline.name}, dimension {dim.name}"
        try:
            said = self._answers.ask(who, dim.command)
        except CommandError as error:
            raise ValueError(f"its command {error}") from error
        if said is None:
            raise NotReadyError(
                f"the labels of {who} are not known yet: its command is only called by run, backfill and tick",
                f"mlorch run {pipeline.name}",
            )
        return lines_or_json(said)


def _age(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
