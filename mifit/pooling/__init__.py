"""The rules that pool the results of m sets: arrays only."""
