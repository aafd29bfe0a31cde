"""Ways in: what takes events from clients and brings them to the feeds' topics."""
