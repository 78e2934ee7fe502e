"""The window itself, driven by xdotool as a user would; each window has a process of its own.

They run where TAICHI_BOKEH_WINDOWED=1, under a display with a Vulkan driver, in software if need be:

    TAICHI_BOKEH_WINDOWED=1 xvfb-run -a -s "-screen 0 1600x1000x24" pytest tests/viewer/test_window.py

with Debian's xvfb, xauth, xdotool, imagemagick, mesa-vulkan-drivers and libvulkan1.
"""

import io
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import taichi_bokeh as tb
from taichi_bokeh.apps import cli
from taichi_bokeh.io import read_image, write_image
from taichi_bokeh.photo import to_layers
from taichi_bokeh.photo.measure import disparity_at
from taichi_bokeh.viewer import views
from taichi_bokeh.viewer.window import PANEL_PX

pytestmark = pytest.mark.skipif(
    os.environ.get("TAICHI_BOKEH_WINDOWED") != "1", reason="opens windows: set TAICHI_BOKEH_WINDOWED=1 under a display"
)

WIDTH, HEIGHT = 300, 200
WINDOW = (PANEL_PX + WIDTH, 640)
WAIT_S = 120.0  # a kernel may have to be compiled on a busy machine
SLIDER_Y = {"blur": 59, "highlights": 220}  # rows of the panel, in px
SLIDER_X = (12, 186)


def eventually(holds: Callable[[], object], what: str) -> None:
    """Wait until it holds."""
    end = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.2)


