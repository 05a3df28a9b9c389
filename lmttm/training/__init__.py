"""Training: the step, the loop, and what may interrupt it."""
