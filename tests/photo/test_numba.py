"""Matting where numba may keep nothing of what it compiles."""

import subprocess
import sys

import pytest

_MATTE = """
from numba.core import caching
for kind in (getattr(caching, "CacheImpl", None) or caching._CacheImpl)._locator_classes:
    if "UserProvided" not in kind.__name__:
        kind.from_function = classmethod(lambda cls, *arguments: None)
from taichi_bokeh.photo.matte import refine
print(refine._pymatting().__name__)
"""


@pytest.mark.slow
def test_pymatting_is_compiled_without_a_folder_to_keep_it_in():
    done = subprocess.run([sys.executable, "-c", _MATTE], capture_output=True, text=True, timeout=600, check=False)
    assert (done.stdout, done.stderr) == ("pymatting\n", "")
