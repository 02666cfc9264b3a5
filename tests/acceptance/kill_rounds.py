"""`python -m tests.acceptance.kill_rounds --rounds 200 --seed 1`: a process killed in each round.

What was done is kept below `--home`, and gone on with when it is begun again. A round that was
uneven ends it; when it is done again, and is even, the uneven one counts still.
"""

import argparse
import json
import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from dicom_ai_node.durable_steps import Step
from tests.acceptance.kills.plan import MOST, plan
from tests.acceptance.kills.rounds import RoundResult, Rounds, Uneven
from tests.acceptance.reliability_page import kill_section, made_by, write_section

LEG = 15  # rounds of one node


def main() -> int:
    asked = _arguments()
    asked.home.mkdir(parents=True, exist_ok=True)
    kept = asked.home / f"seed-{asked.seed}.jsonl"
    done = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    numbers = list(range(asked.first, asked.first + asked.rounds))
    left = [n for n in numbers if n not in {each["round"] for each in done if is_even(each)}]
    for leg in (left[at : at + LEG] for at in range(0, len(left), LEG)):
        with kept.open("a") as file:
            try:
                found = _leg(asked.home / f"leg-{asked.seed}-{leg[0]}", asked.seed, leg)
            except Uneven as error:
                file.write(json.dumps(uneven_row(leg, error)) + "\n")
                raise
            for each in found:
                done.append(each)
                file.write(json.dumps(each) + "\n")
    done = [each for each in done if each["round"] in numbers]
    _say_sum(done)
    if asked.page:
        command = (
            f"python -m tests.acceptance.kill_rounds --rounds {asked.rounds} --seed {asked.seed}"
        )
        made = made_by(command)
        write_section(asked.page, "kill rounds", kill_section(sums_of(done), by_step(done), made))
    return 0 if all(map(is_even, done)) else 1


def is_even(row: dict[str, Any]) -> bool:
    return "uneven" not in row


def uneven_row(leg: list[int], error: Uneven) -> dict[str, Any]:
    """Of the round in which it was seen, or the last of its node."""
    return {
        "round": leg[-1] if error.number is None else error.number,
        "uneven": str(error),
        "lost": len(error.reckoning.lost),
        "doubled": len(error.reckoning.doubled),
    }


def _arguments() -> Any:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="the number of the first round")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path, default=Path("build/kill-rounds"))
    parser.add_argument("--page", type=Path, help="where the figures are written")
    return parser.parse_args()


def _leg(home: Path, seed: int, numbers: list[int]) -> list[dict[str, Any]]:
    """Some rounds of one node; none of them counts if the end is uneven."""
    if home.exists():
        shutil.rmtree(home)
    rounds = Rounds(home)
    found = []
    try:
        rounds.start()
        for number in numbers:
            result = rounds.run(number, plan(seed, number))
            _say(result)
            found.append(_row(result))
        reckoning = rounds.end()
    except BaseException:
        rounds.abandon()
        raise
    shutil.rmtree(home)
    ledgers = [sender.ledger for sender in rounds.senders]
    found[-1] |= {
        "studies": len(rounds.sent),
        "acknowledged": sum(len(each.acknowledged) for each in ledgers),
        "sent_again": sum(each.sent_again for each in ledgers),
        "objects": len(rounds.pacs.copies),
        "came": rounds.pacs.came,
        "lost": len(reckoning.lost),
        "doubled": len(reckoning.doubled),
    }
    return found


def _row(result: RoundResult) -> dict[str, Any]:
    return {
        "round": result.number,
        "strikes": [str(each) for each in result.strikes],
        "struck": result.struck,
        "seconds": round(result.seconds, 1),
    }


def _say(result: RoundResult) -> None:
    strikes = ", ".join(map(str, result.strikes))
    how = f"{result.struck} of {len(result.strikes)} struck"
    sys.stdout.write(
        f"{time.strftime('%H:%M:%S')} round {result.number:4} {result.seconds:5.1f} s"
        f"  {how}  {strikes}\n"
    )
    sys.stdout.flush()


def sums_of(done: list[dict[str, Any]]) -> dict[str, int]:
    keys = ("struck", "studies", "acknowledged", "sent_again", "objects", "came")
    keys += ("lost", "doubled")
    sums = {key: sum(each.get(key, 0) for each in done) for key in keys}
    sums["rounds"] = sum(map(is_even, done))
    sums["uneven"] = len(done) - sums["rounds"]
    sums["struck_rounds"] = sum(bool(each.get("struck")) for each in done)
    return sums


def by_step(done: list[dict[str, Any]]) -> dict[str, Counter[str]]:
    """How often which step was struck, and how."""
    found = {step: Counter[str]() for step in MOST}
    for each in filter(is_even, done):
        for text in each["strikes"][: each["struck"]]:
            step, _, how = text.split()
            found[Step(step)][how] += 1
    return dict(found)


def _say_sum(done: list[dict[str, Any]]) -> None:
    sys.stdout.write(", ".join(f"{key} {value}" for key, value in sums_of(done).items()) + "\n")


if __name__ == "__main__":
    sys.exit(main())
