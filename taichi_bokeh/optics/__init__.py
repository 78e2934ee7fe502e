"""Lenses and apertures as plain numbers: which circle of confusion a disparity gets, and what shape it has."""
