"""The exporters of OTLP's three ways, set up as their documentation says."""

import grpc
from opentelemetry.exporter.otlp.common.http import Compression
from opentelemetry.exporter.otlp.json.http._log_exporter import OTLPLogExporter as JsonLogs
from opentelemetry.exporter.otlp.json.http.metric_exporter import OTLPMetricExporter as JsonMetrics
from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter as JsonSpans
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression as ProtobufCompression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as ProtobufLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as ProtobufMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as ProtobufSpans

PATHS = ("v1/traces", "v1/metrics", "v1/logs")


def exporters(way, endpoint, compression):
    """Of spans, metrics and logs. `way` is grpc, protobuf or json; `compression` is none, gzip or deflate."""
    if way == "grpc":
        kind = {"none": grpc.Compression.NoCompression, "gzip": grpc.Compression.Gzip, "deflate": grpc.Compression.Deflate}
        return [
            exporter(endpoint=endpoint, insecure=endpoint.startswith("http:"), compression=kind[compression])
            for exporter in (GrpcSpans, GrpcMetrics, GrpcLogs)
        ]
    kinds, classes = {
        "protobuf": (ProtobufCompression, (ProtobufSpans, ProtobufMetrics, ProtobufLogs)),
        "json": (Compression, (JsonSpans, JsonMetrics, JsonLogs)),
    }[way]
    return [
        exporter(endpoint=f"{endpoint}/{path}", compression=kinds(compression)) for exporter, path in zip(classes, PATHS)
    ]
