"""Grids of runs: the plan and the tables."""
