"""Whether routes with several inputs agree with the other routes, the peers and the models."""

from collections.abc import Iterator, Mapping, Sequence

from dicom_ai_node.config.peers import DimsePeer
from dicom_ai_node.config.settings import Config, Route

Mistake = tuple[tuple[str | int, ...], str]  # where in the configuration, and what


def mistakes_of_inputs(config: Config) -> Iterator[Mistake]:
    """A result that nobody makes, or that waits for itself; a prior from nowhere."""
    models = {route.model for route in config.routes}
    for index, route in enumerate(config.routes):
        for name, each in route.inputs.items():
            loc = ("routes", index, "inputs", name)
            if each.result_of and each.result_of not in models:
                yield (*loc, "result_of"), f"no route runs the model {each.result_of}: add one"
            elif each.result_of and _needs(config.routes, each.result_of, route.model):
                yield (
                    (*loc, "result_of"),
                    f"{each.result_of} waits for the result of {route.model} itself",
                )
            source = each.prior.from_ if each.prior else None
            if source and not isinstance(config.peers.get(source), DimsePeer):
                dimse = [k for k, peer in config.peers.items() if isinstance(peer, DimsePeer)]
                yield (
                    (*loc, "prior", "from"),
                    f"{source} is no peer of kind dimse (there: {', '.join(dimse) or 'none'})",
                )


def mistakes_of_models(config: Config, inputs_of: Mapping[str, Sequence[str]]) -> Iterator[Mistake]:
    """Routes that name other inputs than their model does; models that are not there are passed."""
    for index, route in enumerate(config.routes):
        wanted = inputs_of.get(route.model_label)
        if wanted is None:
            continue
        named = ", ".join(wanted)
        if not route.inputs and len(wanted) > 1:
            yield ("routes", index, "model"), f"{route.model} has the inputs {named}: write inputs:"
        elif route.inputs and set(route.inputs) != set(wanted):
            yield ("routes", index, "inputs"), f"the inputs of {route.model} are {named}"
        elif route.inputs and route.inputs[wanted[0]].may_be_elsewhere:
            yield (
                ("routes", index, "inputs", wanted[0]),
                "results lie on the grid of this input: it must be a series of the study that came",
            )


def _needs(routes: Sequence[Route], model: str, other: str) -> bool:
    """Whether a model waits, by whatever detour, for the result of the other one."""
    seen: set[str] = set()
    waiting = [model]
    while waiting:
        name = waiting.pop()
        if name == other:
            return True
        if name not in seen:
            seen.add(name)
            inputs = [i for route in routes if route.model == name for i in route.inputs.values()]
            waiting += [each.result_of for each in inputs if each.result_of]
    return False
