// What all views use: making elements, asking the gateway, and writing numbers, times and names as people read them.

/** Where the gateway is mounted; this file is below it. */
const base = new URL('..', import.meta.url).pathname.replace(/\/$/, '');

/**
 * An element. Texts are set as text, never as markup: what is shown came from applications.
 * Attributes: `class`, `title` and so on; `on` is an object of listeners; those that are null are left out.
 */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same in SVG. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === 'on') for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Something that the gateway refused, or that did not reach it. */
export class Refused extends Error {}

/** Asks a native endpoint; what was not found answers like what was. */
export async function ask(path, parameters = {}, signal = undefined) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== undefined && value !== ''));
  const text = query.toString();
  let response;
  try {
    response = await fetch(`${base}/api/v1/${path}${text && '?'}${text}`, { signal });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Refused('The gateway cannot be reached.');
  }
  const body = await response.json().catch(() => null);
  if (body === null) throw new Refused(`The gateway answered ${response.status} without JSON.`);
  if (typeof body.error === 'string') throw new Refused(body.error);
  return body;
}

/** Parameters of the time that lists look back. */
export function recent(seconds) {
  const end = Math.floor(Date.now() / 1000);
  return { start: end - seconds, end };
}

/** Nanoseconds between two times that are decimal strings. */
export function between(from, to) {
  return Number(BigInt(to) - BigInt(from));
}

/** `184 ms` of nanoseconds. */
export function duration(nanos) {
  const value = Math.abs(nanos);
  const unit = [[1e9 * 3600, 'h'], [1e9 * 60, 'min'], [1e9, 's'], [1e6, 'ms'], [1e3, 'µs']].find(([size]) => value >= size) ?? [1, 'ns'];
  return `${digits(nanos / unit[0])} ${unit[1]}`;
}

/** Three digits that matter. */
export function digits(value) {
  if (value === 0) return '0';
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en');
  return String(Number(value.toPrecision(3)));
}

/** `12 %` of a share. */
export function percent(share) {
  if (share > 0 && share < 0.001) return '<0.1 %';
  return `${digits(share * 100)} %`;
}

/** `3.1/s`, or by the minute or hour where that reads better. */
export function rate(perSecond) {
  const [value, unit] = perSecond >= 1 || perSecond === 0 ? [perSecond, 's'] : perSecond >= 1 / 60 ? [perSecond * 60, 'min'] : [perSecond * 3600, 'h'];
  return `${digits(value)}/${unit}`;
}

/** Local time of the day with milliseconds, and the day where it is not today. */
export function time(nanos) {
  const date = new Date(Number(BigInt(nanos) / 1000000n));
  const clock = date.toLocaleTimeString('en-GB', { hour12: false }) + '.' + String(date.getMilliseconds()).padStart(3, '0');
  return date.toDateString() === new Date().toDateString() ? clock : `${date.toISOString().slice(0, 10)} ${clock}`;
}

/** `3 spans`. */
export function counted(count, name) {
  return `${count.toLocaleString('en')} ${name}${count === 1 ? '' : 's'}`;
}

/** Services in the order in which they were met. */
const met = new Map();

/** A colour of its own for each service, the same in all views of a visit; readable on dark and on light. */
export function colour(service) {
  if (!met.has(service)) met.set(service, met.size);
  // The golden angle keeps any number of hues apart.
  return `hsl(${(150 + met.get(service) * 137.508) % 360} 55% 52%)`;
}

/** A dot in a service's colour, and its name with a link. */
export function service(name) {
  const dot = el('i', { class: 'dot' });
  dot.style.background = colour(name);
  return el('a', { class: 'service', href: `#/service/${encodeURIComponent(name)}` }, dot, name);
}

/** A link to a trace. */
export function trace(id, text = id.replace(/^0{16}/, '').slice(0, 16)) {
  return el('a', { class: 'id', href: `#/trace/${id}`, title: id }, text);
}

/** A heading, and what stands below it; nothing where there is nothing. */
export function section(title, ...children) {
  const kept = children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
  return kept.length > 0 ? el('section', {}, el('h2', {}, title), kept) : null;
}

/** A table; columns are pairs of a heading and what makes a cell of a row. Headings that begin with `#` are of numbers. */
export function table(rows, columns) {
  const numeric = (heading) => (heading.startsWith('#') ? 'number' : null);
  const head = columns.map(([heading]) => el('th', { class: numeric(heading) }, heading.replace(/^#/, '')));
  const body = rows.map((row) => el('tr', {}, columns.map(([heading, cell]) => el('td', { class: numeric(heading) }, cell(row)))));
  return el('div', { class: 'wide' }, el('table', {}, el('thead', {}, el('tr', {}, head)), el('tbody', {}, body)));
}

/** What is not in an answer, and what a reader should know before trusting it. */
export function remarks(body) {
  const absent = (body.absent ?? []).map((one) =>
    el('li', {}, el('b', {}, `${one.signal}: ${one.reason.replaceAll('_', ' ')}`), ` ${one.detail}`,
      one.hint ? el('span', { class: 'hint' }, ` Try: ${one.hint}.`) : null));
  const warnings = (body.warnings ?? []).map((text) => el('li', { class: 'warning' }, text));
  const all = [...warnings, ...absent];
  if (body.reason) all.unshift(el('li', {}, body.reason));
  return all.length > 0 ? section(absent.length > 0 ? 'What is not here' : 'Worth knowing', el('ul', { class: 'remarks' }, all)) : null;
}

/** A bar of a share of 1. */
export function bar(share, kind = '') {
  const inner = el('i', { class: kind });
  inner.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  return el('span', { class: 'bar' }, inner);
}

/** A line of values over time. */
export function spark(values) {
  const numbers = values.map(([, value]) => value).filter((value) => Number.isFinite(value));
  if (numbers.length < 2) return null;
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const at = (value, place) => `${((place / (numbers.length - 1)) * 118 + 1).toFixed(1)},${(19 - ((value - low) / (high - low || 1)) * 16).toFixed(1)}`;
  return svg('svg', { class: 'spark', viewBox: '0 0 120 22', role: 'img', 'aria-label': `from ${digits(low)} to ${digits(high)}` },
    svg('polyline', { points: numbers.map(at).join(' ') }));
}
