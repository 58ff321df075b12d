// Lines through winston-loki, as JSON or as snappy protobuf; prints what was reported, a JSON object a line. A `patient` one
// ends only when the gateway has room.
'use strict';

const winston = require('winston');
const LokiTransport = require('winston-loki');

const [host, encoding, trace, patient] = process.argv.slice(2);
const transport = new LokiTransport({
  host,
  labels: {app: 'winston'},
  json: encoding === 'json',
  batching: true,
  interval: 0.1,
  replaceTimestamp: false,
  gracefulShutdown: false,
  onConnectionError: (error) => {
    console.error(error);
    if (!patient) {
      process.exit(1);
    }
  },
});
const logger = winston.createLogger({
  level: 'debug',
  transports: [transport],
  format: winston.format.combine(winston.format.timestamp(), winston.format.printf(({message}) => message)),
});

// Kept alive until all is out.
setTimeout(() => {
  console.error('nothing was reported in time');
  process.exit(1);
}, 20000);

const lines = [];
for (let n = 0; n < 3; n += 1) {
  const line = `order ${n} trace_id=${trace}`;
  logger.error({message: line, labels: {kind: 'order'}});
  // The transport puts what winston knows besides behind the message.
  lines.push(`${line} {"level":"error"}`);
}

async function room() {
  const headers = {'content-type': 'application/json'};
  const answer = await fetch(`${host}/loki/api/v1/push`, {method: 'POST', headers, body: '{"streams":[]}'});
  if (answer.status === 503) {
    await room();
  }
}

async function main() {
  await transport.flush();
  if (patient) {
    // What was refused is kept, for a turn a minute later or for the end.
    await room();
    await transport.close();
  }
  for (const line of lines) {
    console.log(JSON.stringify({trace_id: trace, line}));
  }
  process.exit(0);
}

setImmediate(() => main().catch((error) => {
  console.error(error);
  process.exit(1);
}));
