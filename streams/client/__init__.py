"""Talks to a gateway, from Python."""
