// The front of a shop, traced by OpenTelemetry's SDK, which calls the back; prints what was reported, a JSON object a line.
'use strict';

const {ROOT_CONTEXT, SpanKind, SpanStatusCode, createTraceState, diag, propagation, trace} = require('@opentelemetry/api');
const {SeverityNumber} = require('@opentelemetry/api-logs');
const {CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator} = require('@opentelemetry/core');
const {resourceFromAttributes} = require('@opentelemetry/resources');
const {BatchLogRecordProcessor, LoggerProvider} = require('@opentelemetry/sdk-logs');
const {MeterProvider, PeriodicExportingMetricReader} = require('@opentelemetry/sdk-metrics');
const {BatchSpanProcessor, NodeTracerProvider} = require('@opentelemetry/sdk-trace-node');
const {exporters} = require('./otlp_ways.js');

const [way, endpoint, compression, callee] = process.argv.slice(2);
const complain = (...args) => {
  console.error(...args);
  process.exitCode = 1;
};
diag.setLogger({error: complain, warn: complain, info() {}, debug() {}, verbose() {}});
const [spansOut, metricsOut, logsOut] = exporters(way, endpoint, compression);
const resource = resourceFromAttributes({'service.name': 'front', 'host.name': 'browserless'});
const ended = [];
const keep = {onStart() {}, onEnd: (span) => ended.push(span), forceFlush: async () => {}, shutdown: async () => {}};
const provider = new NodeTracerProvider({resource, spanProcessors: [keep, new BatchSpanProcessor(spansOut)]});
const propagator = new CompositePropagator({propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()]});
const loggers = new LoggerProvider({resource, processors: [new BatchLogRecordProcessor({exporter: logsOut})]});
const reader = new PeriodicExportingMetricReader({exporter: metricsOut, exportIntervalMillis: 60000});
const meters = new MeterProvider({resource, readers: [reader]});
const tracer = provider.getTracer('front', '0.1');
const clicks = meters.getMeter('front').createCounter('shop.clicks');
const logger = loggers.getLogger('front');
const told = [];

// Whoever stands before this program: a mesh with a vendor's state of its own.
const CALLER = {
  traceId: process.env.TRACE_ID, spanId: '00f067aa0ba902b7', traceFlags: 1, isRemote: true,
  traceState: createTraceState('mesh=t61,other=00f067aa0ba902b7'),
};

function say(context, severityNumber, severity, body) {
  logger.emit({context, severityNumber, severityText: severity.toUpperCase(), body, attributes: {page: 'cart'}});
  const {traceId, spanId} = trace.getSpanContext(context);
  told.push({signal: 'log', trace_id: traceId, span_id: spanId, service: 'front', line: body, severity});
}

const ids = ({traceId, spanId}) => ({trace_id: traceId, span_id: spanId});
const nanoseconds = ([seconds, nanos]) => String(BigInt(seconds) * 1_000_000_000n + BigInt(nanos));

function tell(span) {
  told.push({
    signal: 'span',
    ...ids(span.spanContext()),
    parent_span_id: span.parentSpanContext.spanId,
    service: 'front',
    name: span.name,
    kind: SpanKind[span.kind].toLowerCase(),
    status: {code: SpanStatusCode[span.status.code].toLowerCase(), message: span.status.message ?? ''},
    start: nanoseconds(span.startTime),
    duration: String(BigInt(nanoseconds(span.endTime)) - BigInt(nanoseconds(span.startTime))),
    attributes: span.attributes,
    events: span.events.map(({name, time, attributes}) => ({name, time: nanoseconds(time), attributes: attributes ?? {}})),
    links: span.links.map(({context, attributes}) => ({...ids(context), attributes: attributes ?? {}})),
    trace_state: span.spanContext().traceState?.serialize() ?? '',
  });
}

async function main() {
  const before = propagation.setBaggage(
    trace.setSpanContext(ROOT_CONTEXT, CALLER), propagation.createBaggage({customer: {value: 'Zoë'}}),
  );
  const click = tracer.startSpan('click', {attributes: {page: 'cart', tries: 2, slow: false}}, before);
  const inClick = trace.setSpan(before, click);
  clicks.add(1, {page: 'cart'}, inClick);
  say(inClick, SeverityNumber.INFO, 'info', 'somebody clicked');
  const previous = {traceId: '99992222333344445555666677778888', spanId: '9999222233334444', traceFlags: 1};
  const call = tracer.startSpan(
    'GET', {kind: SpanKind.CLIENT, links: [{context: previous, attributes: {why: 'retry', n: 1}}]}, inClick,
  );
  const inCall = trace.setSpan(inClick, call);
  const headers = {};
  propagator.inject(inCall, headers, {set: (carrier, key, value) => { carrier[key] = value; }});
  const answer = await fetch(callee, {headers});
  call.setAttribute('http.response.status_code', answer.status);
  call.addEvent('answered', {cached: false, ratio: 0.25});
  call.end();
  click.recordException(new TypeError('no such button'));
  click.setStatus({code: SpanStatusCode.ERROR, message: 'no such button'});
  say(inClick, SeverityNumber.WARN, 'warn', 'the button is gone');
  click.end();
  await Promise.all([provider.forceFlush(), loggers.forceFlush(), meters.forceFlush()]);
  await Promise.all([provider.shutdown(), loggers.shutdown(), meters.shutdown()]);
  ended.forEach(tell);
  told.forEach((record) => console.log(JSON.stringify(record)));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
