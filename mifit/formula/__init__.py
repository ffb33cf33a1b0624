"""What was asked: formulas taken apart, questions, and frozen designs; the only package that imports patsy."""
