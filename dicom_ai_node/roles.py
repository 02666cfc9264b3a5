"""What a person may do on the web page: each role may what those before it may."""

import enum


class Role(enum.StrEnum):
    """`look` sees our own numbers and states, and nothing by which a patient could be found."""

    LOOK = "look"
    ACT = "act"  # on jobs, studies and peers; sees UIDs, and pictures of results
    CONFIGURE = "configure"  # models, draining, tokens

    def may(self, wanted: "Role") -> bool:
        order = list(Role)
        return order.index(self) >= order.index(wanted)
