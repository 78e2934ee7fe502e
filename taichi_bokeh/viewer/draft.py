"""How large a draft may be: as large as a frame's time allows, by the time that the last ones took."""

Size = tuple[int, int]

#: Longest sides of drafts in px, each some 1.3 times the one before.
LADDER = (96, 128, 160, 208, 272, 352, 464, 600, 784, 1024, 1328, 1728)
_START = 2
_GROWTH = 1.3  # time grows with the number of pixels, and with the radii, to about this power of it
_ROOM = 0.85  # of the budget, that the next size must keep to, lest sizes go to and fro


class DraftSize:
    """The size of the next draft.

    Args:
        budget_s: what a frame with a draft may take.
    """

    def __init__(self, budget_s: float) -> None:
        self.budget_s = budget_s
        self._rung = _START
        self._fresh = True
        self._was_slow = False

    def within(self, largest: Size) -> Size:
        """The next draft's (width, height), of the shape of `largest` and no larger."""
        return fitted(largest, LADDER[self._rung])

    def took(self, frame_s: float, render_s: float, largest: Size) -> None:
        """Learn from a frame with a draft of `within(largest)`, and from the part of its time that grows with the draft.

        One slow frame may be another program's doing; a second, or one that is far too slow, makes drafts smaller.
        """
        if self._fresh:  # the first one of a kind compiles kernels
            self._fresh = False
            return
        is_slow = frame_s > self.budget_s
        if is_slow and (self._was_slow or frame_s > 2 * self.budget_s):
            self._rung = max(0, self._rung - 1)
            self._was_slow = False
            return
        self._was_slow = is_slow
        if not is_slow and LADDER[self._rung] < max(largest) and self._rung + 1 < len(LADDER):
            pixels = (LADDER[self._rung + 1] / LADDER[self._rung]) ** 2
            if frame_s + render_s * (pixels**_GROWTH - 1) <= _ROOM * self.budget_s:
                self._rung += 1

    def of_another_kind(self) -> None:
        """What is drafted has changed, and its first frame says nothing."""
        self._fresh = True


def fitted(size: Size, longest_px: int) -> Size:
    """The size with its longest side at most this long, each side at least 1 px."""
    scale = min(1.0, longest_px / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
