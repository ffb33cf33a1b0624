"""From a table, questions and options to a plan: which column is drawn by which model, and why."""
