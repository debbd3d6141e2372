/** What the server wrote into the page: where it is served, and who looks at it. */

/** @param {string} name */
function fact(name) {
  const element = document.querySelector(`meta[name="${name}"]`);
  return element instanceof HTMLMetaElement ? element.content : '';
}

/** The path under which a proxy serves everything; empty, or like `/dispatch`. */
export const base = fact('base');
/** Address of raster tiles with `{z}`, `{x}` and `{y}`; empty where none are configured. */
export const tiles = fact('tiles');

const role = fact('role');
export const session = Object.freeze({
  sub: fact('sub'),
  role,
  /** Only operators change something; the server refuses everybody else in any case. */
  mayAct: role === 'operator',
  /** When the cookie ends, epoch ms. */
  expiresAt: Date.parse(fact('expires')),
});
