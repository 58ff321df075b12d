// The service graph as a picture: who calls whom from left to right, what fails in red.

import { colour, duration, el, percent, rate, svg } from './show.js';

const [WIDTH, HEIGHT, GAP, STEP] = [168, 44, 78, 60];
/** What is not a service says what it is. */
const KINDS = { database: 'database', queue: 'queue', external: 'outside, sends no spans', user: 'callers' };

/** An element with the graph; null where nobody calls anybody. */
export function graph({ nodes, edges }) {
  if (edges.length === 0) return null;
  const key = (kind, name) => `${kind} ${name}`;
  const known = new Map(nodes.map((node) => [key(node.kind, node.name), node]));
  const drawn = new Map();
  const ends = edges.map((edge) => [key(edge.client_kind, edge.client), key(edge.server_kind, edge.server), edge]);
  for (const [client, server, edge] of ends) {
    drawn.set(client, known.get(client) ?? { name: edge.client, kind: edge.client_kind });
    drawn.set(server, known.get(server) ?? { name: edge.server, kind: edge.server_kind });
  }
  const columns = layers([...drawn.keys()], ends);
  const place = new Map();
  columns.forEach((column, x) => column.forEach((name, y) => place.set(name, { x: 4 + x * (WIDTH + GAP), y: 4 + y * STEP })));
  const width = columns.length * (WIDTH + GAP) - GAP + 8;
  const height = Math.max(...columns.map((column) => column.length)) * STEP - (STEP - HEIGHT) + 8;
  const busiest = Math.max(...edges.map((edge) => edge.rate), 1e-9);
  const lines = ends.map(([client, server, edge]) => {
    const [from, to] = [place.get(client), place.get(server)];
    const back = to.x <= from.x;
    const [x1, y1, x2, y2] = [from.x + WIDTH, from.y + HEIGHT / 2, to.x, to.y + HEIGHT / 2];
    const bend = back ? 60 : (x2 - x1) / 2;
    const line = svg('path', { d: `M${x1},${y1} C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}`, class: edge.failed > 0 ? 'edge failed' : 'edge' },
      svg('title', {}, `${edge.client} to ${edge.server}: ${rate(edge.rate)}, ${percent(edge.failed / Math.max(edge.calls, 1))} failed, p95 ${slow(edge.client_latency ?? edge.server_latency)}`));
    line.setAttribute('stroke-width', String(1.2 + 4 * Math.sqrt(edge.rate / busiest)));
    return line;
  });
  const boxes = [...drawn].map(([name, node]) => {
    const { x, y } = place.get(name);
    const failing = node.errors > 0;
    const told = KINDS[node.kind] ?? (node.rate === undefined ? '' : `${rate(node.rate)} · p95 ${slow(node.latency)}`);
    const box = svg('g', { class: `node ${node.kind}${failing ? ' failed' : ''}`, transform: `translate(${x},${y})` },
      svg('rect', { width: WIDTH, height: HEIGHT, rx: 6 }),
      svg('rect', { width: 5, height: HEIGHT, rx: 2, fill: node.kind === 'service' ? colour(node.name) : 'currentColor', 'fill-opacity': node.kind === 'service' ? 1 : 0.25 }),
      svg('text', { x: 14, y: 18, class: 'title' }, short(node.name)),
      svg('text', { x: 14, y: 34 }, failing ? `${percent(node.errors / Math.max(node.calls, 1))} fail · p95 ${slow(node.latency)}` : told),
      svg('title', {}, node.name));
    return node.kind === 'service' ? svg('a', { href: `#/service/${encodeURIComponent(node.name)}` }, box) : box;
  });
  const picture = svg('svg', { viewBox: `0 0 ${width} ${height}`, width, height, class: 'graph', role: 'img', 'aria-label': 'Who calls whom' }, lines, boxes);
  return el('div', { class: 'wide' }, picture);
}

/** Columns of names: callers before what they call, as far as calls make no circle; each column in the order of its callers. */
function layers(names, ends) {
  const depth = new Map(names.map((name) => [name, 0]));
  // As many rounds as there are names are enough without circles; with them they end it.
  for (let round = 0; round < names.length; round += 1) {
    let moved = false;
    for (const [client, server] of ends) {
      const wanted = depth.get(client) + 1;
      if (client !== server && depth.get(server) < wanted && wanted < names.length) {
        depth.set(server, wanted);
        moved = true;
      }
    }
    if (!moved) break;
  }
  const used = [...new Set(depth.values())].sort((a, b) => a - b);
  const columns = used.map((at) => names.filter((name) => depth.get(name) === at));
  for (let at = 1; at < columns.length; at += 1) {
    const before = new Map(columns[at - 1].map((name, y) => [name, y]));
    const middle = (name) => {
      const rows = ends.filter(([client, server]) => server === name && before.has(client)).map(([client]) => before.get(client));
      return rows.length > 0 ? rows.reduce((sum, y) => sum + y, 0) / rows.length : Infinity;
    };
    columns[at].sort((a, b) => middle(a) - middle(b));
  }
  return columns;
}

function slow(latency) {
  return latency ? duration(Number(latency.p95_nano)) : '-';
}

function short(name) {
  return name.length > 22 ? `${name.slice(0, 21)}…` : name;
}
