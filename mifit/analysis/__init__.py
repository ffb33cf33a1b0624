"""Fit one statsmodels model to each completed set; only this package imports statsmodels."""
