"""Talks WebSocket to clients: what is committed to the buckets, as frames on sockets."""
