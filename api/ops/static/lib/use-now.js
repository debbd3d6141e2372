/** The server's time, once a second, to show how long ago something was. */
import { useEffect, useReducer } from './html.js';
import { serverNow } from './time.js';

const SECOND = 1000;

/** @type {Set<() => void>} */
const watchers = new Set();
setInterval(() => {
  for (const watcher of watchers) watcher();
}, SECOND);

/** Renders the component again each second; returns the server's time, epoch ms. */
export function useNow() {
  const [, renderAgain] = useReducer((/** @type {number} */ n) => n + 1, 0);
  useEffect(() => {
    const watcher = () => renderAgain(0);
    watchers.add(watcher);
    return () => watchers.delete(watcher);
  }, []);
  return serverNow();
}
