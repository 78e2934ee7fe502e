"""What a foreground hides: holes of disparity and colour, filled."""
