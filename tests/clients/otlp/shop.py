"""The back of a shop, traced by OpenTelemetry's SDK, which reports over one of OTLP's three ways. Its front is a program of its own.

Prints what was reported, and behind it what the front printed: a JSON object a line, a span, a log record or an exemplar.
"""

import http.server
import json
import logging
import subprocess
import sys
import threading

from opentelemetry import baggage, propagate, trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from ways import exporters

way, endpoint, compression, *front = sys.argv[1:]
spans_out, metrics_out, logs_out = exporters(way, endpoint, compression)
resource = Resource.create({"service.name": "back", "service.version": "3.1", "k8s.pod.name": "back-1"})
provider = TracerProvider(resource=resource)
provider.add_span_processor(BatchSpanProcessor(spans_out))
tracer = provider.get_tracer("back.orders", "1.2")
reader = PeriodicExportingMetricReader(metrics_out, export_interval_millis=60_000)
views = [View(instrument_name="shop.wait", aggregation=ExponentialBucketHistogramAggregation())]
meters = MeterProvider(metric_readers=[reader], resource=resource, views=views)
meter = meters.get_meter("back.orders", "1.2")
taken = meter.create_counter("shop.orders", unit="{order}", description="Orders taken")
price = meter.create_histogram("shop.price", unit="EUR")
wait = meter.create_histogram("shop.wait", unit="ms")
stock = meter.create_gauge("shop.stock")
log_provider = LoggerProvider(resource=resource)
log_provider.add_log_record_processor(BatchLogRecordProcessor(logs_out))
set_logger_provider(log_provider)
logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[LoggingHandler(logger_provider=log_provider)])
log = logging.getLogger("shop")
# Another trace that one of the spans points to: a job that queued the order.
QUEUED = trace.SpanContext(0x11112222333344445555666677778888, 0x1111222233334444, True, trace.TraceFlags(1))
told = []


def hexed(context):
    return {"trace_id": format(context.trace_id, "032x"), "span_id": format(context.span_id, "016x")}


def tell(span):
    told.append(
        {
            "signal": "span",
            **hexed(span.context),
            "parent_span_id": format(span.parent.span_id, "016x") if span.parent else None,
            "service": "back",
            "name": span.name,
            "kind": span.kind.name.lower(),
            "status": {"code": span.status.status_code.name.lower(), "message": span.status.description or ""},
            "start": str(span.start_time),
            "duration": str(span.end_time - span.start_time),
            "attributes": json.loads(span.to_json())["attributes"],
            "events": [
                {"name": event.name, "time": str(event.timestamp), "attributes": dict(event.attributes)} for event in span.events
            ],
            "links": [{**hexed(link.context), "attributes": dict(link.attributes)} for link in span.links],
            "trace_state": span.context.trace_state.to_header(),
        }
    )


def say(level, line):
    log.log(level, line)
    told.append({"signal": "log", **hexed(trace.get_current_span().get_span_context()), "service": "back", "line": line,
                 "severity": logging.getLevelName(level).lower().replace("warning", "warn")})


def measure(metric, value, call):
    call(value, {"shop": "north"})
    told.append({"signal": "exemplar", **hexed(trace.get_current_span().get_span_context()), "metric": metric, "value": value})


class Back(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        context = propagate.extract(self.headers)
        customer = baggage.get_baggage("customer", context)
        attributes = {"customer": customer, "vip": True, "items": 3, "weight": 2.5, "codes": ["a", "b"], "ö": "ü"}
        with tracer.start_as_current_span(
            "GET /orders", context, trace.SpanKind.SERVER, attributes, links=[trace.Link(QUEUED, {"queue": "orders"})]
        ) as entry:
            say(logging.INFO, f"order of {customer}")
            measure("shop.orders", 2, taken.add)
            with tracer.start_as_current_span("reserve", kind=trace.SpanKind.PRODUCER) as reserve:
                reserve.add_event("asked", {"warehouse": "north", "left": 7})
                measure("shop.price", 12.5, price.record)
                measure("shop.wait", 31, wait.record)
                measure("shop.stock", 7, stock.set)
                try:
                    raise LookupError("sold out")
                except LookupError as error:
                    reserve.record_exception(error)
                    reserve.set_status(trace.StatusCode.ERROR, "sold out")
                    say(logging.ERROR, "cannot reserve: sold out")
        tell(reserve)
        tell(entry)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Back)
threading.Thread(target=server.serve_forever, daemon=True).start()
callee = f"http://127.0.0.1:{server.server_port}/orders"
ran = subprocess.run([*front, callee], capture_output=True, text=True, timeout=50, check=False)
assert ran.returncode == 0, ran.stdout + ran.stderr
server.shutdown()
for part in (provider, log_provider, meters):
    part.shutdown()
for record in told:
    print(json.dumps(record))
print(ran.stdout, end="")
