"""One process per role, from the exchange's sockets to its orders."""
