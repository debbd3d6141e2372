/**
 * The current place in the console. All of it is in the URL: the page in the path, selection, filters and
 * view in the query, so that a link or a reload shows the same again.
 */
import { url } from './base.js';
import { html } from './html.js';
import { createStore, useStore } from './store.js';

const ROOT = url('/ops');

/**
 * @typedef {object} Route
 * @property {string} path below `/ops`: `/`, `/jobs/ID`, `/drivers` …
 * @property {URLSearchParams} params
 */

/** @returns {Route} */
function readRoute() {
  const path = location.pathname.slice(ROOT.length).replace(/\/+$/, '') || '/';
  return { path, params: new URLSearchParams(location.search) };
}

const route = createStore(readRoute());
addEventListener('popstate', () => route.set(readRoute()));

/** @typedef {Record<string, string | number | null | undefined>} Params null and undefined leave one out */

/** The route as it is now, and again whenever it changes. */
export const useRoute = () => useStore(route, (now) => now);

/** The route as it is now, for handlers. */
export const currentRoute = () => route.get();

/**
 * The URL of a page of the console.
 * @param {string} path below `/ops`
 * @param {Params} [params]
 */
export function hrefOf(path, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== '') query.set(name, String(value));
  }
  const text = query.toString();
  return (path === '/' ? ROOT : ROOT + path) + (text && `?${text}`);
}

/**
 * Opens a page; Back returns to the last one.
 * @param {string} path below `/ops`
 * @param {Params} [params]
 */
export function go(path, params) {
  history.pushState(null, '', hrefOf(path, params));
  route.set(readRoute());
}

/**
 * Changes some params of the open page. Adds no step for Back unless asked to.
 * @param {Params} changes
 * @param {{push?: boolean}} [options]
 */
export function setParams(changes, { push = false } = {}) {
  const { path, params } = readRoute();
  const href = hrefOf(path, { ...Object.fromEntries(params), ...changes });
  if (href === location.pathname + location.search) return;
  if (push) history.pushState(null, '', href);
  else history.replaceState(null, '', href);
  route.set(readRoute());
}

/**
 * A link to a page of the console, opened without a reload. Other properties go to the anchor
 * element.
 * @param {{to: string, params?: Params, children?: unknown} & Record<string, unknown>} props
 */
export function Link({ to, params, children, ...rest }) {
  /** @param {MouseEvent} event */
  const open = (event) => {
    const isPlain = !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
    if (event.button !== 0 || !isPlain || event.defaultPrevented) return;
    event.preventDefault();
    go(to, params);
  };
  return html`<a ...${rest} href=${hrefOf(to, params)} onClick=${open}>${children}</a>`;
}
