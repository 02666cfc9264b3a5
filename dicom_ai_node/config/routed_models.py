"""Whether the models that routes name are in the store, and suit them."""

from dicom_ai_node.config.inputs import mistakes_of_models
from dicom_ai_node.config.privacy_check import mistakes_of_outside
from dicom_ai_node.config.settings import Config
from dicom_ai_node.config.tree import Tree
from dicom_ai_node.errors import ConfigError


def missing_models(config: Config, tree: Tree) -> list[str]:
    # here, because a receiver needs no dictionary of coded concepts in its memory
    from dicom_ai_node.config.store import find, read_store

    there = read_store(config.node.models, config.node.trusted_models).by_label()
    inputs_of = {label: model.package.inputs for label, model in there.items()}
    lines = []
    used = [there[label] for label in {r.model_label for r in config.routes} & there.keys()]
    for loc, mistake in (
        *mistakes_of_models(config, inputs_of),
        *mistakes_of_outside(config, used),
    ):
        place, key = tree.place(loc)
        lines.append(f"{place}: {key}: {mistake}")
    for index, route in enumerate(config.routes):
        place, key = tree.place(("routes", index, "model"))
        if (model := there.get(route.model_label)) is not None:
            if model.needs_trust:
                lines.append(f"{place}: {key}: {model.needs_trust}")
            if missing := set(route.maps) - model.package.maps:
                place, key = tree.place(("routes", index, "maps"))
                names = " and ".join(sorted(missing))
                lines.append(f"{place}: {key}: {model.label} makes no map of {names}: leave it out")
            continue
        try:
            find(config.node.models, route.model, route.version)
        except ConfigError as error:
            lines += [f"{place}: {key}: {line}" for line in str(error).splitlines()]
    return lines
