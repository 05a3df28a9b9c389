"""From scans and files to batches of volumes."""
