// Why an operation's time varies, and what versions of a service do otherwise.

import { ask, bar, counted, digits, duration, el, percent, recent, remarks, section, service as named, table, time, trace } from './show.js';

/** Contributors that are shown; the others have hardly a share. */
const CONTRIBUTORS = 8;

/** What the differences between the requests of an operation are made of. */
export async function variance([service = '', operation = ''], { seconds, signal }) {
  const body = await ask('analysis/variance', { service, operation, ...recent(seconds) }, signal);
  const head = el('h1', {}, 'Why does ', named(service), ` ${operation} vary?`);
  if (body.contributors.length === 0) return [head, remarks(body)];
  return [
    head,
    el('p', { class: 'facts' }, `${counted(body.spans, body.spans > body.traces ? 'call' : 'request')} · p50 ${duration(Number(body.p50_nano))} · p95 ${duration(Number(body.p95_nano))} · p99 ${duration(Number(body.p99_nano))} · longest ${duration(Number(body.max_nano))}`),
    remarks(body),
    section('Where the differences come from', body.contributors.slice(0, CONTRIBUTORS).map(contributor)),
    section('The slowest', table(body.slowest, [
      ['Trace', (one) => trace(one.trace_id)],
      ['Time', (one) => time(one.start_unix_nano)],
      ['#Duration', (one) => duration(Number(one.duration_nano))],
    ])),
  ];
}

function contributor(one) {
  const times = `${duration(Number(one.slow_mean_nano))} in slow requests, ${duration(Number(one.fast_mean_nano))} in quick ones`;
  const calls = Math.abs(one.slow_spans - one.fast_spans) > 0.05 ? `; called ${digits(one.slow_spans)} times against ${digits(one.fast_spans)}` : '';
  const goesWith = [
    ...one.attributes.map((fact) => [`${fact.scope}.${fact.key} = ${fact.value}`, fact]),
    ...one.patterns.map((fact) => [`lines like ${fact.pattern}`, fact]),
  ];
  return el('div', { class: 'contributor' },
    el('h3', {}, bar(one.share), ` ${percent(one.share)} `, named(one.service), ` ${one.operation}`),
    el('p', {}, times, calls, ' ', one.examples.slice(0, 3).map((example) => [trace(example.trace_id, example.trace_id.slice(0, 8)), ' '])),
    one.code.length > 0 ? el('p', {}, 'Code: ', one.code.map((place) => [el('code', {}, place.location), ' '])) : null,
    goesWith.length > 0 ? table(goesWith, [
      ['Goes with', ([what]) => el('code', {}, what)],
      ['#Explains', ([, fact]) => percent(fact.explains)],
      ['#With it', ([, fact]) => duration(Number(fact.mean_with_nano))],
      ['#Without', ([, fact]) => duration(Number(fact.mean_without_nano))],
      ['Requests', ([, fact]) => fact.example_trace_ids.map((id) => [trace(id, id.slice(0, 8)), ' '])],
    ]) : null);
}

/** What each version does otherwise than the one with the most traffic. */
export async function versions([service = ''], { seconds, signal }) {
  const body = await ask('analysis/versions', { service, by: 'service.version', ...recent(seconds) }, signal);
  return [
    el('h1', {}, 'Versions of ', named(service)),
    section('Traffic', body.versions.length > 0 && table(body.versions, [
      ['Version', (one) => [el('b', {}, one.version), one.version === body.baseline ? el('small', {}, ' compared with') : null]],
      ['Share', (one) => [bar(one.share), ` ${percent(one.share)}`]],
      ['#Calls', (one) => one.calls.toLocaleString('en')],
      ['#Failed', (one) => el('span', { class: one.failed > 0 ? 'bad' : null }, percent(one.failed / Math.max(one.calls, 1)))],
      ['#p50', (one) => duration(Number(one.times.p50_nano))],
      ['#p95', (one) => duration(Number(one.times.p95_nano))],
      ['Seen', (one) => `${time(one.first_seen_unix_nano)} to ${time(one.last_seen_unix_nano)}`],
    ])),
    body.compared.map((one) => section(`${one.version} against ${body.baseline}`, findings(one), remarks(one))),
    remarks(body),
  ].flat();
}

function findings({ findings: found }) {
  if (found.length === 0) return el('p', {}, 'Nothing is different beyond chance.');
  return table(found, [
    ['Kind', (one) => el('span', { class: `badge ${one.kind}` }, one.kind)],
    ['What', (one) => one.what],
    ['Where', (one) => (one.service ? [named(one.service), ` ${one.operation ?? ''}`] : null)],
    ['#Chance', (one) => (one.significance < 0.0001 ? '<0.01 %' : percent(one.significance))],
    ['Requests', (one) => one.example_trace_ids.map((id) => [trace(id, id.slice(0, 8)), ' '])],
  ]);
}
