"""What was asked: formulas taken apart, questions, and frozen designs; the only door for patsy."""
