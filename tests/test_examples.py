import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


QUICK = ("render",)
RUN = [pytest.param(path, id=path.stem, marks=[] if path.stem in QUICK else pytest.mark.slow) for path in EXAMPLES]


def test_every_example_is_of_few_lines():
    assert EXAMPLES
    assert all(len(example.read_text(encoding="utf-8").splitlines()) < 60 for example in EXAMPLES)


@pytest.mark.parametrize("example", RUN)
def test_example_runs_and_writes_pictures(example, tmp_path):
    done = subprocess.run([sys.executable, example, tmp_path], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    written = list(tmp_path.glob("*.png"))
    assert written
    assert all(str(path) in done.stdout for path in written)
