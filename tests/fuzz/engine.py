"""One run of the engine, in a process of its own: `python -m tests.fuzz.engine TARGET CORPUS FLAG…`.

It never comes back: libFuzzer ends the process, with 0 when the time is over and with another status when it found
something. Nothing of tenantgate may be imported before it is instrumented.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["tenantgate", "tomllib"]):
    from tests.fuzz.targets import TARGETS


def main(arguments: list[str]) -> None:
    """Fuzz one target. The flags are libFuzzer's."""
    name, corpus, *flags = arguments
    target = TARGETS[name]

    def mutate(data: bytes, longest: int, number: int) -> bytes:
        return target.mutate(data, number, lambda each: atheris.Mutate(each, longest))[:longest]

    atheris.Setup(["fuzz", *flags, f"-max_len={target.longest}", corpus], target.run, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
