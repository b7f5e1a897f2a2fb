"""Runs steps for whoever hosts functions."""
