"""The commonest tasks in one call each: `refocus`, `blur`, and layers of an image with its disparity."""
