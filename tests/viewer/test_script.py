"""A script makes frames and says what its last state is; one that cannot be done is refused before work."""

import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

import taichi_bokeh as tb
from taichi_bokeh.io import read_image, write_image
from taichi_bokeh.photo.highlights import boost_highlights
from taichi_bokeh.photo.near_far import scale_near_and_far
from taichi_bokeh.viewer.script import check_frames, read_script, run_script
from taichi_bokeh.viewer.session import Session
from taichi_bokeh.viewer.source import LayersSource, command_words, free_name, shape_options
from taichi_bokeh.viewer.state import State
from tests.viewer.scenes import square_scene


def script(folder: Path, actions: object) -> Path:
    path = folder / "actions.json"
    path.write_text(json.dumps(actions), encoding="utf-8")
    return path


def run(folder: Path, actions: list[object], **options: bool) -> Session:
    session = Session(square_scene(), (200, 160))
    run_script(session, LayersSource(session.scene.layers), read_script(script(folder, actions)), folder / "frames", **options)
    return session


def test_a_script_makes_a_frame_after_every_action_and_tells_the_state(tmp_path):
    actions = [
        {"click": [0.5, 0.5]},
        {"set": {"model": "scatter", "blur": 4}},
        {"wait": 1},
        {"resize": [120, 100]},
        {"key": "z"},
        {"drag": [0.1, 0.9]},
        {"release": True},
    ]
    session = run(tmp_path, actions)
    frames = [iio.imread(tmp_path / "frames" / f"{number:04d}.png") for number in range(len(actions) + 1)]
    assert [frame.shape for frame in frames] == 4 * [(160, 200, 3)] + 4 * [(100, 120, 3)]
    np.testing.assert_array_equal(frames[-1], session.frame())
    told = json.loads((tmp_path / "frames" / "state.json").read_text(encoding="utf-8"))
    assert State(**told["state"]) == session.state
    assert session.state.blur != 4
    assert [entry["shows"].split()[0] for entry in told["frames"]] == [*3 * ["draft"], *2 * ["full"], *3 * ["draft"]]
    made = {"tb": tb, "layers": session.scene.layers}
    picture = eval(told["command"], made)[0]
    session.finish()
    np.testing.assert_allclose(picture.numpy(), session.rendered.image.numpy(), atol=1e-5)


@pytest.mark.parametrize("look", [{}, {"highlights": 5, "highlight_threshold": 0.2}, {"near_blur": 0.3}, {"far_blur": 2}])
def test_the_python_that_is_told_makes_the_saved_picture_again(tmp_path, monkeypatch, look):
    monkeypatch.chdir(tmp_path)
    session = run(tmp_path, [{"set": {"model": "scatter", "blur": 5, "focus": 0.5} | look}, {"save": "out.png"}])
    told = json.loads((tmp_path / "frames" / "state.json").read_text(encoding="utf-8"))["command"]
    names = {"boost_highlights": boost_highlights, "scale_near_and_far": scale_near_and_far}
    picture = eval(told, {"tb": tb, "layers": session.scene.layers} | names)[0]
    write_image(tmp_path / "again.png", picture.permute(1, 2, 0).numpy())
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "out.png").read_bytes()
    assert ("layers.rgb" in told) == bool(look)


def test_saving_writes_the_picture_of_full_size_and_replaces_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session = run(tmp_path, [{"set": {"model": "scatter", "blur": 5}}, {"save": "out.png"}])
    expected = tb.render(session.scene.layers, session.lens, model="scatter")[0].permute(1, 2, 0).numpy()
    write_image(tmp_path / "expected.png", expected)
    assert (tmp_path / "out.png").read_bytes() == (tmp_path / "expected.png").read_bytes()
    steps = read_script(script(tmp_path, [{"save": "out.png"}]))
    with pytest.raises(FileExistsError, match=r"out.png exists already"):
        check_frames(tmp_path / "new", steps, overwrite=True)
    with pytest.raises(FileExistsError, match=r"state.json exists already"):
        check_frames(tmp_path / "frames", [], overwrite=False)
    check_frames(tmp_path / "frames", [], overwrite=True)
    assert free_name(tmp_path / "out.png") == tmp_path / "out-2.png"
    assert read_image(tmp_path / "out.png").rgb.shape == (40, 60, 3)


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ({"click": [0, 0]}, "holds a dict; expected a list of actions"),
        ([{"click": [0.5, 0.5]}, {"tap": 1}], 'action 1: {"tap": 1} is no action; expected an object with one of click'),
        ([{"click": [0.5]}], "action 0: click is [0.5]; expected two numbers"),
        ([{"drag": [0.5, 1.5]}], "action 0: drag is 1.5; expected at most 1"),
        ([{"resize": [0, 5]}], "action 0: resize is 0; expected at least 1"),
        ([{"resize": [5, 99999]}], "action 0: resize is 99999; expected at most 16384"),
        ([{"set": {}}], "action 0: set is {}; expected an object of controls"),
        ([{"key": "q"}], "action 0: key is 'q'; expected one of h"),
        ([{"key": ["h"]}], "action 0: key is ['h']; expected one of h"),
        ([{"wait": "long"}], "action 0: wait is of type str; expected an integer"),
        ([{"save": ""}], "action 0: save is ''; expected the name of a file"),
    ],
)
def test_what_is_no_script_is_refused_by_its_entry(tmp_path, actions, message):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the message is compared below
        read_script(script(tmp_path, actions))
    assert message in str(refused.value)


def test_a_file_that_is_no_json_is_refused(tmp_path):
    (tmp_path / "actions.json").write_bytes(b"\xff{")
    with pytest.raises(ValueError, match="is not JSON"):
        read_script(tmp_path / "actions.json")


def test_an_action_that_the_scene_refuses_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"action 0 \(set\): blur is 1000; expected at most 10"):
        run(tmp_path, [{"set": {"blur": 1000}}])


def test_the_command_says_every_number_to_the_last_bit_and_leaves_out_what_is_usual(tmp_path):
    state = State(focus=-0.1, blur=1 / 3, cells=9, rotation=20.0)
    words = command_words(state, state.lens(None, 100), ["a b.png", "--disparity=d.npy"], Path("out.png"))
    assert words[:3] == ["render", "a b.png", "--disparity=d.npy"]
    assert words[3:] == [f"--blur={1 / 3!r}", "--focus=-0.1", "--model=subaperture", "--cells=9", "-o", "out.png"]
    looked = State(focus=0.5, blur=1.0, highlights=4.0, highlight_threshold=0.6, far_blur=0.3)
    options = ["--highlights=4.0", "--highlight-threshold=0.6", "--far-blur=0.3"]
    assert command_words(looked, looked.lens(None, 100), [], Path("out.png"))[5:8] == options
    shaped = State(focus=0.0, blur=1.0, blades=7, rotation=20.0, squeeze=2.0, ring=-0.5)
    assert shape_options(shaped) == {"blades": 7, "roundness": 0.0, "rotation": 20.0, "squeeze": 2.0, "ring": -0.5}
