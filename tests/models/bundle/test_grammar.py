"""What is understood of MONAI's expressions, and that nothing else is."""

from typing import Any

import pytest

from dicom_ai_node.models.bundle.grammar import DEVICE, NotPlain, evaluated

PLACES = {"a": 2, "root": "/bundle", "some::list": [1, 2], "deep#key": 0.5, "a_long_name": "x"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.5", 1.5),
        ("-@a", -2),
        ("[1, 2.5] + @some::list", [1, 2.5, 1, 2]),
        ("(@a + 1) * 3 // 2", 4),
        ("@root + '/models/model.pt'", "/bundle/models/model.pt"),
        ("@a_long_name + 'y'", "xy"),
        ("@deep#key", 0.5),
        ("[1, 2] if @a >= 2 else [3]", [1, 2]),
        ("@some::list[-1]", 2),
        ("not True", False),
        ("None", None),
        ("torch.float32", "float32"),
        ("torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')", DEVICE),
    ],
)
def test_expressions_of_data_are_evaluated(text: str, expected: Any) -> None:
    assert evaluated(text, PLACES.__getitem__) == expected


@pytest.mark.fault("E13")
@pytest.mark.parametrize(
    "text",
    [
        "import os",
        "print(1)",
        "@a.bit_length()",
        "().__class__",
        "{'a': 1}",
        "[x for x in @some::list]",
        "f'{@a}'",
        "(x := 1)",
        "os",
        "10 ** 10",
        "'a' * 1000",
        "@some::list * 1000",
        "1 / 0",
        "@some::list[9]",
        "@nowhere",
        "'see @a'",
        "torch.device(open('x'))",
        "torch.load('x')",
        "1 " * 1000,
        "(" * 400,
        "not " * 120 + "@a.x",
        "9223372036854775807 * 9",
        "'\0'",
    ],
)
def test_what_is_code_or_too_much_is_not(text: str) -> None:
    with pytest.raises(NotPlain):
        evaluated(text, PLACES.__getitem__)
