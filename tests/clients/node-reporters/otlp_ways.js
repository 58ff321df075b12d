// The exporters of OTLP's three ways, set up as their documentation says.
'use strict';

const {CompressionAlgorithm} = require('@opentelemetry/otlp-exporter-base');

const packages = {grpc: 'grpc', protobuf: 'proto', json: 'http'};

/** Of spans, metrics and logs. `way` is grpc, protobuf or json; `compression` is none or gzip. */
exports.exporters = (way, endpoint, compression) => {
  const of = (signal) => require(`@opentelemetry/exporter-${signal}-otlp-${packages[way]}`);
  const options = (path) => ({
    url: way === 'grpc' ? endpoint : `${endpoint}/v1/${path}`,
    compression: CompressionAlgorithm[compression.toUpperCase()],
  });
  const [{OTLPTraceExporter}, {OTLPMetricExporter}, {OTLPLogExporter}] = ['trace', 'metrics', 'logs'].map(of);
  return [
    new OTLPTraceExporter(options('traces')),
    new OTLPMetricExporter(options('metrics')),
    new OTLPLogExporter(options('logs')),
  ];
};
