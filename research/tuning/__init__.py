"""The search for params: spaces, studies, objectives, what is tried and what is found."""
