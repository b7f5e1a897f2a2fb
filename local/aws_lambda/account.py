"""Where everything is that the emulator tells of: the region, and whose account."""

from __future__ import annotations

REGION, ACCOUNT = "us-east-1", "123456789012"
