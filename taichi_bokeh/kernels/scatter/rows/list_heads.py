"""What stands in the head of a list (row_lists.py)."""

BEGIN, FIRST, LENGTH, KIND = 0, 1, 2, 3  # where they stand in the head of a list
WEIGHTS, EDGES = 0, 1  # kinds of lists
TAPS = 4  # entries of a block of a mirrored list
