"""The folder of a run: checkpoints, predictions, exports."""
