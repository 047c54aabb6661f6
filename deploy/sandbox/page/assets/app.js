// The page's own script: what is clicked is posted, what changes is drawn. It loads nothing from elsewhere.
import { composers, typeFor } from './compose.js';
import { closeForm, entries, forms } from './form.js';
import { go, here, listen, onDraw, post, refresh, toast } from './server.js';

/* ---- the dialog a button asks with ---- */

function ask(d) {
  const box = document.getElementById('ask');
  const yes = document.getElementById('ask-yes');
  document.getElementById('ask-title').textContent = d.ask || 'Are you sure?';
  document.getElementById('ask-text').textContent = d.askText || '';
  document.getElementById('ask-no').textContent = d.askCancel || 'Cancel';
  yes.textContent = d.askOk || 'Yes';
  yes.className = 'btn ' + (d.askStyle === 'danger' ? 'danger solid' : 'primary');
  return new Promise((resolve) => {
    const done = (said) => { box.removeEventListener('cancel', no); box.close(); resolve(said); };
    const no = () => done(false);
    yes.onclick = () => done(true);
    document.getElementById('ask-no').onclick = no;
    box.addEventListener('cancel', no, { once: true });
    box.showModal();
    yes.focus();
  });
}

/* ---- buttons ---- */

function bodyOf(el) {
  const d = el.dataset;
  const body = { surface: d.surface, channel: d.channel, ts: d.ts, want: d.want, nth: Number(d.nth || 0), id: d.id, account: d.account,
    set: d.set, n: Number(d.n || 0), name: d.name, by: d.by, on: d.state === 'true' };
  const form = el.closest('.modal');
  if (form) Object.assign(body, { view: form.dataset.form, fields: entries(form) });
  return body;
}

const pressed = new WeakSet(); // a second click while the first is on its way does nothing

async function press(el) {
  if (pressed.has(el)) return;
  if (el.dataset.ask !== undefined && !(await ask(el.dataset))) return;
  el.closest('details[data-menu]')?.removeAttribute('open');
  el.removeAttribute('data-broken');
  pressed.add(el);
  el.classList.add('pressed');
  const out = await post(el.dataset.do, bodyOf(el));
  pressed.delete(el);
  el.classList.remove('pressed');
  if (out.error) {
    el.setAttribute('data-broken', out.error);
    toast(out.error, 'bad');
  } else if (out.message) toast(out.message);
  if (el.dataset.href) follow(el.dataset.href);
}

/* ---- links out of the pretended world ---- */

// follow goes where a link of a message leads, as far as that place is on this page; the sandbox opens nothing else.
function follow(href) {
  const url = new URL(href);
  const message = url.pathname.match(/^\/archives\/([A-Z0-9]+)\/p(\d+)(\d{6})$/);
  if (url.hostname.endsWith('.slack.com') && message) {
    const q = new URLSearchParams({ as: here().as, in: message[1] });
    const thread = url.searchParams.get('thread_ts');
    if (thread) q.set('thread', thread);
    go('/?' + q).then(() => flash(`${message[2]}.${message[3]}`));
  } else if (url.hostname.endsWith('.awsapps.com') || url.hostname.endsWith('.aws.amazon.com')) {
    go('/?' + new URLSearchParams({ ...here(), tab: 'access' })).then(() => pane('aws'));
    toast('This would open the AWS access portal. Here it is the panel on the right: sign in there.');
  } else {
    toast('A link to ' + href + '. The sandbox stays on this machine and opens nothing.');
  }
}

function flash(ts) {
  const m = document.getElementById('t-' + ts) || document.getElementById('m-' + ts);
  m?.scrollIntoView({ block: 'center' });
  m?.classList.add('flash');
  setTimeout(() => m?.classList.remove('flash'), 2000);
}

/* ---- phone: one part at a time ---- */

function pane(name) { document.body.dataset.pane = name; }

/* ---- the walk can be put away ---- */

function walk(hidden) {
  document.body.classList.toggle('no-walk', hidden);
  try { localStorage.setItem('walk', hidden ? 'hidden' : ''); } catch { /* a private window may refuse */ }
}

/* ---- time ---- */

let ahead = 0;
function readClock() {
  const t = document.getElementById('clock');
  ahead = Number(t.dataset.unix) - Date.now();
  tick();
}

function tick() {
  const t = document.getElementById('clock');
  const now = new Date(Date.now() + ahead);
  const say = (zone) => now.toLocaleString('en-US', { weekday: 'short', month: 'short', day: 'numeric', hour: 'numeric', minute: '2-digit',
    second: '2-digit', timeZone: zone });
  try { t.textContent = say(t.dataset.zone || 'UTC'); } catch { t.textContent = say('UTC'); }
}

/* ---- wiring ---- */

document.addEventListener('click', (e) => {
  const open = document.querySelector('details[data-menu][open]');
  if (open && !open.contains(e.target)) open.removeAttribute('open');
  if (e.metaKey || e.ctrlKey || e.shiftKey) return; // another tab, as with any link
  const el = e.target.closest('[data-do], [data-nav], [data-link], [data-walk], [data-pane]');
  if (!el) return;
  if (el.dataset.link !== undefined) { e.preventDefault(); follow(el.href); return; }
  if (el.dataset.nav !== undefined) {
    e.preventDefault();
    if (el.closest('.side, .walk')) pane('chat');
    (el.dataset.type ? typeFor(el.href, el.dataset.type) : go(el.href)).then(() => {
      if (el.dataset.home !== undefined) post('home');
    });
    return;
  }
  if (el.dataset.walk) walk(el.dataset.walk === 'hide');
  else if (el.localName === 'button' && el.dataset.pane) pane(el.dataset.pane);
  else if (el.dataset.do === 'close') closeForm(el.dataset.name);
  else if (el.dataset.do) press(el);
});

document.addEventListener('keydown', (e) => {
  if (e.key !== 'Escape' || e.defaultPrevented) return;
  const menu = document.querySelector('details[data-menu][open]');
  if (menu) { menu.removeAttribute('open'); menu.querySelector('summary').focus(); }
});

try { walk(localStorage.getItem('walk') === 'hidden'); } catch { walk(false); }
pane('chat');
composers();
forms();
onDraw(readClock);
readClock();
setInterval(tick, 1000);
document.addEventListener('visibilitychange', () => { if (!document.hidden) refresh(); });
listen();
if (here().in === 'home') post('home');
