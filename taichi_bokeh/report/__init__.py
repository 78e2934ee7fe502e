"""A report as one page, with its images, plots and tables."""
