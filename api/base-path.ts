/**
 * Behind a proxy everything may be under a path of its own (`BASE_PATH`). The proxy may pass the path on
 * or strip it: addresses are understood with it and without.
 */

/** The path as the routes know it; `base` is empty, or like `/dispatch`. */
export function withoutBase(url: string, base: string): string {
  if (base === '' || !url.startsWith(base)) return url;
  const rest = url.slice(base.length);
  if (rest === '' || rest.startsWith('?')) return `/${rest}`;
  return rest.startsWith('/') ? rest : url;
}
