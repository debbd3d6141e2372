/** Reads from the API for a page: at once, again when asked to, with answer and error. */
import { get } from './calls.js';
import { useCallback, useEffect, useRef, useState } from './html.js';
import { serverNow } from './time.js';

/**
 * @typedef {object} Reading
 * @property {any} answer null before the first one
 * @property {unknown} refusal of the last try
 * @property {number | null} at when the answer came, epoch ms
 * @property {boolean} isLoading
 */

/** @type {Reading} */
const NOTHING = { answer: null, refusal: null, at: null, isLoading: true };

/**
 * Reads something, and again when path or params change: then it is about another thing, and the old
 * answer is dropped. Repeating the same call keeps the old answer on the page.
 * @param {string | null} path null: nothing is asked
 * @param {Record<string, string | number | null | undefined>} [params]
 * @param {{everyMs?: number | null}} [options] asks again and again while somebody looks
 * @returns {Reading & {reload: () => void}}
 */
export function useCall(path, params = {}, { everyMs = null } = {}) {
  const key = JSON.stringify([path, params]);
  const [reading, setReading] = useState({ key, ...NOTHING });
  const asked = useRef({ key, path, params });
  asked.current = { key, path, params };
  const running = useRef(/** @type {AbortController | null} */ (null));
  const reload = useCallback(async () => {
    running.current?.abort();
    const { key, path, params } = asked.current;
    if (path === null) return;
    const own = new AbortController();
    running.current = own;
    const so = (/** @type {Partial<Reading>} */ part) => {
      if (own.signal.aborted) return;
      setReading((was) => ({ ...(was.key === key ? was : NOTHING), key, ...part }));
    };
    so({ isLoading: true });
    try {
      const answer = await get(path, params, own.signal);
      so({ answer, refusal: null, at: serverNow(), isLoading: false });
    } catch (refusal) {
      so({ refusal, isLoading: false });
    }
  }, []);
  useEffect(() => {
    void reload();
    return () => running.current?.abort();
  }, [key]);
  // Wait for a slow answer, or there would never be one.
  usePoll(everyMs, () => !reading.isLoading && reload());
  return { ...(reading.key === key ? reading : NOTHING), reload };
}

/**
 * Does something again and again while somebody looks.
 * @param {number | null} everyMs null: not now
 * @param {() => unknown} work
 */
export function usePoll(everyMs, work) {
  const latest = useRef(work);
  latest.current = work;
  useEffect(() => {
    if (everyMs === null) return;
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') latest.current();
    }, everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
}
