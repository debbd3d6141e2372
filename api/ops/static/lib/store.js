/** State outside of components, and the hook by which they follow a part of it. */
import { useLayoutEffect, useReducer, useRef } from './html.js';

/**
 * @template {object} State
 * @typedef {object} Store
 * @property {() => State} get
 * @property {(patch: Partial<State>) => void} set
 * @property {(listener: () => void) => () => void} subscribe returns how to end it
 */

/**
 * @template {object} State
 * @param {State} initial
 * @returns {Store<State>}
 */
export function createStore(initial) {
  let state = initial;
  /** @type {Set<() => void>} */
  const listeners = new Set();
  return {
    get: () => state,
    set(patch) {
      state = { ...state, ...patch };
      for (const listener of [...listeners]) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/**
 * Renders the component again when the selected part changes (by `Object.is`).
 * @template {object} State
 * @template Part
 * @param {Store<State>} store
 * @param {(state: State) => Part} select
 * @returns {Part}
 */
export function useStore(store, select) {
  const [, renderAgain] = useReducer((/** @type {number} */ n) => n + 1, 0);
  const part = select(store.get());
  const shown = useRef({ part, select });
  shown.current = { part, select };
  useLayoutEffect(() => {
    const look = () => {
      const { part, select } = shown.current;
      if (!Object.is(select(store.get()), part)) renderAgain(0);
    };
    // It may have changed since rendering.
    look();
    return store.subscribe(look);
  }, [store]);
  return part;
}
