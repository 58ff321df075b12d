// One trace through Node's jaeger-client, over UDP (binary protocol) or HTTP; prints what was reported, a JSON object a line.
'use strict';

const {initTracer} = require('jaeger-client');

const [way, where] = process.argv.slice(2);
const to = way === 'udp' ? {agentHost: '127.0.0.1', agentPort: Number(where)} : {collectorEndpoint: where};
const complaints = {info: () => {}, error: (message) => console.error(message)};
const config = {
  serviceName: 'node-old',
  sampler: {type: 'const', param: 1},
  reporter: {flushIntervalMs: 50, ...to},
  traceId128bit: way !== 'udp',
};
const tracer = initTracer(config, {logger: complaints, tags: {zone: 'a'}});

// Kept alive until all is out.
setTimeout(() => {
  console.error('nothing was reported in time');
  process.exit(1);
}, 20000);

const root = tracer.startSpan('root', {tags: {n: 7, pi: 3.5, yes: true}});
root.log({event: 'cache miss', key: 'k'});
const child = tracer.startSpan('child', {childOf: root});
child.setTag('span.kind', 'client');
child.setTag('error', true);
child.finish();
root.finish();
for (const [span, name] of [[child, 'child'], [root, 'root']]) {
  const [trace, id] = span.context().toString().split(':');
  console.log(JSON.stringify({trace_id: trace, span_id: id.padStart(16, '0'), name}));
}
tracer.close(() => process.exit(0));
