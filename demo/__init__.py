"""The demo: all layers on one machine with simulated traffic, and a screen that shows the figures."""
