"""A program: `pip_finds.py REQUIREMENT FOLDER` lets pip find a source distribution and copies it.

Nothing of it is unpacked or run. pip's functions here have no promise of stability.
"""

import sys
from pathlib import Path

from pip._internal.commands.download import DownloadCommand
from pip._internal.exceptions import PipError
from pip._vendor.packaging.requirements import Requirement


def main(requirement: str, folder: Path) -> None:
    wanted = Requirement(requirement)
    command = DownloadCommand("download", "")
    options, _ = command.parse_args(["--no-input", f"--no-binary={wanted.name}"])
    session = command._build_session(options)
    finder = command._build_package_finder(options=options, session=session)
    candidates = [
        each
        for each in finder.find_all_candidates(wanted.name)
        if wanted.specifier.contains(str(each.version)) and each.link.filename.endswith(".tar.gz")
    ]
    if not candidates:
        sys.exit(f"no source distribution of {requirement} is to be found")
    link = candidates[0].link
    response = session.get(link.url_without_fragment, stream=True)
    response.raise_for_status()
    with (folder / "sdist.tar.gz").open("wb") as file:
        for piece in response.iter_content(1 << 20):
            file.write(piece)


if __name__ == "__main__":
    try:
        main(sys.argv[1], Path(sys.argv[2]))
    except (PipError, OSError) as error:  # requests' errors are OSErrors
        sys.exit(str(error))
