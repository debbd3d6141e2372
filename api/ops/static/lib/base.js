/** Every URL that the console opens goes through here: a proxy may serve it under a path of its own. */
import { base } from './page-facts.js';

/**
 * The URL of one of our paths.
 * @param {string} path begins with a slash, e.g. `/ops/drivers`
 */
export const url = (path) => base + path;
