"""Items over HTTP."""
