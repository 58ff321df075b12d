// One request: its spans as a waterfall with the log lines that they wrote, and all else that is joined to it.

import { ask, between, colour, counted, digits, duration, el, percent, remarks, section, service, spark, table, time } from './show.js';

/** Rows that are shown at once; a person asks for more. */
const ROWS = 500;
/** Lines of one span that are shown before a person asks for the rest. */
const LINES = 4;

/** The look-up of one id. */
export async function trace([id = ''], { signal }) {
  const body = await ask(`traces/${encodeURIComponent(id)}`, {}, signal);
  if (body.window === null) {
    return [el('h1', {}, 'Nothing was found for ', el('code', {}, id)), remarks(body)];
  }
  const waterfall = new Waterfall(body);
  return [
    head(body),
    remarks(body),
    section('Spans and their lines', waterfall.element, el('p', { class: 'legend' },
      'The strong part of a bar is on the critical path. Click a span for its attributes.')),
    section('Lines of the trace that name none of its spans', loose(body).map((log) => line(log, body))),
    section('Lines that only mention the id', body.mentions.map((log) => line(log, body))),
    section('Exemplars', body.exemplars.length > 0 && table(body.exemplars, [
      ['Metric', (one) => el('code', { title: selector(one.labels) }, one.metric)],
      ['Service', (one) => one.labels.service_name ?? one.labels.service ?? one.labels.job ?? ''],
      ['#Value', (one) => digits(one.value)],
      ['#After', (one) => duration(between(body.window.start_unix_nano, one.time_unix_nano))],
      ['From', (one) => `${one.source}${one.join.confidence < 1 ? `, ${one.join.rule} ${one.join.confidence}` : ''}`],
    ])),
    section('Metrics of its services', metrics(body.metrics)),
    section('The same elsewhere', el('ul', {}, body.links.map((link) => el('li', {}, link.rel, ' ', el('code', {}, link.path))))),
  ];
}

function head(body) {
  const took = between(body.window.start_unix_nano, body.window.end_unix_nano);
  const errors = body.services.reduce((sum, one) => sum + one.errors, 0);
  const offered = body.logs.filter((log) => log.join.confidence < 1).length;
  const root = body.spans.find((span) => span.depth === 0);
  const spellings = body.spellings.filter((one) => one.written !== body.trace_id).map((one) => `${one.written} (${one.signals.join(', ')})`);
  const lines = offered > 0 ? `${counted(body.logs.length, 'line')} (${offered} without an id)` : counted(body.logs.length, 'line');
  return el('div', { class: 'head' },
    el('h1', {}, root ? [service(root.service), ' ', root.name] : 'Trace'),
    el('p', {}, el('code', { class: 'whole' }, body.trace_id), spellings.length > 0 ? ` also written ${spellings.join(', ')}` : null),
    el('p', { class: 'facts' },
      el('b', {}, duration(took)), ` at ${time(body.window.start_unix_nano)}`,
      ` · ${counted(body.total_spans, 'span')} · ${lines} · ${counted(body.exemplars.length, 'exemplar')}`,
      errors > 0 ? el('b', { class: 'bad' }, ` · ${counted(errors, 'error')}`) : null),
    el('p', { class: 'services' }, body.services.map((one) => el('span', { title: one.pods.join(', ') }, service(one.name), one.version ? el('small', {}, ` ${one.version}`) : null))));
}

function loose(body) {
  const known = new Set(body.spans.map((span) => span.span_id));
  return body.logs.filter((log) => !known.has(log.span_id));
}

/** Spans by depth, each with a bar in the trace's time. */
class Waterfall {
  constructor(body) {
    this.body = body;
    this.start = body.window.start_unix_nano;
    this.whole = Math.max(1, between(this.start, body.window.end_unix_nano));
    this.critical = new Map();
    this.logs = new Map();
    this.rows = el('div', { class: 'rows' });
    this.more = el('button', { type: 'button', class: 'more', on: { click: () => this.next() } });
    this.element = el('div', { class: 'waterfall' }, this.rows, this.more);
    this.shown = 0;
    this.take(body);
    this.draw();
  }

  take(body) {
    for (const segment of body.critical_path) push(this.critical, segment.span_id, segment);
    for (const log of body.logs) push(this.logs, log.span_id, log);
  }

  /** The next rows, of this part of the trace or of the one after it. */
  async next() {
    if (this.shown >= this.body.spans.length && this.body.next !== null) {
      this.more.disabled = true;
      const body = await ask(`traces/${this.body.trace_id}`, { cursor: this.body.next, fields: 'spans,logs,critical_path,next' }).catch((error) => error);
      this.more.disabled = false;
      if (body instanceof Error) {
        this.more.textContent = `${body.message} Again?`;
        return;
      }
      this.body = { ...this.body, spans: body.spans, next: body.next };
      this.shown = 0;
      this.take({ critical_path: body.critical_path ?? [], logs: body.logs ?? [] });
    }
    this.draw();
  }

  draw() {
    const upTo = Math.min(this.shown + ROWS, this.body.spans.length);
    this.rows.append(...this.body.spans.slice(this.shown, upTo).flatMap((span) => [this.row(span), this.lines(span)]).filter(Boolean));
    this.shown = upTo;
    this.more.hidden = upTo >= this.body.spans.length && this.body.next === null;
    this.more.textContent = 'More spans';
  }

