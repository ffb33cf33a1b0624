"""Imputation: the contract of methods, their numerics, the plan, the sampler."""
