"""Write docs/conformance.md.

    python -m scripts.conformance [--check]

With --check nothing is written, and the exit status is 1 when the page is out of date.
"""

import argparse
import sys

from scripts.conformance.page import PAGE, page
from scripts.marked_tests import CollectionFailed, collect


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="exit 1 when the page is out of date")
    check = parser.parse_args().check
    try:
        named = collect("result_rule", "air")
    except CollectionFailed as error:
        sys.exit(f"the tests cannot be collected:\n{error}")
    made = page(named["result_rule"], named["air"])
    if not check:
        PAGE.write_text(made, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != made:
        sys.exit("docs/conformance.md is out of date: run python -m scripts.conformance")


if __name__ == "__main__":
    main()