  row(span) {
    const failed = span.status.code === 'error';
    const bar = el('i', { class: failed ? 'span failed' : 'span' });
    const at = between(this.start, span.adjusted_start_unix_nano);
    this.place(bar, at, Number(span.duration_nano));
    bar.style.setProperty('--colour', colour(span.service));
    const critical = (this.critical.get(span.span_id) ?? []).map((segment) => {
      const part = el('i', { class: failed ? 'critical failed' : 'critical' });
      part.style.setProperty('--colour', colour(span.service));
      this.place(part, between(this.start, segment.start_unix_nano), between(segment.start_unix_nano, segment.end_unix_nano));
      return part;
    });
    const oddities = span.oddities.map((one) => el('span', { class: 'badge' }, one.replaceAll('_', ' ')));
    const name = el('span', { class: 'what', title: `${span.service} ${span.name} (${span.kind})` },
      el('b', {}, span.service), ` ${span.name}`, failed ? el('span', { class: 'badge bad' }, span.status.message || 'error') : null, oddities);
    name.style.paddingLeft = `${Math.min(span.depth, 24) * 12}px`;
    const row = el('button', { type: 'button', class: 'row', 'aria-expanded': 'false' }, name,
      el('span', { class: 'track' }, bar, critical),
      el('span', { class: 'took', title: `itself ${duration(Number(span.self_time_nano))}` }, duration(Number(span.duration_nano))));
    row.addEventListener('click', () => {
      const open = row.nextElementSibling?.classList.contains('detail');
      row.setAttribute('aria-expanded', String(!open));
      if (open) row.nextElementSibling.remove();
      else row.after(this.detail(span));
    });
    return row;
  }

  place(element, at, length) {
    element.style.left = `${Math.max(0, Math.min(100, (at / this.whole) * 100))}%`;
    element.style.width = `${Math.min(100, (length / this.whole) * 100)}%`;
  }

  lines(span) {
    const logs = this.logs.get(span.span_id) ?? [];
    if (logs.length === 0) return null;
    const [first, rest] = [logs.slice(0, LINES), logs.slice(LINES)];
    const more = rest.length > 0 && el('button', { type: 'button', class: 'more', on: { click: () => more.replaceWith(...rest.map((log) => line(log, this.body))) } },
      `${counted(rest.length, 'more line')}`);
    const lines = el('div', { class: 'lines' }, first.map((log) => line(log, this.body)), more);
    lines.style.marginLeft = `${Math.min(span.depth, 24) * 12 + 18}px`;
    return lines;
  }

  detail(span) {
    const events = span.events.map((event) => el('li', {},
      `${duration(between(span.start_unix_nano, event.time_unix_nano))} `, el('b', {}, event.name), pairs(event.attributes)));
    const links = span.links.map((link) => el('li', {}, el('a', { href: `#/trace/${link.trace_id}` }, link.trace_id), ` span ${link.span_id}`));
    const skew = between(span.start_unix_nano, span.adjusted_start_unix_nano);
    return el('div', { class: 'detail' },
      el('p', {}, `span `, el('code', {}, span.span_id), ` · ${span.kind} · began ${duration(between(this.start, span.adjusted_start_unix_nano))} in · itself ${duration(Number(span.self_time_nano))}`,
        skew === 0 ? null : ` · moved by ${duration(skew)}: its host's clock is off`),
      pairs(span.attributes),
      events.length > 0 ? [el('h3', {}, 'Events'), el('ul', {}, events)] : null,
      links.length > 0 ? [el('h3', {}, 'Links'), el('ul', {}, links)] : null,
      el('h3', {}, 'Resource'), pairs(span.resource));
  }
}

function push(map, key, value) {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

function pairs(attributes) {
  const text = (value) => (typeof value === 'string' ? value : JSON.stringify(value));
  return el('dl', {}, Object.entries(attributes).map(([key, value]) => [el('dt', {}, key), el('dd', {}, text(value))]));
}

/** A log line, how it is joined, and, when it is clicked, where it comes from. */
function line(log, body) {
  const at = duration(between(body.window.start_unix_nano, log.adjusted_time_unix_nano));
  const sure = log.join.confidence >= 1 && log.join.rule === 'trace_id';
  const why = log.join.agreed.length > 0 ? `agree: ${log.join.agreed.join(', ')}` : null;
  const text = el('pre', {}, log.line);
  const shown = el('button', { type: 'button', class: `line ${log.severity}`, 'aria-expanded': 'false' },
    el('span', { class: 'at' }, at), el('span', { class: 'level' }, log.severity),
    sure ? null : el('span', { class: 'badge', title: why }, `${log.join.rule} ${percent(log.join.confidence)}`), text);
  shown.addEventListener('click', () => {
    if (String(getSelection()) !== '') return;
    const open = shown.classList.toggle('open');
    shown.setAttribute('aria-expanded', String(open));
    if (open) shown.append(pairs({ ...log.labels, ...log.metadata }));
    else shown.lastElementChild.remove();
  });
  return shown;
}

/** `{a="b"}` */
function selector(labels) {
  return `{${Object.entries(labels).filter(([name]) => name !== '__name__').map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(', ')}}`;
}

/** Series of one metric under one another, each with the labels that tell it from the others. */
function metrics(all) {
  const alike = new Map();
  for (const one of all) push(alike, `${one.metric} ${one.service}`, one);
  const differing = (one) => {
    const others = alike.get(`${one.metric} ${one.service}`);
    const told = Object.entries(one.labels).filter(([name, value]) => name !== '__name__' && others.some((other) => other.labels[name] !== value));
    return told.map(([name, value]) => `${name}=${value}`).join(' ');
  };
  return all.length > 0 && table(all, [
    ['Metric', (one) => el('code', { title: one.query }, one.metric)],
    ['Service', (one) => one.service],
    ['', differing],
    ['Around the request', (one) => spark(one.values)],
    ['#Last', (one) => `${digits(one.values.at(-1)?.[1] ?? NaN)} ${one.unit}`],
    ['Join', (one) => `${one.join.rule} ${percent(one.join.confidence)}`],
  ]);
}
