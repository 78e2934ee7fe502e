"""A report as one page, with its pictures, plots and tables."""
