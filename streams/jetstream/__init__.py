"""Talks to NATS: one bucket per stream, written by compare-and-set, heard by republished subjects."""
