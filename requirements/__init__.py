"""The locks of this project's dependencies, and what raises and checks them."""
