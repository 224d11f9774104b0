"""What the hook leaves behind."""
