"""The serving layer: the dashboards, and the login with which they read PostgreSQL."""
