// One call of another service through zipkin-js, its B3 headers on the request; prints what was reported, a JSON object a line.
'use strict';

const {BatchRecorder, ExplicitContext, Instrumentation, Tracer, jsonEncoder} = require('zipkin');
const {HttpLogger} = require('zipkin-transport-http');

const [endpoint, encoder, callee] = process.argv.slice(2);
const logger = new HttpLogger({endpoint, httpInterval: 20, jsonEncoder: jsonEncoder[encoder]});
const recorder = new BatchRecorder({logger});
const tracer = new Tracer({
  ctxImpl: new ExplicitContext(), recorder, localServiceName: 'front', traceId128Bit: true, supportsJoin: true,
});
const client = new Instrumentation.HttpClient({tracer, remoteServiceName: 'back'});

logger.on('error', (error) => {
  console.error(error);
  process.exit(1);
});

// The logger's own timer does not keep the program alive until it has reported.
setTimeout(() => {
  console.error('nothing was reported in time');
  process.exit(1);
}, 20000);

async function main() {
  const reported = new Promise((resolve) => {
    logger.on('success', resolve);
  });
  const root = tracer.createRootId();
  let call;
  await tracer.scoped(async () => {
    tracer.setId(root);
    const request = client.recordRequest({headers: {}}, callee, 'GET');
    call = tracer.id;
    const answer = await fetch(callee, {headers: request.headers});
    tracer.scoped(() => client.recordResponse(call, answer.status));
  });
  await reported;
  console.log(JSON.stringify({trace_id: call.traceId, span_id: call.spanId, name: 'get', service: 'front'}));
  process.exit(0);
}

main();
