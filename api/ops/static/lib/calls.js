/** The API's calls, made with the console's cookie. */
import { url } from './base.js';
import { createStore } from './store.js';

/** A call that takes longer counts as failed; the server itself gives up after 10 s. */
const CALL_MS = 15_000;

/**
 * @typedef {object} Body what the API says of a refusal
 * @property {string} [error]
 * @property {string} [code]
 * @property {{field: string, rule: string}[]} [details]
 * @property {number} [retry_after_ms]
 */

/** A call that was refused or not answered; `sentence` is for people. */
export class Refusal extends Error {
  /**
   * @param {number} status 0 when there was no answer
   * @param {Body} body
   */
  constructor(status, body) {
    super(body.error ?? `The server answered ${status}`);
    this.status = status;
    this.code = body.code ?? '';
    this.details = body.details ?? [];
    this.retryAfterMs = body.retry_after_ms ?? null;
  }

  get sentence() {
    const rules = this.details.map(({ field, rule }) => `${field} ${rule}`);
    return rules.length === 0 ? this.message : `${this.message}: ${rules.join('; ')}`;
  }
}

/** Why the cookie is no longer good, if it is not; the shell then says how to get in. */
export const expiry = createStore({ expired: false, why: '' });

/**
 * Reads something.
 * @param {string} path as the API's documents spell it, e.g. `/api/ops/jobs`
 * @param {Record<string, string | number | null | undefined>} [params] null and undefined are left out
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export function get(path, params = {}, signal) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== '') query.set(name, String(value));
  }
  const text = query.toString();
  return call('GET', path + (text && `?${text}`), undefined, signal);
}

/**
 * Changes something.
 * @param {'POST' | 'PUT' | 'DELETE'} method
 * @param {string} path as the API's documents spell it
 * @param {object} [body]
 * @returns {Promise<any>}
 */
export const act = (method, path, body) => call(method, path, body);

/**
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @param {AbortSignal} [signal]
 */
async function call(method, path, body, signal) {
  const tooLate = AbortSignal.timeout(CALL_MS);
  /** @type {Response} */
  let response;
  try {
    response = await fetch(url(`/ops${path}`), {
      method,
      signal: signal ? AbortSignal.any([signal, tooLate]) : tooLate,
      headers: { accept: 'application/json', ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal(0, {
      error: 'The server does not answer; whether it was done is not known',
      code: 'no_answer',
    });
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  if (response.status === 401 || answer.code === 'blocked') {
    expiry.set({ expired: true, why: answer.error ?? '' });
  }
  throw new Refusal(response.status, answer);
}
