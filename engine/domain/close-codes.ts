/**
 * Why the server closes a feed, in one table (contract section 5): the gateway closes with these
 * codes, clients decide by them whether to come back, and `/asyncapi.json` lists them. 4000–4499
 * ask a client to reconnect, 4500–4999 not to.
 */
const TABLE = {
  tooBig: [1009, 'A frame over 4 KiB, or an `auth` frame over 16 KiB: reconnect'],
  deploy: [1012, 'Deploy: reconnect'],
  overload: [1013, 'Overload: reconnect later'],
  badFrame: [4000, 'Ten invalid frames in a row: reconnect'],
  tokenExpired: [4001, 'The token has expired: reconnect with a new one'],
  silent: [4003, 'No frame and no pong for two heartbeats: reconnect'],
  tooSlow: [4008, 'The client does not read fast enough: reconnect'],
  tooFast: [4029, 'More than 200 frames a second or 500 at once: reconnect later'],
  suspended: [4501, 'Suspended, blocked or revoked: do not reconnect'],
  replaced: [4509, 'Replaced by a newer connection of the same user: do not reconnect'],
} as const satisfies Record<string, readonly [code: number, meaning: string]>;

type CloseName = keyof typeof TABLE;

/** The codes by name. */
export const CLOSE = Object.fromEntries(
  Object.entries(TABLE).map(([name, [code]]) => [name, code]),
) as { readonly [N in CloseName]: (typeof TABLE)[N][0] };

/** What each code means, for the documents. */
export const CLOSE_MEANINGS: Readonly<Record<number, string>> = Object.fromEntries(
  Object.values(TABLE),
);

/** Does this code tell a client not to come back? */
export function isTerminalClose(code: number): boolean {
  return code >= 4500 && code <= 4999;
}
