"""The command line ``bytemeter``."""
