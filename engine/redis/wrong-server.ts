/**
 * Judges by its answers whether a connection leads to the wrong server: one that was demoted, or has been
 * loading or without its primary for longer than a moment. Then the caller is told and the connection is
 * made anew, since it may lead elsewhere now.
 */

/** A restart of a small server, and the moment of a failover, are over by then. */
const PATIENCE_MS = 1000;
/** After this long without such an answer, the next one starts the count anew. */
const FORGOTTEN_MS = 2000;

/** Decides for one connection, answer by answer. True: leave this server. */
export function createWrongServerRule(
  now: () => number = () => performance.now(),
): (error: Error) => boolean {
  let since = Number.NEGATIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  return ({ message }) => {
    // `UNBLOCKED`: the answer to a blocking command when its server is demoted.
    if (/^(READONLY|UNBLOCKED)\b/.test(message)) return true;
    if (!/^(LOADING|MASTERDOWN)\b/.test(message)) return false;
    const at = now();
    if (at - last > FORGOTTEN_MS) since = at;
    last = at;
    if (at - since < PATIENCE_MS) return false;
    since = at;
    return true;
  };
}

/** What Redis or TLS says of a wrong URL, user or certificate: waiting does not help. */
const PERMANENT_ANSWER =
  /^(WRONGPASS|NOAUTH|NOPERM|ERR DB index is out of range|ERR invalid password)/;
const PERMANENT_CODE = /^(ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/;

/** Would the connection be refused again until the configuration changes? */
export function isPermanent(error: Error & { code?: string }): boolean {
  return PERMANENT_ANSWER.test(error.message) || PERMANENT_CODE.test(error.code ?? '');
}
