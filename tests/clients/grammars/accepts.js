// Reads queries, each a JSON string on a line of its own, and says of each whether the editor's grammar takes it whole: a line
// with `true` or `false`. The argument is the language.
'use strict';

const readline = require('node:readline');

const packages = {
  logql: '@grafana/lezer-logql',
  traceql: '@grafana/lezer-traceql',
  promql: '@prometheus-io/lezer-promql',
};
const { parser } = require(packages[process.argv[2]]);
const strict = parser.configure({ strict: true });

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  let accepted = true;
  try {
    strict.parse(JSON.parse(line));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    accepted = false;
  }
  process.stdout.write(`${accepted}\n`);
});
