// Forms: every field tells the server what stands in it, searches ask the app while somebody types, and the submit waits for both.
import { markDirty, markSent } from './morph.js';
import { onDraw, post, toast } from './server.js';

const sending = new Set(); // fills that are on their way
const timers = new WeakMap();
const byEnter = (el) => el.dataset.enter !== undefined;

export function valueOf(el) {
  if (el.dataset.field === 'many') return [...el.querySelectorAll('input:checked')].map((i) => i.value).join(',');
  if (el.dataset.field === 'radio') return el.querySelector('input:checked')?.value || '';
  return el.value;
}

// entries is what stands in a form. A search is not among them: what was chosen there is with the server already.
export function entries(form) {
  return [...form.querySelectorAll('[data-field]')].filter((el) => el.dataset.field !== 'search')
    .map((el) => ({ block: el.dataset.block, action: el.dataset.aid, value: valueOf(el) }));
}

function fill(el, value = valueOf(el)) {
  clearTimeout(timers.get(el));
  const done = post('fill', { view: el.dataset.view, block: el.dataset.block, action: el.dataset.aid, value }).then((out) => {
    markSent(el, value);
    if (out.error) trouble(el.closest('.modal'), out.error);
    return out;
  });
  sending.add(done);
  done.finally(() => sending.delete(done));
  return done;
}

function trouble(form, text) {
  const p = form?.querySelector('.trouble');
  if (!p) { if (text) toast(text, 'bad'); return; }
  p.textContent = text || '';
  p.hidden = !text;
}

// busy shows that Slack waits for the app. The app may change the form meanwhile; the class is put back when it is drawn.
let waiting = '';
function busy(form, on) {
  waiting = on ? form.dataset.form : '';
  form.classList.toggle('sending', on);
  for (const b of form.querySelectorAll('footer button')) b.disabled = on;
}

async function submit(form) {
  if (form.classList.contains('sending')) return;
  busy(form, true);
  trouble(form, '');
  await Promise.allSettled([...sending]);
  const out = await post('submit', { view: form.dataset.form, fields: entries(form) });
  busy(form, false);
  if (out.error) trouble(form, out.error);
  if (out.errors) setTimeout(() => document.querySelector('.modal [aria-invalid=true]')?.focus(), 60);
}

export function closeForm(name = '') {
  const form = document.querySelector('.modal');
  if (form) post('close', { name, view: form.dataset.form });
}

/* ---- searches ---- */

const listOf = (input) => input.parentElement.querySelector('.found');

function shut(input) {
  listOf(input).hidden = true;
  input.setAttribute('aria-expanded', 'false');
  input.removeAttribute('aria-activedescendant');
}

let asked = 0;
async function search(input, typed) {
  const list = listOf(input);
  if (typed.length < Number(input.dataset.least)) { offer(input, null, `Type ${input.dataset.least} characters or more`); return; }
  const mine = ++asked;
  if (list.hidden || !list.children.length) offer(input, null, 'Searching…');
  const out = await post('options', { view: input.dataset.view, block: input.dataset.block, action: input.dataset.aid, value: typed });
  if (mine !== asked || document.activeElement !== input) return;
  const none = out.error || 'No results';
  offer(input, out.groups || [], none);
}

function offer(input, groups, none) {
  const list = listOf(input);
  const items = [];
  for (const g of groups || []) {
    if (g.Title) {
      const head = document.createElement('li');
      head.className = 'group';
      head.textContent = g.Title;
      items.push(head);
    }
    for (const o of g.Options || []) {
      const li = document.createElement('li');
      li.role = 'option';
      li.id = input.id + '-o' + items.length;
      li.dataset.testid = 'option-' + o.Value;
      li.dataset.text = o.Text;
      li.textContent = o.Text;
      if (o.Description) {
        const small = document.createElement('small');
        small.textContent = o.Description;
        li.append(small);
      }
      items.push(li);
    }
  }
  if (!items.length) {
    const li = document.createElement('li');
    li.className = 'none';
    li.textContent = none;
    items.push(li);
  }
  list.replaceChildren(...items);
  list.hidden = false;
  input.setAttribute('aria-expanded', 'true');
  list.scrollIntoView({ block: 'nearest' });
}

