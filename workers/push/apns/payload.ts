/** The body of an alert push, within Apple's limit. */

/** Apple refuses more (413 PayloadTooLarge). */
const PAYLOAD_MAX_BYTES = 4096;

export interface Alert {
  title: string;
  body: string;
  /** Custom keys beside `aps`. */
  data: object;
}

/** As JSON; a text that is too long is cut, never within a character. */
export function alertPayload({ title, body, data }: Alert): string {
  const encode = (text: string) =>
    JSON.stringify({
      aps: {
        alert: { title, body: text },
        sound: 'default',
        'interruption-level': 'time-sensitive',
      },
      ...data,
    });
  let json = encode(body);
  if (Buffer.byteLength(json) <= PAYLOAD_MAX_BYTES) return json;
  const characters = [...body];
  let [fits, tooLong] = [0, characters.length];
  while (tooLong - fits > 1) {
    const middle = (fits + tooLong) >> 1;
    json = encode(`${characters.slice(0, middle).join('')}…`);
    if (Buffer.byteLength(json) <= PAYLOAD_MAX_BYTES) fits = middle;
    else tooLong = middle;
  }
  return encode(`${characters.slice(0, fits).join('')}…`);
}
