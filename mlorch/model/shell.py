"""The surroundings of one attempt of a step, made again for a person who looks around in them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StepShell:
    """What a shell in place of a step's command is started with. Paths are absolute.

    `scratch` is a folder of its own; `folders` are to be made in it, `files` are (path, text) to be written there. `env` is added
    to what steps inherit, less the variables `unset`. `command` is the file in `scratch` that runs the step's command ("" if
    there is none), `shown` that command for people. `secrets` are how to fetch those that stand in `env`, by the text that
    stands for each: (text, source, its name, path or command line, the secret's name). `notes` are what to know about it.
    """

    title: str
    run_id: str
    pipeline: str
    partition: str
    step: str
    attempt: int
    project: str
    cwd: str
    env: tuple[tuple[str, str], ...]
    unset: tuple[str, ...]
    scratch: str
    folders: tuple[str, ...]
    files: tuple[tuple[str, str], ...]
    command: str
    shown: str
    secrets: tuple[tuple[str, str, str, str], ...]
    notes: tuple[str, ...]
