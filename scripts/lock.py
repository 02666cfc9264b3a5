"""requirements.lock: the pins of constraints.txt that a node needs, with the hashes of wheels.

    python -m scripts.lock            asks the index of this machine's pip, and writes the file
    python -m scripts.lock --check    without network: is it complete, and is nothing refused?

torch is not in it, because the machine decides which build of it is right.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HOME = Path(__file__).parents[1]
LOCK = HOME / "requirements.lock"
BUILD_LOCK = HOME / "requirements-build.lock"
CONSTRAINTS = HOME / "constraints.txt"
REFUSED = HOME / "deploy" / "refused-versions.txt"
EXTRAS = ("web", "deid", "dicomweb", "onnx", "openvino")
PYTHONS = ("3.11", "3.12", "3.13")
MACHINES = ("x86_64", "aarch64")
TORCH = "torch"
BY_TORCH = re.compile(r"nvidia-|cuda-|triton|setuptools")  # what its builds bring along
_GLIBC = ("manylinux2014", *(f"manylinux_2_{minor}" for minor in range(17, 37)))  # Debian 12
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")

Pins = Mapping[str, str]


class LockError(Exception):
    """One sentence for each thing that is wrong."""


def pins(text: str) -> dict[str, str]:
    """Names and versions of `name==version` lines; LockError for any other line."""
    found = {}
    for line in text.splitlines():
        line = line.partition("#")[0].split("\\")[0].split("--hash")[0].strip()
        if line:
            name, equal, version = line.partition("==")
            if not equal or "*" in version:
                raise LockError(f"{line} is no pin: write name==version")
            found[canonicalize_name(name)] = version.strip()
    return found


def needed(python: str, machine: str) -> set[str]:
    """What a node with its extras needs there, by the metadata of what is installed here."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_machine": machine,
        "platform_system": "Linux",
        "sys_platform": "linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    found: set[str] = set()
    todo = list(declared())
    seen: set[tuple[str, str]] = set()
    while todo:
        wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        for extra in ("", *wanted.extras):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            todo += _applying(name, {**environment, "extra": extra})
        found.add(name)
    return {each for each in found - {TORCH} if not BY_TORCH.match(each)}


def declared() -> Iterator[Requirement]:
    """What pyproject.toml asks for: the node, and the extras of EXTRAS."""
    project = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]
    for line in project["dependencies"]:
        yield Requirement(line)
    for extra in EXTRAS:
        for line in project["optional-dependencies"][extra]:
            yield Requirement(line)


def _applying(name: str, environment: Mapping[str, str]) -> Iterator[Requirement]:
    try:
        lines = requires(name) or []
    except PackageNotFoundError:  # for another Python or processor than this one
        return
    for line in lines:
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate(dict(environment)):
            yield wanted


def everywhere() -> set[str]:
    return {name for python in PYTHONS for machine in MACHINES for name in needed(python, machine)}


def hashes(wanted: Pins, python: str, machine: str) -> dict[str, str]:
    """Of the wheel that pip would take there, as its index says; without those that have none."""
    platforms = [f"--platform={glibc}_{machine}" for glibc in _GLIBC]
    with tempfile.TemporaryDirectory() as folder:
        report, lines = Path(folder) / "report.json", Path(folder) / "pins.txt"
        lines.write_text("".join(f"{name}=={version}\n" for name, version in wanted.items()))
        command = [
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"),
            *("--dry-run", "--ignore-installed", "--no-deps", "--only-binary", ":all:"),
            *("--python-version", python, *platforms, "--target", folder),
            *("--report", str(report), "-r", str(lines)),
        ]
        subprocess.run(command, check=True)
        items = json.loads(report.read_text())["install"]
    return {
        canonicalize_name(item["metadata"]["name"]): item["download_info"]["archive_info"][
            "hashes"
        ]["sha256"]
        for item in items
    }


def render(wanted: Pins, known: Mapping[str, Iterable[str]]) -> str:
    lines = [
        "# Made by `python -m scripts.lock` from constraints.txt, for pip's --require-hashes.",
        f"# CPython {', '.join(PYTHONS)} on Linux with glibc 2.36, {' and '.join(MACHINES)}.",
        "# Without torch: the machine decides which build of it is right.",
    ]
    for name in sorted(wanted):
        marks = "".join(f" \\\n    --hash=sha256:{each}" for each in sorted(set(known[name])))
        lines.append(f"{name}=={wanted[name]}{marks}")
    return "\n".join(lines) + "\n"


def mistakes(lock: str, constraints: str, refused: str, wanted: Iterable[str]) -> Iterator[str]:
    """What makes a build fail: no pin, another version than was tested, no hash, a known fault."""
    locked, tested = pins(lock), pins(constraints)
    for name in sorted(set(wanted) - set(locked)):
        yield f"{name} is needed and has no pin: add it to constraints.txt, and make the lock anew"
    for name, version in locked.items():
        if tested.get(name) != version:
            yield f"{name}=={version} is not what constraints.txt has: make the lock anew"
    yield from unhashed(lock)
    for line in refused.splitlines():
        rule, _, why = (part.strip() for part in line.partition("#"))
        if rule:
            bad = Requirement(rule)
            version = locked.get(canonicalize_name(bad.name))
            if version is not None and bad.specifier.contains(version, prereleases=True):
                yield f"{bad.name}=={version} is refused ({why}): take a later one"


def unhashed(lock: str) -> Iterator[str]:
    for entry in re.split(r"\n(?=[a-z])", lock):
        if "==" in entry and not _HASH.search(entry):
            yield f"{entry.split()[0]} has no hash: make the lock anew"


def check() -> list[str]:
    return [
        *mistakes(LOCK.read_text(), CONSTRAINTS.read_text(), REFUSED.read_text(), everywhere()),
        *unhashed(BUILD_LOCK.read_text()),
    ]


def write() -> None:
    tested = pins(CONSTRAINTS.read_text())
    names = everywhere()
    if missing := names - set(tested):
        raise LockError(f"no pin in constraints.txt for: {', '.join(sorted(missing))}")
    known: dict[str, set[str]] = {name: set() for name in names}
    for python in PYTHONS:
        for machine in MACHINES:
            here = {name: tested[name] for name in needed(python, machine)}
            for name, sha256 in hashes(here, python, machine).items():
                known[name].add(sha256)
    LOCK.write_text(render({name: tested[name] for name in names}, known))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only look, without network")
    try:
        if not parser.parse_args().check:
            write()
        found = check()
    except LockError as error:
        found = [str(error)]
    for line in found:
        sys.stderr.write(f"{line}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
