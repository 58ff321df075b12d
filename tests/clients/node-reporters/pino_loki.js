// Lines through pino-loki in a worker, as its documentation recommends; prints what was reported, a JSON object a line.
'use strict';

const pino = require('pino');

const [host, trace] = process.argv.slice(2);
const transport = pino.transport({
  target: 'pino-loki',
  options: {host, labels: {app: 'pino'}, propsToLabels: ['kind'], batching: {interval: 0.1}},
});
const logger = pino({level: 'debug'}, transport);

// Kept alive until all is out.
setTimeout(() => {
  console.error('nothing was reported in time');
  process.exit(1);
}, 20000);

// Ids where users put them: in the structured metadata, which pino-loki takes from `meta`, or in fields of the line.
const fields = [{meta: {trace_id: trace, order: 7}}, {trace_id: trace}, {traceId: trace}];
fields.forEach((ids, n) => logger.warn({kind: 'order', ...ids}, `order ${n}`));
transport.on('close', () => {
  fields.forEach((_, n) => console.log(JSON.stringify({trace_id: trace, line: `order ${n}`})));
  process.exit(0);
});
logger.flush(() => transport.end());
