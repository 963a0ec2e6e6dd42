"""Pages that read runs, streams and the journal; they hold no logic and never trade."""
