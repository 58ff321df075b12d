"""One trace through OpenTelemetry's Jaeger exporters: thrift over HTTP, over UDP to an agent's port, or gRPC."""

import json
import sys

from opentelemetry import trace
from opentelemetry.exporter.jaeger import thrift
from opentelemetry.exporter.jaeger.proto import grpc
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

way, where = sys.argv[1:3]
if way == "http":
    exporter = thrift.JaegerExporter(collector_endpoint=where)
elif way == "udp":
    exporter = thrift.JaegerExporter(agent_host_name="127.0.0.1", agent_port=int(where))
else:
    exporter = grpc.JaegerExporter(collector_endpoint=where, insecure=True)
provider = TracerProvider(resource=Resource.create({"service.name": "reporter", "host.name": "h1"}))
provider.add_span_processor(SimpleSpanProcessor(exporter))
tracer = provider.get_tracer("lib", "1.2")
other = trace.SpanContext(trace_id=(1 << 127) + 5, span_id=9, is_remote=True)
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
    with tracer.start_as_current_span("call", kind=trace.SpanKind.CLIENT, links=[trace.Link(other)]) as child:
        child.record_exception(ValueError("bad"))
        child.set_status(trace.StatusCode.ERROR, "no route")
report(child)
report(parent)
provider.shutdown()
for span in reported:
    print(json.dumps(span))
