// Moves what differs from a freshly drawn part into the one on the page, in place, so that focus, selection, scroll positions and
// what is being typed stay where they are.
//
// A node with data-key is found again by it. What stands under data-own belongs to the script and is left alone. A control that
// somebody has typed into is "dirty" until the server has taken its value; until then its value is theirs.

const dirty = new WeakMap(); // control -> the value the server was last given

export function markDirty(el) { dirty.set(el, null); }
export function markSent(el, value) { if (dirty.has(el) && current(el) === value) dirty.delete(el); }
export function isDirty(el) { return dirty.has(el); }

function current(el) { return el.value; }

const ownAttributes = new Set(['aria-expanded', 'aria-activedescendant', 'data-broken']);

function attributes(from, to) {
  for (const { name, value } of [...to.attributes]) {
    if (ownAttributes.has(name) && from.hasAttribute(name)) continue;
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !ownAttributes.has(name) && !(name === 'open' && from.localName === 'details')) from.removeAttribute(name);
  }
}

function control(from, to) {
  if (dirty.has(from) || from.dataset.own !== undefined) return;
  if (from.localName === 'select' || from.localName === 'textarea' || from.localName === 'input') {
    if (from.type === 'checkbox' || from.type === 'radio') {
      if (from.checked !== to.checked) from.checked = to.checked;
    } else if (from.value !== to.value && document.activeElement !== from) {
      from.value = to.value;
    }
  }
}

const keyOf = (n) => (n.nodeType === 1 ? n.dataset.key || '' : '');

function matching(from, cursor, to, byKey, used) {
  const key = keyOf(to);
  if (key) return byKey.get(key);
  for (let n = cursor; n; n = n.nextSibling) {
    if (!used.has(n) && !keyOf(n) && n.nodeType === to.nodeType && n.nodeName === to.nodeName) return n;
    if (n.nodeType === 1 && to.nodeType === 1 && !keyOf(n) && n.nodeName === to.nodeName) break;
  }
  return undefined;
}

function children(from, to) {
  const byKey = new Map();
  for (const n of from.children) if (keyOf(n)) byKey.set(keyOf(n), n);
  const used = new Set();
  let cursor = from.firstChild;
  for (const t of [...to.childNodes]) {
    while (cursor && used.has(cursor)) cursor = cursor.nextSibling;
    const m = matching(from, cursor, t, byKey, used);
    if (m && !used.has(m) && m.nodeName === t.nodeName) {
      used.add(m);
      if (m === cursor) cursor = cursor.nextSibling;
      else from.insertBefore(m, cursor);
      morph(m, t);
    } else {
      const fresh = document.importNode(t, true);
      used.add(fresh);
      from.insertBefore(fresh, cursor);
    }
  }
  for (const n of [...from.childNodes]) if (!used.has(n)) n.remove();
}

export function morph(from, to) {
  if (from.nodeType !== 1) {
    if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
    return;
  }
  if (from.dataset.own !== undefined && to.dataset.own !== undefined) return;
  if (from.isEqualNode(to) && !from.querySelector('input,select,textarea')) return;
  attributes(from, to);
  if (from.localName === 'textarea') { control(from, to); return; }
  children(from, to);
  control(from, to);
}
