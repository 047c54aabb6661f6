// Speaks to the sandbox: posts what was done, fetches the page again, and hears when to.
import { morph } from './morph.js';

const app = () => document.getElementById('app');
export const here = () => ({ as: app().dataset.as, in: app().dataset.in, thread: app().dataset.thread });

let look = location.search;
let running = false;
let again = false;
const after = []; // what to do once the page is drawn
export const onDraw = (f) => after.push(f);

function stuck() {
  return [...document.querySelectorAll('[data-stick]')]
    .filter((e) => e.scrollHeight - e.scrollTop - e.clientHeight < 60).map((e) => e.dataset.key);
}

// refresh draws what there is now. Calls that come while one runs are answered by one more.
export async function refresh() {
  if (running) { again = true; return; }
  running = true;
  try {
    do {
      again = false;
      const asked = look;
      const answer = await fetch('/view' + asked);
      if (!answer.ok) throw new Error(await answer.text());
      const text = await answer.text();
      if (asked !== look) { again = true; continue; } // somebody has gone elsewhere meanwhile
      draw(text);
    } while (again);
    offline(false);
  } catch {
    offline(true);
  } finally {
    running = false;
  }
}

function draw(text) {
  const fresh = new DOMParser().parseFromString(text, 'text/html').getElementById('app');
  const bottom = new Set(stuck());
  const before = new Set([...document.querySelectorAll('[data-stick]')].map((e) => e.dataset.key));
  morph(app(), fresh);
  for (const e of document.querySelectorAll('[data-stick]')) {
    if (bottom.has(e.dataset.key) || !before.has(e.dataset.key)) e.scrollTop = e.scrollHeight;
  }
  const canonical = app().dataset.look.slice(1); // "/?as=…": where an address without a place has led
  if (canonical !== look) {
    look = canonical;
    history.replaceState(null, '', '/' + look);
  }
  for (const f of after) f();
}

// go shows another person, conversation, thread or part of the panel.
export async function go(url) {
  look = new URL(url, location.href).search;
  history.pushState(null, '', '/' + look);
  await refresh();
}

window.addEventListener('popstate', () => { look = location.search; refresh(); });

// post does something as the person the page shows, and draws what came of it.
export async function post(verb, body = {}) {
  let out = {};
  try {
    const answer = await fetch('/do/' + verb, { method: 'POST', headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ ...here(), ...body }) });
    out = answer.ok ? await answer.json() : { error: (await answer.text()).trim(), where: 'toast' };
    offline(false);
  } catch {
    offline(true);
    return { error: 'The sandbox does not answer. Is it still running?', where: 'toast' };
  }
  refresh();
  return out;
}

let quiet;
export function toast(text, kind = '') {
  const t = document.getElementById('toast');
  t.textContent = text;
  t.className = 'toast ' + kind;
  t.hidden = false;
  clearTimeout(quiet);
  quiet = setTimeout(() => { t.hidden = true; }, 6000);
}

let away = false;
function offline(is) {
  if (is === away) return;
  away = is;
  document.body.classList.toggle('offline', is);
  if (is) toast('The sandbox does not answer. Is it still running?', 'bad');
  else document.getElementById('toast').hidden = true;
}

export function listen() {
  const events = new EventSource('/events');
  events.addEventListener('change', refresh);
  events.onerror = () => offline(true); // it tries again by itself
  window.addEventListener('pagehide', () => events.close()); // a browser keeps few connections to a server
  look = app().dataset.look.slice(1);
  history.replaceState(null, '', '/' + look);
  for (const e of document.querySelectorAll('[data-stick]')) e.scrollTop = e.scrollHeight;
}
