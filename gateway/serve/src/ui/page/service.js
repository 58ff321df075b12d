// What runs, who calls whom, and one service: its operations, requests, patterns of lines and exceptions.

import { ask, counted, duration, el, percent, rate, recent, remarks, section, service as named, table, time, trace } from './show.js';
import { graph } from './graph.js';

/** All services, those that fail most first. */
export async function overview(_, { seconds, signal }) {
  const window = recent(seconds);
  const [services, calls] = await Promise.all([ask('services', window, signal), ask('service-graph', window, signal)]);
  if (services.services.length === 0) return [welcome(), remarks(services)];
  const rows = [...services.services].sort((a, b) => b.errors / Math.max(b.calls, 1) - a.errors / Math.max(a.calls, 1) || b.rate - a.rate);
  return [
    section('Services', table(rows, [
      ['Service', (one) => named(one.name)],
      ['#Requests', (one) => rate(one.rate)],
      ['#Failed', failed],
      ['#p50', (one) => at(one, 'p50_nano')],
      ['#p95', (one) => at(one, 'p95_nano')],
      ['#p99', (one) => at(one, 'p99_nano')],
      ['#Operations', (one) => one.operations],
    ])),
    section('Who calls whom', graph(calls)),
    remarks(services),
  ];
}

function welcome() {
  return el('div', {}, el('h1', {}, 'No spans of this time'),
    el('p', {}, 'Send some as OTLP, Zipkin, Jaeger or Elastic APM, or look further back.'));
}

function failed(one) {
  return el('span', { class: one.errors > 0 ? 'bad' : null }, one.errors > 0 ? percent(one.errors / Math.max(one.calls, 1)) : '0');
}

function at(one, quantile) {
  return one.latency ? duration(Number(one.latency[quantile])) : '-';
}

/** What these answers lack, and what to know before trusting them, each once. */
function together(...bodies) {
  const each = (key) => {
    const all = bodies.flatMap((body) => body[key] ?? []);
    return [...new Map(all.map((one) => [JSON.stringify(one), one])).values()];
  };
  return { absent: each('absent'), warnings: each('warnings') };
}

/** Of the time before; nothing where nothing is known of it. */
function before(one) {
  return one.novelty === 'unknown' ? '-' : one.count_against.toLocaleString('en');
}

/** One service. */
export async function service([name = ''], { seconds, signal }) {
  const window = recent(seconds);
  const asked = { service: name, ...window };
  const [operations, joined, patterns] = await Promise.all([
    ask('operations', asked, signal), ask('correlate', asked, signal), ask('patterns', asked, signal),
  ]);
  const entries = [...operations.operations].sort((a, b) => Number(b.entry) - Number(a.entry) || b.errors - a.errors || b.calls - a.calls);
  return [
    el('h1', {}, named(name)),
    el('p', {}, el('a', { href: `#/versions/${encodeURIComponent(name)}` }, 'Compare its versions')),
    section('Operations', entries.length > 0 && table(entries, [
      ['Operation', (one) => [one.entry ? el('b', {}, one.name) : one.name, ' ', el('small', {}, one.kind)]],
      ['#Requests', (one) => rate(one.rate)],
      ['#Failed', failed],
      ['#p50', (one) => at(one, 'p50_nano')],
      ['#p95', (one) => at(one, 'p95_nano')],
      ['', (one) => el('a', { href: `#/variance/${encodeURIComponent(name)}/${encodeURIComponent(one.name)}` }, 'why does it vary?')],
    ])),
    section('Requests', joined.traces.length > 0 && table(joined.traces, requests)),
    section('Patterns of its lines', patterns.patterns.length > 0 && table(patterns.patterns, [
      ['Pattern', (one) => el('pre', { title: one.example }, one.pattern)],
      ['Level', (one) => el('span', { class: `level ${one.level}` }, one.level)],
      ['#Lines', (one) => one.count.toLocaleString('en')],
      ['#Before', before],
      ['', (one) => (one.significant ? el('span', { class: 'badge' }, one.novelty) : null)],
      ['Requests', traces],
    ])),
    section('Exceptions', patterns.exceptions.length > 0 && table(patterns.exceptions, [
      ['Type', (one) => [el('b', {}, one.type), el('pre', {}, [one.message, ...one.stack.slice(0, 4).map((frame) => `  ${frame}`)].join('\n'))]],
      ['#Seen', (one) => one.count.toLocaleString('en')],
      ['#Before', before],
      ['', (one) => (one.significant ? el('span', { class: 'badge' }, one.novelty) : null)],
      ['Requests', traces],
    ])),
    section('Lines', joined.logs.length > 0 && table(joined.logs, [
      ['Time', (one) => time(one.time_unix_nano)],
      ['Level', (one) => el('span', { class: `level ${one.severity}` }, one.severity)],
      ['Line', (one) => el('pre', {}, one.line)],
      ['Request', (one) => (one.trace_id ? trace(one.trace_id) : null)],
    ])),
    remarks(together(operations, joined, patterns)),
  ];
}

/** Columns of a list of requests. */
const requests = [
  ['Trace', (one) => trace(one.trace_id)],
  ['Request', (one) => [el('b', {}, one.root_service), ` ${one.root_name}`]],
  ['Time', (one) => time(one.start_unix_nano)],
  ['#Duration', (one) => duration(Number(one.duration_nano))],
  ['#Spans', (one) => one.spans],
  ['', (one) => (one.errors > 0 ? el('span', { class: 'bad' }, counted(one.errors, 'error')) : null)],
  ['Why it is here', (one) => one.why],
];

function traces(one) {
  return one.traces.map((example) => [trace(example.trace_id, example.trace_id.slice(0, 8)), ' ']);
}
