"""Files of many layouts read, placed and made fit for the store."""
