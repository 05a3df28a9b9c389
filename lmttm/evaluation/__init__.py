"""From logits and labels to scores, calibration and explanations."""
