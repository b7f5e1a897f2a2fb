"""The embedded nats-server and every service in one place, for development."""
