"""One trace through OpenTelemetry's Zipkin exporters, JSON or protobuf; prints what was reported, a JSON object a line."""

import json
import sys

from opentelemetry import trace
from opentelemetry.exporter.zipkin import json as as_json
from opentelemetry.exporter.zipkin.proto import http as as_protobuf
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

endpoint, exporters = sys.argv[1], {"json": as_json, "protobuf": as_protobuf}
exporter = exporters[sys.argv[2]].ZipkinExporter(endpoint=endpoint)
resource = Resource.create({"service.name": "reporter", "k8s.pod.name": "reporter-1"})
provider = TracerProvider(resource=resource)
provider.add_span_processor(SimpleSpanProcessor(exporter))
tracer = provider.get_tracer("lib", "1.2")
reported = []


def report(span):
    context = span.get_span_context()
    reported.append(
        {
            "trace_id": format(context.trace_id, "032x"),
            "span_id": format(context.span_id, "016x"),
            "name": span.name,
            "start": span.start_time,
            "duration": span.end_time - span.start_time,
        }
    )


with tracer.start_as_current_span("handle", kind=trace.SpanKind.SERVER, attributes={"n": 7}) as parent:
    parent.add_event("looked up", {"key": "k"})
    with tracer.start_as_current_span("call", kind=trace.SpanKind.CLIENT) as child:
        child.set_status(trace.StatusCode.ERROR, "no route")
report(child)
report(parent)
provider.shutdown()
for span in reported:
    print(json.dumps(span))
