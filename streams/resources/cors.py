"""What web pages of other origins may do with answers (CORS), in every process that serves HTTP.

On AWS Lambda API Gateway answers for this; serverless.yml tells it the same.
"""

from __future__ import annotations

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from streams.auth.origins import Origins

EXPOSED_HEADERS = ("ETag", "Retry-After")
"""What a page on another origin may read of an answer, beside its body."""


def across(app: ASGIApp, origins: Origins) -> ASGIApp:
    """The app for pages of these origins too."""
    return CORSMiddleware(
        app,
        allow_origin_regex=origins.pattern,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=EXPOSED_HEADERS,
    )
