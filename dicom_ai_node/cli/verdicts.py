"""What routes said about series, printed for people: rows as the table of verdicts has them."""

from collections.abc import Mapping, Sequence
from typing import Any

from dicom_ai_node.cli.show import console


def print_verdicts(rows: Sequence[Mapping[str, Any]]) -> None:
    """For each route and series what matched, what failed and with which value, what was chosen."""
    out = console(soft_wrap=True)
    for row in rows:
        part = f", {row['part']}" if row["part"] else ""
        of = "" if row["input"] == "image" else f", input {row['input']}"
        out.print(
            f"Series of {row['instances']} {row['modality']} instances "
            f"({row['series_instance_uid']}{part}), route {row['route']}{of}: {_answer(row)}"
        )
        for sign, sentences in (("-", row["failed_clauses"]), ("+", row["held_clauses"])):
            for sentence in sentences:
                out.print(f"  {sign} {sentence}")


def _answer(row: Mapping[str, Any]) -> str:
    if row["chosen"]:
        return f"taken, with a score of {row['score']:g}" if row["score"] else "taken"
    if row["matched"]:
        return f"suits with a score of {row['score']:g}, not taken"
    return "not taken"
