"""Numerical parts of the methods: linear models, Newton's method, priors, truncated normals."""
