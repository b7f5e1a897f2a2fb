"""The entry of AWS Lambda: `streams.faas.aws_lambda.handler`.

Importing this module starts the application that the environment names
(`streams.faas.lambda_settings`): Lambda does that once, before the first
request and at full speed. What is wrong with the application ends the start,
and is in the log.

With SnapStart, the line to NATS ends before the snapshot is taken, and
another one is made in every environment that is restored from it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from streams.faas.lambda_host import LambdaHost
from streams.faas.lambda_settings import lambda_application, lambda_settings

__all__ = ["handler"]


def _started(environ: Mapping[str, str]) -> LambdaHost:
    if "AWS_LAMBDA_LOG_LEVEL" not in environ:
        # Lambda's own default hides what steps log with `context.logger.info`.
        logging.getLogger("streams").setLevel(logging.INFO)
    host = LambdaHost(lambda_application(environ), lambda_settings(environ))
    if environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        # Part of Lambda's runtime.
        from snapshot_restore_py import register_after_restore, register_before_snapshot

        register_before_snapshot(host.stop)
        register_after_restore(host.start)
    return host


handler = _started(os.environ)
