"""Imputation: plans, univariate methods, samplers and chains."""
