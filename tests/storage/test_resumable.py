"""A checkpoint comes back as it was saved, and only to the work that it belongs to; so does a folder of results."""

import numpy as np
import pytest
import torch

from taichi_bokeh.storage.fingerprint import value_digest
from taichi_bokeh.storage.resumable import Checkpoint, check_record, open_record
from tests.storage.damage import one_bit_other

STATE = {"sums": torch.arange(4096.0), "losses": [1.5, 2.5], "note": None}
RECORD = {"format": 1, "rays": 16, "lens": {"blur": 4.0}, "scene": value_digest(torch.ones(3))}


def saved(path):
    Checkpoint(path, "trace", RECORD).save(STATE)
    return path


def test_a_state_comes_back_bit_for_bit(tmp_path):
    path = saved(tmp_path / "state")
    found = Checkpoint(path, "trace", RECORD).load()
    assert torch.equal(found["sums"], STATE["sums"])
    assert (found["losses"], found["note"]) == ([1.5, 2.5], None)
    Checkpoint(path, "trace", RECORD).remove()
    assert Checkpoint(path, "trace", RECORD).load() is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2, "rays": 9}, "another version of this program wrote it"),
        ({"rays": 17}, "rays is 16 there, and 17 here"),
        ({"rays": None}, "rays is 16 there, and not given here"),
        ({"lens": {"blur": 5.0}}, "lens.blur is 4.0 there, and 5.0 here"),
        ({"scene": value_digest(torch.zeros(3))}, "scene is not the same"),
        ({"more": 1}, "more is not given there, and 1 here"),
    ],
)
def test_the_first_difference_is_named_and_the_file_is_kept(tmp_path, change, message):
    path = saved(tmp_path / "state")
    content = path.read_bytes()
    with pytest.raises(ValueError, match=f"state is of another trace, and is left as it is: {message}"):
        Checkpoint(path, "trace", RECORD | change).load()
    assert path.read_bytes() == content


@pytest.mark.parametrize("damage", [one_bit_other, lambda content: content[:-100], lambda _: b"", lambda _: b"precious"])
def test_a_damaged_file_is_refused_and_kept(tmp_path, damage):
    path = saved(tmp_path / "state")
    path.write_bytes(damage(path.read_bytes()))
    content = path.read_bytes()
    with pytest.raises(ValueError, match="state is damaged or no checkpoint of a trace"):
        Checkpoint(path, "trace", RECORD).load()
    assert path.read_bytes() == content


def test_it_saves_when_it_is_due(tmp_path):
    Checkpoint(tmp_path / "late", "trace", RECORD, every_s=3600.0).save_if_due(STATE)
    Checkpoint(tmp_path / "now", "trace", RECORD, every_s=0.0).save_if_due(STATE)
    assert [path.name for path in tmp_path.iterdir()] == ["now"]


def test_a_folder_is_of_one_record(tmp_path):
    folder = tmp_path / "run"
    open_record(folder, "run.json", "run", {"rays": 1})
    open_record(folder, "run.json", "run", {"rays": 1})
    with pytest.raises(ValueError, match="run is of another run, and is left as it is: rays is 1 there, and 2 here"):
        open_record(folder, "run.json", "run", {"rays": 2})
    (folder / "run.json").write_text("[1")
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        check_record(folder, "run.json", "run", {"rays": 1})
    with pytest.raises(FileExistsError, match="holds files of something else; give a new folder, or that of a game"):
        open_record(folder, "game.json", "game", {})


def test_digests_tell_values_apart_by_their_content():
    values = [torch.ones(2), torch.ones(2).double(), np.ones((2, 1), np.float32), [1, 23], [12, 3], "1", 1, None]
    assert len({value_digest(value) for value in values}) == len(values)
    assert value_digest([torch.ones(2), "a"]) == value_digest([torch.ones(2), "a"])
