"""Measurements of ``make bench``: rates and ratios within one run."""
