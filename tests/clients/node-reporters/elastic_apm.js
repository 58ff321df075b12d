// One request through Elastic's agent for Node; prints what was reported, a JSON object a line.
'use strict';

const [serverUrl, secretToken] = process.argv.slice(2);
const agent = require('elastic-apm-node').start({
  serviceName: 'node-reporter',
  serverUrl,
  secretToken,
  apiRequestTime: '500ms',
  metricsInterval: '0s',
  cloudProvider: 'none',
  centralConfig: false,
  spanCompressionEnabled: false,
  logLevel: 'off',
  instrument: false,
  captureExceptions: false,
});

// Kept alive until all is out.
setTimeout(() => {
  console.error('nothing was reported in time');
  process.exit(1);
}, 20000);

const transaction = agent.startTransaction('GET /buy', 'request');
transaction.setLabel('order', 'o7');
const span = transaction.startSpan('SELECT', 'db', 'postgresql', 'query', {exitSpan: true});
span.setOutcome('failure');

agent.captureError(new TypeError('no stock'), {parent: span}, () => {
  span.end();
  transaction.result = 'success';
  transaction.end();
  const [trace, id] = [transaction.ids['trace.id'], transaction.ids['transaction.id']];
  agent.flush((error) => {
    if (error) {
      console.error(error);
      process.exit(1);
    }
    console.log(JSON.stringify({trace_id: trace, span_id: id, name: 'GET /buy'}));
    console.log(JSON.stringify({trace_id: trace, span_id: span.ids['span.id'], name: 'SELECT'}));
    process.exit(0);
  });
});
