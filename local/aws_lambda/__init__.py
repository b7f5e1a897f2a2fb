"""AWS Lambda on this machine: the real `awslambdaric` between our Runtime API and whoever calls the function.

```python
packed = Path(".build/functions.zip")
async with Lambda.running(packed, handler="streams.faas.aws_lambda.handler") as function:
    answer = await function.invoke({"hello": "world"})     # answer.payload, .error, .logs, .init_ms
    function.freeze()                                      # as between two requests, for hours
    response = await function.http(HttpRequest.of("GET", "/todos"), Shape.ALB)
    boto3.client("lambda", endpoint_url=function.endpoint_url)   # in a thread: the emulator is in this loop
```

`python -m local.aws_lambda ZIP_OR_FOLDER` puts the same behind a port for curl.
"""

from local.aws_lambda.answers import Answer, InvokeRefused, SnapshotFailed
from local.aws_lambda.emulator import Lambda
from local.aws_lambda.environment import Environment
from local.aws_lambda.events import HttpRequest, Shape, to_event
from local.aws_lambda.packages import RuntimeMissing
from local.aws_lambda.responses import HttpResponse, to_response
from local.aws_lambda.task_root import NotAFunction

__all__ = [
    "Answer",
    "Environment",
    "HttpRequest",
    "HttpResponse",
    "InvokeRefused",
    "Lambda",
    "NotAFunction",
    "RuntimeMissing",
    "Shape",
    "SnapshotFailed",
    "to_event",
    "to_response",
]
