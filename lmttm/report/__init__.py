"""What people read and look at: text, figures, TensorBoard."""
