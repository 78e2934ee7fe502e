"""Depth from defocus: a disparity map from an all-in-focus picture and one or more blurred ones."""
