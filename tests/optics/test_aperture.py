import pytest
import torch

from taichi_bokeh.optics.aperture import Aperture


def test_the_default_aperture_is_a_disc_however_it_is_spelled():
    assert Aperture() == Aperture(blades=0, rotation=0, roundness=1, squeeze=1, cat_eye=0, ring=0, image=None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("blades", 6),
        ("blades", False),
        ("rotation", 15.0),
        ("roundness", 0.5),
        ("squeeze", 2.0),
        ("squeeze", float("nan")),
        ("cat_eye", 0.3),
        ("ring", "0.0"),
    ],
)
def test_an_opening_that_this_release_cannot_render_is_refused_and_not_ignored(field, value):
    with pytest.raises(ValueError, match=f"^{field} is {value!r}; only the disc .* works in this release$"):
        Aperture(**{field: value})


def test_an_aperture_image_is_refused_in_a_short_message():
    with pytest.raises(ValueError, match=r"^image is .*only the disc \(image=None") as refusal:
        Aperture(image=torch.rand(64, 64))
    assert len(str(refusal.value)) < 120


def test_an_aperture_cannot_be_changed():
    with pytest.raises(AttributeError):
        Aperture().blades = 6
