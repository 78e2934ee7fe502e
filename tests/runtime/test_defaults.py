"""Nothing in the package depends on torch's default device or dtype: each tensor that is made says what it is."""

import ast
from pathlib import Path

import taichi_bokeh

ROOT = Path(taichi_bokeh.__file__).parent
#: What makes a tensor on the default device, and, of those in the second set, of the default dtype.
MAKERS = {"arange", "as_tensor", "asarray", "empty", "eye", "full", "linspace", "logspace", "ones", "rand", "randint"}
MAKERS |= {"randn", "randperm", "scalar_tensor", "tensor", "zeros"}
OF_DEFAULT_DTYPE = MAKERS - {"arange", "randint", "randperm"}


def careless(file: Path) -> list[str]:
    """Calls of a maker of tensors that leave something to the defaults."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MAKERS):
            continue
        if ast.unparse(node.func.value) != "torch":
            continue
        needed = {"device", "dtype"} if node.func.attr in OF_DEFAULT_DTYPE else {"device"}
        if not needed <= {keyword.arg for keyword in node.keywords}:
            found.append(f"{file.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}")
    return found


def test_every_tensor_is_made_with_a_dtype_and_a_device_of_its_own():
    assert [call for file in sorted(ROOT.rglob("*.py")) for call in careless(file)] == []