class Driver:
    """A preview in its window, and a hand on mouse and keys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        words = ["preview", "photo.png", "--disparity", "disparity.npy", "--layers=2", f"--size={WINDOW[0]}x{WINDOW[1]}"]
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "taichi_bokeh", *words, "--focus=0.5", "--blur=12"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        eventually(self._find, "no window came")
        self.move(WINDOW[0] - 5, 5)  # without a window manager, keys go to the window under the mouse
        eventually(lambda: self.shot().std() > 0, "the window stayed empty")

    def _find(self) -> bool:
        assert self.process.poll() is None, self.process.communicate()
        found = subprocess.run(
            ["xdotool", "search", "--onlyvisible", "--name", "^taichi-bokeh"], capture_output=True, text=True, check=False
        )
        self.window = found.stdout.split()[0] if found.stdout.split() else ""
        return bool(self.window)

    def tool(self, *words: object) -> None:
        subprocess.run(["xdotool", *map(str, words)], check=True)

    def move(self, x: float, y: float) -> None:
        self.tool("mousemove", "--window", self.window, round(x), round(y))
        time.sleep(0.3)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.move(*start)
        self.tool("mousedown", 1)
        time.sleep(0.3)
        for share in (0.5, 0.9, 1.0):  # a hand moves on; GGUI does not see a single motion that comes with the press
            self.move(*(a + share * (b - a) for a, b in zip(start, end, strict=True)))
        self.tool("mouseup", 1)
        time.sleep(0.3)

    def slide(self, y: int) -> None:
        """Drag a slider from its middle to three quarters; again where the window was too busy to see it."""

        def row() -> np.ndarray:
            self.move(WINDOW[0] - 5, 5)
            return self.shot()[y - 8 : y + 9, :PANEL_PX]

        def moved() -> bool:
            self.drag(((SLIDER_X[0] + SLIDER_X[1]) / 2, y), (SLIDER_X[0] + 0.75 * (SLIDER_X[1] - SLIDER_X[0]), y))
            return bool((row() != before).any())

        before = row()
        eventually(moved, f"the slider at {y} px stayed")

    def click(self, x: float, y: float) -> None:
        self.move(x, y)
        self.tool("mousedown", 1)
        time.sleep(0.3)
        self.tool("mouseup", 1)
        time.sleep(0.3)

    def key(self, name: str) -> None:
        self.tool("key", name)
        time.sleep(0.4)

    def shot(self) -> np.ndarray:
        """The window's pixels, [H, W, 3]."""
        taken = subprocess.run(["import", "-window", self.window, "png:-"], capture_output=True, check=True)
        return np.asarray(Image.open(io.BytesIO(taken.stdout)).convert("RGB"))

    def close(self) -> tuple[list[str], list[str]]:
        """Press q; the lines that the command printed, and the words of the last, a command line."""
        self.key("q")
        out, error = self.process.communicate(timeout=WAIT_S)
        assert self.process.returncode == 0, error
        lines = out.splitlines()
        return lines, shlex.split(lines[-1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a photograph of three grounds, whose disparity differs from top to bottom."""
    folder = tmp_path_factory.mktemp("window")
    generator = np.random.default_rng(2)
    tiles = generator.uniform(0.05, 0.9, (HEIGHT // 10, WIDTH // 10, 3)).astype(np.float32)
    write_image(folder / "photo.png", np.kron(tiles, np.ones((10, 10, 1), np.float32)))
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    disparity = np.where(y < HEIGHT / 2, 0.2 + 0.1 * x / WIDTH, 0.7 + 0.1 * x / WIDTH)
    np.save(folder / "disparity.npy", disparity.astype(np.float32))
    return folder


@pytest.fixture
def driver(folder: Path) -> Iterator[Driver]:
    driver = Driver(folder)
    yield driver
    if driver.process.poll() is None:
        driver.process.kill()
        driver.process.communicate()


def option(words: list[str], name: str) -> str:
    return next(word.partition("=")[2] for word in words if word.startswith(f"--{name}="))


def picture_box(size: tuple[int, int]) -> tuple[int, int]:
    """Left and top of the picture in a window of this size, in which it is not scaled."""
    status = 44
    return PANEL_PX + (size[0] - PANEL_PX - WIDTH) // 2, (size[1] - status - HEIGHT) // 2


def rendered(folder: Path, focus: float, blur: float) -> np.ndarray:
    """What the screen must show in the end."""
    layers = to_layers(read_image(folder / "photo.png").rgb, np.load(folder / "disparity.npy"), layers=2)
    return views.screen(tb.render(layers, tb.ThinLens(blur, focus), model="subaperture", cells=16)[0], 0.0)


def test_click_slider_keys_save_and_close(driver, folder):
    left, top = picture_box(WINDOW)
    size = np.s_[top : top + HEIGHT, left : left + WIDTH]
    expected = rendered(folder, 0.5, 12.0)
    eventually(lambda: np.abs(driver.shot()[size].astype(int) - expected).max() <= 1, "the screen is not the renderer's")

    column, row = 240, 30  # in the upper half: were the window's y axis not turned round, the lower one would be in focus
    driver.click(left + column + 0.5, top + row + 0.5)
    focus = disparity_at(np.load(folder / "disparity.npy"), column, row)
    expected = rendered(folder, focus, 12.0)
    eventually(lambda: np.abs(driver.shot()[size].astype(int) - expected).max() <= 1, "a click did not focus there")

    driver.key("h")
    assert np.abs(driver.shot()[size].astype(int) - expected).max() > 60
    driver.key("h")
    for y in SLIDER_Y.values():
        driver.slide(y)
    driver.key("b")
    driver.key("s")
    eventually(lambda: (folder / "photo-bokeh.png").exists(), "nothing was saved")
    lines, words = driver.close()

    assert float(option(words, "focus")) == focus
    assert float(option(words, "blur")) > 20  # the slider goes to 50
    assert float(option(words, "highlights")) > 10  # and this one to 20
    assert option(words, "blades") == "3"
    assert any(line.startswith("saved: ") for line in lines)
    again = shlex.split(next(line for line in lines if line.startswith("taichi-bokeh render")))
    saved = (folder / "photo-bokeh.png").read_bytes()
    again[again.index("-o") + 1] = str(folder / "again.png")
    again[again.index("photo.png")] = str(folder / "photo.png")
    again = [word.replace("=disparity.npy", f"={folder / 'disparity.npy'}") for word in again]
    assert cli.main([*again[1:], "--quiet"]) == 0
    assert (folder / "again.png").read_bytes() == saved
    assert sorted(path.name for path in folder.iterdir()) == ["again.png", "disparity.npy", "photo-bokeh.png", "photo.png"]


def test_a_resized_window_shows_the_picture_in_its_new_place(driver, folder):
    larger = (PANEL_PX + 2 * WIDTH, 700)
    driver.tool("windowsize", driver.window, *larger)
    eventually(lambda: driver.shot().shape[:2] == larger[::-1], "the window was not resized")
    expected = np.asarray(
        Image.fromarray(rendered(folder, 0.5, 12.0)).resize((2 * WIDTH, 2 * HEIGHT), Image.Resampling.BILINEAR)
    )
    top = (larger[1] - 44 - 2 * HEIGHT) // 2
    place = np.s_[top : top + 2 * HEIGHT, PANEL_PX:]
    eventually(lambda: np.abs(driver.shot()[place].astype(int) - expected).max() <= 1, "the picture is not where it belongs")
    driver.click(PANEL_PX + 480, top + 60)
    focus = disparity_at(np.load(folder / "disparity.npy"), 240, 30)
    assert float(option(driver.close()[1], "focus")) == pytest.approx(focus, abs=1e-3)


def test_a_drag_moves_the_wipe_and_undo_leaves_it(driver, folder):
    left, top = picture_box(WINDOW)
    size = np.s_[top : top + HEIGHT, left : left + WIDTH]
    expected = rendered(folder, 0.5, 12.0)
    eventually(lambda: np.abs(driver.shot()[size].astype(int) - expected).max() <= 1, "the screen is not the renderer's")
    driver.key("w")
    driver.drag((left + 150, top + 100), (left + 75, top + 60))
    sharp = np.asarray(Image.open(folder / "photo.png"))
    eventually(lambda: (driver.shot()[size][:, 75] == 255).all(), "no line where the mouse was let go")
    assert np.abs(driver.shot()[size][:, :73].astype(int) - sharp[:, :73]).max() <= 1
    driver.key("z")
    assert float(option(driver.close()[1], "focus")) == 0.5


def test_without_a_vulkan_driver_one_line_says_what_to_install(folder):
    nowhere = {"VK_ICD_FILENAMES": "/nonexistent", "VK_DRIVER_FILES": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-m", "taichi_bokeh", "preview"],
        cwd=folder,
        env=os.environ | nowhere,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("taichi-bokeh: error: no Vulkan driver for a window")
    assert "mesa-vulkan-drivers" in done.stderr
    assert "--offscreen" in done.stderr
    assert done.stderr.count("\n") == 1
