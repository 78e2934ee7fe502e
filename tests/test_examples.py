import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_in_few_lines_and_writes_pictures(example, tmp_path):
    assert len(example.read_text().splitlines()) < 60
    done = subprocess.run([sys.executable, example, tmp_path], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    written = list(tmp_path.glob("*.png"))
    assert written
    assert all(str(path) in done.stdout for path in written)
