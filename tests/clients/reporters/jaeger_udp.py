"""One trace through jaeger-client, which asks the agent how to sample and reports over UDP."""

import json
import sys
import time

import requests
from jaeger_client import Config
from opentracing import Reference, ReferenceType

host, udp, sampling = "127.0.0.1", int(sys.argv[1]), int(sys.argv[2])
strategy = requests.get(f"http://{host}:{sampling}/sampling?service=old", timeout=10).json()
assert strategy["strategyType"] == "PROBABILISTIC", strategy
config = Config(
    service_name="old",
    validate=True,
    config={
        "sampler": {"type": "const", "param": 1},
        "local_agent": {"reporting_host": host, "reporting_port": udp, "sampling_port": sampling},
        "generate_128bit_trace_id": len(sys.argv) > 3,
        "reporter_flush_interval": 0.1,
        "tags": {"zone": "a"},
    },
)
tracer = config.initialize_tracer()
reported = []


def report(span):
    reported.append(
        {
            "trace_id": format(span.trace_id, "x"),
            "span_id": format(span.span_id, "016x"),
            "name": span.operation_name,
            "start": int(span.start_time * 1_000_000) * 1000,
            "duration": int((span.end_time - span.start_time) * 1_000_000) * 1000,
        }
    )


with tracer.start_span("root", tags={"n": 7, "pi": 3.5, "yes": True}) as root:
    root.log_kv({"event": "cache miss", "key": "k"})
    with tracer.start_span("child", child_of=root) as child:
        child.set_tag("error", True)
        child.set_tag("span.kind", "client")
    follows = Reference(ReferenceType.FOLLOWS_FROM, child.context)
    with tracer.start_span("later", references=[follows]) as later:
        pass
for span in (child, later, root):
    report(span)
done = tracer.close()
end = time.monotonic() + 20
while not done.done() and time.monotonic() < end:
    time.sleep(0.05)
for span in reported:
    print(json.dumps(span))
