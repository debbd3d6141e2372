/** Every address that the console opens goes through here: a proxy may serve it below a path of its own. */
import { base } from './page-facts.js';

/**
 * The address of a path of ours.
 * @param {string} path begins with a slash, e.g. `/ops/drivers`
 */
export const url = (path) => base + path;
