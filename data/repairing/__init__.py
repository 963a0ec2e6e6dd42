"""What is damaged or missing in the store made whole again."""
