// Which view is shown: by the part of the address after `#`, so that each can be sent to somebody else.

import { el, Refused } from './show.js';
import { trace } from './trace.js';
import { overview, service } from './service.js';
import { variance, versions } from './analysis.js';

const main = document.getElementById('main');
const id = document.getElementById('id');
const since = document.getElementById('since');

/** Views by the first word of the address; each gets the other words and a signal that ends what it asks. */
const VIEWS = { '': overview, trace, service, variance, versions };

let asking = new AbortController();

async function show() {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  const [word = '', ...rest] = location.hash.replace(/^#\/?/, '').split('/').map(decoded);
  const view = Object.hasOwn(VIEWS, word) ? VIEWS[word] : VIEWS[''];
  main.classList.add('asking');
  let shown;
  try {
    shown = await view(rest, { seconds: Number(since.value), signal });
  } catch (error) {
    if (error.name === 'AbortError') return;
    if (!(error instanceof Refused)) console.error(error);
    shown = [el('p', { class: 'refused' }, error instanceof Refused ? error.message : `This page failed: ${error.message}`)];
  }
  if (signal.aborted) return;
  document.title = word === '' ? 'Trefoil' : `${rest[0] ?? ''} - Trefoil`;
  id.value = word === 'trace' ? rest[0] ?? '' : '';
  main.replaceChildren(...shown.filter((part) => part !== null));
  main.classList.remove('asking');
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

document.getElementById('look-up').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = id.value.trim();
  if (text !== '') location.hash = `#/trace/${encodeURIComponent(text)}`;
});
document.getElementById('again').addEventListener('click', show);
since.addEventListener('change', show);
addEventListener('hashchange', () => {
  scrollTo(0, 0);
  show();
});
show();
