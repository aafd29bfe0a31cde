"""The embedded stack, the demo and the command line on top of all."""
