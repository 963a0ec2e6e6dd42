"""What is stored looked through, counted and drawn."""
