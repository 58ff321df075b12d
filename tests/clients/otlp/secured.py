"""One span over OTLP with TLS and a token, as OpenTelemetry's SDK takes both from its environment. Prints whether it was taken."""

import json
import sys

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from ways import exporters

way, endpoint = sys.argv[1:]
exporter = exporters(way, endpoint, "gzip")[0]
span = TracerProvider(resource=Resource.create({"service.name": "secured"})).get_tracer("secured").start_span(way)
span.end()
taken = exporter.export([span])
print(json.dumps({"trace_id": format(span.context.trace_id, "032x"), "taken": taken.name == "SUCCESS"}))
