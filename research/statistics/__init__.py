"""How likely the winner of a search is luck."""
