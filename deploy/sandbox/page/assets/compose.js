// The message box: Enter sends, a slash brings suggestions, and what was not sent waits for each conversation apart.
import { go, here, onDraw, post } from './server.js';

const drafts = new Map();
const restored = new WeakSet();
const keyOf = (form) => form.dataset.key;

function grow(box) {
  box.style.height = 'auto';
  box.style.height = Math.min(box.scrollHeight, 160) + 'px';
}

function note(form, text) {
  const p = form.querySelector('.composer-note');
  p.textContent = text || '';
  p.hidden = !text;
}

function commands(form) {
  try { return JSON.parse(form.querySelector('.commands').textContent) || []; } catch { return []; }
}

function suggest(form) {
  const list = form.querySelector('.suggest');
  if (!list) return;
  const box = form.querySelector('textarea');
  const typed = box.value;
  const fit = typed.startsWith('/') && !typed.includes('\n')
    ? commands(form).filter((c) => c.Line.startsWith(typed.trimEnd()) && c.Line !== typed) : [];
  list.replaceChildren(...fit.map((c, i) => {
    const li = document.createElement('li');
    li.role = 'option';
    li.id = 'suggest-' + i;
    li.dataset.testid = 'suggestion-' + i;
    li.dataset.line = c.Line;
    const line = document.createElement('b');
    line.textContent = c.Line;
    const text = document.createElement('span');
    text.textContent = c.Text;
    li.append(line, text);
    return li;
  }));
  list.hidden = fit.length === 0;
  box.setAttribute('aria-expanded', String(fit.length > 0));
  box.removeAttribute('aria-activedescendant');
}

function move(form, by) {
  const list = form.querySelector('.suggest');
  if (!list || list.hidden) return false;
  const all = [...list.children];
  const now = all.findIndex((li) => li.classList.contains('on'));
  const next = now < 0 ? (by > 0 ? 0 : all.length - 1) : (now + by + all.length) % all.length;
  all.forEach((li, i) => { li.classList.toggle('on', i === next); li.setAttribute('aria-selected', String(i === next)); });
  all[next].scrollIntoView({ block: 'nearest' });
  form.querySelector('textarea').setAttribute('aria-activedescendant', all[next].id);
  return true;
}

function take(form, li) {
  const box = form.querySelector('textarea');
  box.value = li.dataset.line;
  drafts.set(keyOf(form), box.value);
  box.focus();
  suggest(form);
  form.querySelector('.suggest').hidden = true;
}

async function send(form) {
  const box = form.querySelector('textarea');
  const text = box.value;
  if (!text.trim() || form.classList.contains('sending')) return;
  const inThread = form.dataset.compose === 'thread-composer';
  form.classList.add('sending');
  note(form, '');
  box.value = '';
  grow(box);
  suggest(form);
  const out = await post('say', { text, thread: inThread ? here().thread : '' });
  form.classList.remove('sending');
  if (out.error) {
    note(form, out.error);
    if (!box.value) { box.value = text; grow(box); }
  } else {
    drafts.delete(keyOf(form));
    const scroll = form.parentElement.querySelector('[data-stick]');
    if (scroll) scroll.scrollTop = scroll.scrollHeight;
  }
}

// typeFor goes to a place and puts words into its message box.
export async function typeFor(url, words) {
  await go(url);
  const box = document.querySelector('.composer[data-compose=composer] textarea');
  if (!box || !words) return;
  if (!box.value) box.value = words;
  box.focus();
}

export function composers() {
  document.addEventListener('input', (e) => {
    const form = e.target.closest('.composer');
    if (!form) return;
    drafts.set(keyOf(form), e.target.value);
    grow(e.target);
    note(form, '');
    suggest(form);
  });
  document.addEventListener('keydown', (e) => {
    const form = e.target.closest?.('.composer');
    if (!form || e.target.localName !== 'textarea' || e.isComposing) return;
    const on = form.querySelector('.suggest li.on');
    const list = form.querySelector('.suggest');
    if (e.key === 'ArrowDown' && move(form, 1) || e.key === 'ArrowUp' && move(form, -1)) e.preventDefault();
    else if (e.key === 'Escape' && list && !list.hidden) { list.hidden = true; e.stopPropagation(); }
    else if (e.key === 'Tab' && list && !list.hidden && !e.shiftKey) { e.preventDefault(); take(form, on || list.firstElementChild); }
    else if (e.key === 'Enter' && !e.shiftKey) {
      e.preventDefault();
      if (on) take(form, on);
      else send(form);
    }
  });
  document.addEventListener('submit', (e) => {
    const form = e.target.closest('.composer');
    if (!form) return;
    e.preventDefault();
    send(form);
  });
  document.addEventListener('mousedown', (e) => {
    const li = e.target.closest('.suggest li');
    if (li) { e.preventDefault(); take(li.closest('form'), li); }
  });
  document.addEventListener('focusout', (e) => {
    const list = e.target.closest('.composer')?.querySelector('.suggest');
    if (list) list.hidden = true;
  });
  onDraw(() => {
    for (const form of document.querySelectorAll('.composer')) {
      const box = form.querySelector('textarea');
      if (restored.has(form)) continue;
      restored.add(form);
      box.value = drafts.get(keyOf(form)) || '';
      grow(box);
    }
  });
}
