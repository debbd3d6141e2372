/**
 * The socket to `/ops/feed`: reopened after a loss, with growing pauses and full jitter, so that consoles
 * do not reconnect in step. It asks for the same view again.
 */

import { url } from './base.js';
import { expiry, get } from './calls.js';

/** The longest first pause; the limit doubles with each try. */
const WAIT_FIRST_MS = 1000;
const WAIT_MAX_MS = 30_000;
/** The server sends health every 2 s: a line that is silent for this long is dead. */
const SILENCE_MS = 10_000;
/** Pans and zooms change the view many times a second; the server needs only the last one. */
const VIEW_MS = 250;
/** Contract section 5: after these close codes a client must not reconnect by itself. */
const FOR_GOOD = 4500;
const TOKEN_EXPIRED = 4001;

/**
 * @typedef {object} Loss
 * @property {number | null} retryAt epoch ms; null: not by itself
 * @property {string} why what the server said of it; may be empty
 *
 * @typedef {object} Host
 * @property {(event: string, data: any) => void} onFrame
 * @property {(loss: Loss | null) => void} onLoss null: it is being opened again
 * @property {() => void} onExpired the cookie is no longer good
 */

/** @param {Host} host */
export function connect(host) {
  /** @type {WebSocket | null} */
  let socket = null;
  /** @type {readonly number[] | null} */
  let bbox = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let retry;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let silence;
  let viewIsDue = false;
  let failures = 0;
  let why = '';

  function open() {
    clearTimeout(retry);
    if (expiry.get().expired) return;
    why = '';
    host.onLoss(null);
    const own = new WebSocket(location.origin.replace(/^http/, 'ws') + url('/ops/feed'));
    socket = own;
    own.onmessage = ({ data }) => {
      listen(own);
      const frame = JSON.parse(data);
      if (frame.event === 'ops:snapshot') failures = 0;
      if (frame.event === 'hello') sendView();
      if (frame.event === 'error') why = frame.data.message;
      host.onFrame(frame.event, frame.data);
    };
    own.onclose = ({ code }) => {
      if (socket === own) lost(code);
    };
    listen(own);
  }

  /** A silent socket is given up: some losses never show. @param {WebSocket} own */
  function listen(own) {
    clearTimeout(silence);
    silence = setTimeout(() => {
      if (socket !== own) return;
      own.close();
      lost(0);
    }, SILENCE_MS);
  }

  /** @param {number} code */
  function lost(code) {
    clearTimeout(silence);
    socket = null;
    if (code === TOKEN_EXPIRED || code >= FOR_GOOD) {
      host.onLoss({ retryAt: null, why });
      if (code === TOKEN_EXPIRED) host.onExpired();
      return;
    }
    const wait = Math.random() * Math.min(WAIT_MAX_MS, WAIT_FIRST_MS * 2 ** failures);
    failures += 1;
    host.onLoss({ retryAt: Date.now() + wait, why });
    retry = setTimeout(open, wait);
    // Browsers do not say why an upgrade was refused; a call tells whether the cookie is still good.
    get('/api/ops/health').catch(() => {});
  }

  function sendView() {
    viewIsDue = false;
    if (!bbox || socket?.readyState !== WebSocket.OPEN) return;
    // The answer says from when on fixes are for this view.
    socket.send(JSON.stringify({ event: 'view', data: { bbox }, ref: 'view' }));
  }

  open();
  return {
    /** @param {readonly number[]} box */
    setView(box) {
      bbox = box;
      if (!viewIsDue) setTimeout(sendView, VIEW_MS);
      viewIsDue = true;
    },
    reconnectNow() {
      if (socket === null) open();
    },
  };
}
