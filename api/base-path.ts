/**
 * Behind a proxy everything may lie under a path of its own (`BASE_PATH`). Whether the proxy passes the
 * path on or takes it away is its own business: addresses are understood with it and without.
 */

/** The address as the routes know it; `base` is empty, or like `/dispatch`. */
export function withoutBase(url: string, base: string): string {
  if (base === '' || !url.startsWith(base)) return url;
  const rest = url.slice(base.length);
  if (rest === '' || rest.startsWith('?')) return `/${rest}`;
  return rest.startsWith('/') ? rest : url;
}
