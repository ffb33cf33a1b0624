"""The user's table and our arrays: kinds of variables, where the missing values are, completed frames."""
