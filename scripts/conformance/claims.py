"""What is claimed of results, each with the tests that show it."""

from pathlib import Path

from scripts.conformance.table import table
from scripts.marked_tests import Named, links
from tests.result_rules import AIR, RULES

NOT_SHOWN = "*no test shows it yet*"


def air(named: Named, page: Path) -> str:
    """Claims without a test are left out of the table, and named as what they are."""
    rows = [(claim, links(named[name], page)) for name, claim in AIR.items() if name in named]
    missing = [claim for name, claim in AIR.items() if name not in named]
    said = "".join(f"- Not claimed: {claim}\n" for claim in missing)
    return (
        "## IHE AI Results (AIR): Evidence Creator\n\n"
        "Claimed is what a test shows. The supplement names what an Evidence Creator may encode\n"
        "(primitives) and how the algorithm is identified (6.5.3); transactions RAD-18 and RAD-43\n"
        "are C-STORE, and RAD-10 is Storage Commitment, for peers that are asked for it.\n\n"
        + table(("what", "tests"), rows)
        + (f"\n{said}" if said else "")
    )


def checklist(named: Named, page: Path) -> str:
    rows = [
        (rule.number, rule.rule, rule.why, links(named.get(rule.number, ()), page) or NOT_SHOWN)
        for rule in RULES
    ]
    return (
        "## What every result is checked for\n\n"
        "Each rule, why it is there, and the tests that show it on real objects.\n\n"
        + table(("", "rule", "why", "tests"), rows)
    )
