"""Tracing and logging of the shop, as OpenTelemetry's own packages set them up.

Where spans go and what the service is called comes from the usual variables: OTEL_EXPORTER_OTLP_ENDPOINT,
OTEL_EXPORTER_OTLP_PROTOCOL, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_BSP_SCHEDULE_DELAY.
"""

import logging
import os

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.instrumentation.logging import LoggingInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def start():
    """Must run before Django loads its middleware; gives the provider, to be shut down at the end."""
    grpc = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") == "grpc"
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(GrpcExporter() if grpc else HttpExporter()))
    trace.set_tracer_provider(provider)
    LoggingInstrumentor().instrument(set_logging_format=True, log_level=logging.INFO)
    DjangoInstrumentor().instrument(excluded_urls="metrics")
    return provider
