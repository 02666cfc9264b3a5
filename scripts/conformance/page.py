"""The page as a whole, in the order of PS3.2 Annex N."""

from scripts.conformance.claims import air, checklist
from scripts.conformance.network import acceptor, overview, requestor, security
from scripts.conformance.objects import character_sets, created
from scripts.marked_tests import ROOT, Named

PAGE = ROOT / "docs" / "conformance.md"
INTRODUCTION = """\
# DICOM Conformance Statement

Of `dicom-ai-node`, after PS3.2 Annex N. Made by `python -m scripts.conformance` from the code and
from the tests' markers; change those and not this page. What stands here is what the code
negotiates, answers and writes; what no test shows is not claimed. Research use only.
"""


def page(rules: Named, claims: Named) -> str:
    sections = (
        INTRODUCTION,
        overview(),
        acceptor(),
        requestor(),
        created(),
        character_sets(),
        security(),
        air(claims, PAGE),
        checklist(rules, PAGE),
    )
    return "\n".join(sections)
