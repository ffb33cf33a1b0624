"""Wing 2: one analysis on each completed set; the only door for statsmodels."""
