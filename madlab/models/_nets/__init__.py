"""Networks that the models train."""
