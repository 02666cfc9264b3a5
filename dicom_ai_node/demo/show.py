"""What a person sees: each long step with a spinner, or a plain line where nobody watches."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dicom_ai_node.demo.results import Stage

Say = Callable[[str], None]


@contextmanager
def step(console: Console, title: str) -> Iterator[Say]:
    """Yields what says how far it is; a step that ends is ticked off with its seconds."""
    began = time.monotonic()
    if console.is_terminal:
        with console.status(escape(title)) as status:
            yield lambda text: status.update(escape(text))
    else:
        console.print(f"{title} …", markup=False, highlight=False)
        yield lambda text: console.print(f"  {text}", markup=False, highlight=False)
    seconds = time.monotonic() - began
    console.print(f"[green]✓[/] {escape(title)} [dim]({seconds:.1f} s)[/]", highlight=False)


def print_stages(console: Console, stages: Sequence[Stage]) -> None:
    table = Table("Stage", "", "Seconds", title="How long it took", title_justify="left")
    table.columns[2].justify = "right"
    for stage in stages[:-1]:
        table.add_row(stage.name, stage.what, f"{stage.seconds:.2f}")
    table.add_section()
    table.add_row(stages[-1].name, stages[-1].what, f"{stages[-1].seconds:.2f}")
    console.print(table)


def print_facts(console: Console, facts: Sequence[tuple[str, object]]) -> None:
    """Values stand alone at the ends of their lines, whole, to be copied from there."""
    for name, value in facts:
        console.print(
            f"{name:<14}{value}", markup=False, highlight=False, soft_wrap=True, overflow="ignore"
        )
