// Counts with prom-client, with exemplars of a trace, and shows it on a port until it is ended.
'use strict';

const http = require('node:http');
const { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } = require('prom-client');

const [port, traceId, spanId] = process.argv.slice(2);
const registry = new Registry();
registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
const registers = [registry];
collectDefaultMetrics({ register: registry });

const clicks = new Counter({
  name: 'front_clicks_total', help: 'Clicks.', labelNames: ['page'], enableExemplars: true, registers,
});
clicks.inc({ labels: { page: '/cart' }, value: 4, exemplarLabels: { traceId, spanId } });

const wait = new Histogram({
  name: 'front_wait_seconds', help: 'Waiting.', labelNames: ['page'], buckets: [0.1, 1, 10], enableExemplars: true, registers,
});
wait.observe({ labels: { page: '/cart' }, value: 0.25, exemplarLabels: { traceId, spanId } });

new Gauge({ name: 'front_open', help: 'Open pages.', registers }).set(2);

http.createServer(async (request, response) => {
  response.setHeader('Content-Type', registry.contentType);
  response.end(await registry.metrics());
}).listen(Number(port), '127.0.0.1');
