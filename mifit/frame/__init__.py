"""The user's table and our arrays: kinds of variables, where the holes are, completed frames."""
