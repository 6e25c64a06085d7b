"""Runs a `.http` file's requests as far as our example needs: variables, environment, named requests, `$.` paths."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import httpx2

Answers = dict[str, httpx2.Response]


def run_http_file(path: Path, environ: Mapping[str, str]) -> Answers:
    """Send every request in order and return the answers by the requests' names."""
    variables, answers = dict[str, str](), Answers()

    def filled(text: str) -> str:
        return re.sub(r"\{\{(.+?)\}\}", lambda found: _value(found[1].strip(), variables, environ, answers), text)

    with httpx2.Client(trust_env=False) as client:
        for block in re.split(r"^###.*$", path.read_text(), flags=re.MULTILINE):
            name, lines = "", list[str]()
            for line in block.strip().splitlines():
                if named := re.fullmatch(r"# @name (\w+)", line):
                    name = named[1]
                elif variable := re.fullmatch(r"@(\w+) = (.+)", line):
                    variables[variable[1]] = filled(variable[2])
                elif not line.startswith("#"):
                    lines.append(line)
            if name:
                answers[name] = _send(client, filled("\n".join(lines).strip()))
    return answers


def _send(client: httpx2.Client, request: str) -> httpx2.Response:
    head, _, body = request.partition("\n\n")
    start, *fields = head.splitlines()
    method, url = start.split(" ")
    headers = dict(field.split(": ", 1) for field in fields)
    return client.request(method, url, headers=headers, content="".join(body.splitlines()))


def _value(name: str, variables: Mapping[str, str], environ: Mapping[str, str], answers: Answers) -> str:
    if name.startswith("$processEnv "):
        return environ[name.removeprefix("$processEnv ")]
    if path := re.fullmatch(r"(\w+)\.response\.body\.\$\.(\w+)", name):
        return str(answers[path[1]].json()[path[2]])
    return variables[name]