function step(input, by) {
  const all = [...listOf(input).querySelectorAll('[role=option]')];
  if (!all.length) return;
  const now = all.findIndex((li) => li.classList.contains('on'));
  const next = now < 0 ? (by > 0 ? 0 : all.length - 1) : (now + by + all.length) % all.length;
  all.forEach((li, i) => li.classList.toggle('on', i === next));
  input.setAttribute('aria-activedescendant', all[next].id);
  all[next].scrollIntoView({ block: 'nearest' });
}

function choose(input, text) {
  const value = input.dataset.multi !== undefined && text && input.dataset.shown ? input.dataset.shown + ', ' + text : text;
  asked++;
  input.value = value;
  input.dataset.shown = value;
  shut(input);
  fill(input, value);
}

// leave puts back what was chosen where somebody typed and chose nothing; emptied, it is cleared.
function leave(input) {
  asked++;
  shut(input);
  if (input.value.trim() === '' && input.dataset.shown) choose(input, '');
  else if (input.value !== input.dataset.shown) input.value = input.dataset.shown;
  markSent(input, input.value);
}

function keys(input, e) {
  const list = listOf(input);
  if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
    e.preventDefault();
    if (list.hidden) search(input, '');
    else step(input, e.key === 'ArrowDown' ? 1 : -1);
  } else if (e.key === 'Enter') {
    e.preventDefault();
    const all = list.querySelectorAll('[role=option]');
    const on = list.querySelector('.on') || (all.length === 1 ? all[0] : null);
    if (on && !list.hidden) choose(input, on.dataset.text);
  } else if (e.key === 'Escape' && !list.hidden) {
    e.stopPropagation();
    leave(input);
  }
}

/* ---- wiring ---- */

const fieldOf = (el) => el.closest?.('[data-field]');

export function forms() {
  document.addEventListener('input', (e) => {
    const el = fieldOf(e.target);
    if (!el) return;
    markDirty(e.target);
    trouble(el.closest('.modal'), '');
    clearTimeout(timers.get(el));
    if (el.dataset.field === 'search') timers.set(el, setTimeout(() => search(el, el.value.trim()), 140));
    else if (el.dataset.field === 'text' && !byEnter(el)) timers.set(el, setTimeout(() => fill(el), 500));
  });
  document.addEventListener('change', (e) => {
    const el = fieldOf(e.target);
    if (!el || el.dataset.field === 'search') return;
    fill(el).then(() => { if (e.target !== el) markSent(e.target, e.target.value); });
  });
  document.addEventListener('focusin', (e) => {
    if (e.target.dataset?.field === 'search') { e.target.select(); search(e.target, ''); }
  });
  document.addEventListener('focusout', (e) => { if (e.target.dataset?.field === 'search') leave(e.target); });
  document.addEventListener('mousedown', (e) => {
    const li = e.target.closest('.found li');
    if (!li) return;
    e.preventDefault(); // the input keeps the focus
    if (li.dataset.text !== undefined) choose(li.closest('.search').querySelector('input'), li.dataset.text);
  });
  document.addEventListener('keydown', (e) => {
    if (e.target.dataset?.field === 'search') keys(e.target, e);
    else if (byEnter(e.target) && e.key === 'Enter' && e.target.localName === 'input') { e.preventDefault(); fill(e.target); }
    if (e.key === 'Escape' && !e.defaultPrevented && e.target.closest?.('.modal') && e.target.dataset?.field !== 'search') closeForm();
  });
  document.addEventListener('submit', (e) => {
    if (!e.target.matches('.modal')) return;
    e.preventDefault();
    submit(e.target);
  });
  onDraw(focusForm);
  focusForm();
}

let shown = '';
function focusForm() {
  const form = document.querySelector('.modal');
  const id = form?.dataset.form || '';
  if (form && waiting === id) busy(form, true);
  if (id !== shown) {
    shown = id;
    if (!form) { document.querySelector('.composer textarea')?.focus({ preventScroll: true }); return; }
    const first = form.querySelector('[data-focus]') || [...form.querySelectorAll('[data-field]')].find((el) => el.dataset.field !== 'search') ||
      form.querySelector('footer button');
    first?.focus({ preventScroll: true });
  }
}
