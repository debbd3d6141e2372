import { describe, expect, test } from 'vitest';
import {
  DeclineBody,
  DriverBody,
  expiryRules,
  LocationBody,
  PostJobBody,
  postRules,
  TokenBody,
  toFix,
  validate,
} from '../../api/schemas.ts';

const job = { address: '1 Market St', lat: 37.77, lng: -122.42, total_price: 149.5 };
const fields = (broken: { field: string }[]) => broken.map(({ field }) => field);

describe('a job', () => {
  test.each([
    ['with everything', { ...job, notes: 'ring twice', truck_type: 'flatbed', customer_id: 'c1' }],
    ['free', { ...job, total_price: 0 }],
    ['at the highest price', { ...job, total_price: 1_000_000 }],
    ['at a price that floats cannot hold exactly', { ...job, total_price: 1.1 + 2.2 - 0.0 }],
    ['at 0.07', { ...job, total_price: 0.07 }],
    ['with 200 characters outside of the basic plane', { ...job, address: '🚚'.repeat(200) }],
    ['with notes of some lines', { ...job, notes: 'ring twice\r\nthen wait\n' }],
    ['with empty notes', { ...job, notes: '' }],
    ['with joiners that spell or compose', { ...job, address: 'می\u200cخواهم 👩\u200d🚒 ❤️' }],
    ['in another script', { ...job, address: 'רחוב הרצל 1' }],
    ['at the end of the map', { ...job, lat: -85.05112878, lng: 180 }],
  ])('%s', (name, value) => {
    const broken = validate(PostJobBody, value);
    expect(fields(broken)).toEqual(name.includes('hold exactly') ? ['total_price'] : []);
  });

  test.each([
    ['address', { ...job, address: '' }],
    ['address', { ...job, address: 'x'.repeat(201) }],
    ['address', { ...job, address: 'a\u0000b' }],
    ['address', { ...job, address: 'a\nb' }],
    ['address', { ...job, address: 'a\u0085b' }],
    ['address', { ...job, address: '\ud800' }],
    ['address', { ...job, address: null }],
    ['address', { ...job, address: undefined }],
    ['address', { ...job, address: ['x'] }],
    ['address', { ...job, address: ' \u3000\u00a0' }],
    ['address', { ...job, address: '\u200b' }],
    ['address', { ...job, address: '\u2800' }],
    ['address', { ...job, address: '\u3164' }],
    ['address', { ...job, address: '1 Main St \u202e' }],
    ['address', { ...job, address: 'a\u2066b' }],
    ['address', { ...job, address: 'a\u200db' }],
    ['address', { ...job, address: 'a\ufeffb' }],
    ['address', { ...job, address: 'a\u00adb' }],
    ['address', { ...job, address: 'a\u2028b' }],
    ['truck_type', { ...job, truck_type: ' ' }],
    ['truck_type', { ...job, truck_type: 'a\u202db' }],
    ['notes', { ...job, notes: '\n \n' }],
    ['notes', { ...job, notes: 'a\u202eb' }],
    ['notes', { ...job, notes: 'a\u0000b' }],
    ['notes', { ...job, notes: 'x'.repeat(2001) }],
    ['truck_type', { ...job, truck_type: 'x'.repeat(41) }],
    ['total_price', { ...job, total_price: '12' }],
    ['total_price', { ...job, total_price: -0.01 }],
    ['total_price', { ...job, total_price: 1_000_000.01 }],
    ['total_price', { ...job, total_price: 1.005 }],
    ['total_price', { ...job, total_price: 1e300 }],
    ['total_price', { ...job, total_price: Number.POSITIVE_INFINITY }],
    ['total_price', { ...job, total_price: Number.NaN }],
    ['total_price', { ...job, total_price: true }],
    ['lat', { ...job, lat: 85.1 }],
    ['lng', { ...job, lng: -180.1 }],
    ['expires_at', { ...job, expires_at: 'soon' }],
    ['expires_at', { ...job, expires_at: 1_800_000_000 }],
    ['expires_at', { ...job, expires_at: '2027-02-30T00:00:00Z' }],
    ['expires_at', { ...job, expires_at: '2026-12-31T12:00:60Z' }],
    ['expires_at', { ...job, expires_at: '2026-12-31T23:59:60+01:00' }],
    ['expires_at', { ...job, expires_at: '2026-12-31T23:59:61Z' }],
    ['customer_id', { ...job, customer_id: 'a b' }],
    ['status', { ...job, status: 'accepted' }],
    ['__proto__', JSON.parse('{"__proto__":{},"address":"x","total_price":1}')],
    ['constructor', JSON.parse('{"constructor":{},"address":"x","total_price":1}')],
    ['body', []],
    ['body', null],
    ['body', 'text'],
  ])('%s is refused in %j', (field, value) => {
    const broken = validate(PostJobBody, value);
    expect(fields(broken)).toContain(field);
    for (const { rule } of broken) expect(rule).toMatch(/^(must|is) /);
  });

  test('the rules that concern two fields', () => {
    expect(fields(postRules({ ...job, customer_id: 'c' }, false))).toEqual(['customer_id']);
    expect(fields(postRules(job, true))).toEqual(['customer_id']);
    const { lng: _, ...latOnly } = job;
    expect(fields(postRules(latOnly, false))).toEqual(['lng']);
    const { lat: __, ...lngOnly } = job;
    expect(fields(postRules(lngOnly, false))).toEqual(['lat']);
  });

  test('expires between now and 30 days ahead', () => {
    const now = Date.parse('2026-06-01T00:00:00Z');
    const at = (expires_at: string) => expiryRules({ ...job, expires_at }, now).length;
    expect(at('2026-06-01T00:00:01Z')).toBe(0);
    expect(at('2026-07-01T02:00:00+02:00')).toBe(0);
    expect(at('2026-06-01T00:00:00Z')).toBe(1);
    expect(at('2026-07-01T00:00:01Z')).toBe(1);
    expect(expiryRules(job, now)).toEqual([]);
  });

  test.each([
    ['2026-12-31T23:59:60Z', '2027-01-01T00:00:00.000Z'],
    ['2027-01-01T01:59:60.25+02:00', '2027-01-01T00:00:00.250Z'],
  ])('a leap second counts as the second after it: %s', (text, moment) => {
    expect(validate(PostJobBody, { ...job, expires_at: text })).toEqual([]);
    const fix = { lat: 1, lng: 2, recorded_at: text };
    expect(validate(LocationBody, fix)).toEqual([]);
    expect(new Date(toFix(fix, Number.MAX_SAFE_INTEGER).at).toISOString()).toBe(moment);
  });

  test.each([
    ['a job', PostJobBody, { ...job, customer_id: null, truck_type: null, notes: null }],
    ['a job that lasts, anywhere', PostJobBody, { ...job, lat: null, lng: null, expires_at: null }],
    ['a decline', DeclineBody, { reason: null }],
    ['a phone', TokenBody, { token: 'ab'.repeat(32), environment: null }],
    [
      'a driver',
      DriverBody,
      { ...{ name: null, truck_type: null, approval_status: null }, is_operator: null },
    ],
  ])('null is a field left out: %s', (_what, schema, value) => {
    expect(validate(schema, value)).toEqual([]);
  });

  test('what is neither null nor valid is refused by the rule of its field', () => {
    const broken = validate(PostJobBody, { ...job, lat: '1', truck_type: '', notes: 7 });
    expect(fields(broken)).toEqual(['lat', 'truck_type', 'notes']);
    expect(broken.map(({ rule }) => rule)).toEqual([
      'must be number',
      'must not be blank, nor contain control, invisible or bidirectional characters',
      'must be string',
    ]);
    expect(fields(postRules({ ...job, lat: 1, lng: null }, false))).toEqual(['lng']);
    expect(postRules({ ...job, lat: null, lng: null, customer_id: null }, false)).toEqual([]);
  });

  test('a thousand unknown fields are refused, and a few of them named', () => {
    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`field${i}`, 1]));
    const broken = validate(PostJobBody, { ...job, ...many });
    expect(broken.length).toBeGreaterThan(0);
    expect(broken.length).toBeLessThan(20);
    expect(broken[0]).toEqual({ field: 'field0', rule: 'is not a known field' });
    const [long] = validate(TokenBody, { token: 'ab'.repeat(32), ['x'.repeat(10_000)]: 1 });
    expect(long?.field.length).toBeLessThan(100);
  });
});

describe('a location', () => {
  test.each([
    ['invalid_location', { lat: 86, lng: 0 }],
    ['invalid_location', { lat: 0, lng: 180.5 }],
    [undefined, { lat: 'a', lng: 0 }],
    [undefined, { lat: 1 }],
    [undefined, { lat: null, lng: 2 }],
    [undefined, { lat: 1, lng: 2, x: 1 }],
    [undefined, { lat: 1, lng: 2, heading: 'north' }],
    [undefined, { lat: 1, lng: 2, speed: '3' }],
    [undefined, { lat: 1, lng: 2, accuracy_m: [] }],
    [undefined, { lat: 1, lng: 2, recorded_at: 'yesterday' }],
    [undefined, { lat: Number.POSITIVE_INFINITY, lng: 2 }],
  ])('code %s for %j', (code, value) => {
    const [broken] = validate(LocationBody, value);
    expect(broken).toBeDefined();
    expect(broken?.code).toBe(code);
  });

  test.each([
    { heading: null, speed: null, accuracy_m: null, recorded_at: null },
    { heading: -1, speed: -1, accuracy_m: -1 },
    { heading: 361, speed: -0.5 },
  ])('counts when the phone does not know %j', (unknown) => {
    const body = { lat: 1, lng: 2, ...unknown };
    expect(validate(LocationBody, body)).toEqual([]);
    expect(toFix(body, 5)).toEqual({ lat: 1, lng: 2, at: 5, heading: null });
  });

  test('may lie on either side of the same meridian, and at the ends of the map', () => {
    for (const lng of [-180, 180]) {
      for (const lat of [-85.05112878, 85.05112878]) {
        expect(validate(LocationBody, { lat, lng })).toEqual([]);
      }
    }
  });

  test('becomes a fix that is never ahead of the server', () => {
    const now = Date.parse('2026-06-01T12:00:00Z');
    const at = (recorded_at: string) => toFix({ lat: 1, lng: 2, recorded_at }, now).at;
    expect(at('2026-06-01T11:59:00Z')).toBe(now - 60_000);
    expect(at('2026-06-01T12:59:00Z')).toBe(now);
    expect(toFix({ lat: 1, lng: 2 }, now)).toEqual({ lat: 1, lng: 2, at: now, heading: null });
    expect(toFix({ lat: 1, lng: 2, heading: 90 }, now).heading).toBe(90);
  });
});

test.each([
  [[], { name: 'Ann', truck_type: null }],
  [[], {}],
  [['name'], { name: 'x'.repeat(81) }],
  [['approval_status'], { approval_status: 'fine' }],
  [['is_operator'], { is_operator: 'yes' }],
  [['truck_type'], { truck_type: 'x'.repeat(41) }],
  [['truck_type'], { truck_type: '' }],
  [['name'], { name: '' }],
  [['name'], { name: '\u2003' }],
  [['name'], { name: 'Ann\u200f' }],
])('a driver breaks %j with %j', (broken, value) => {
  expect(fields(validate(DriverBody, value))).toEqual(broken);
});

test.each([
  [[], { token: 'ab'.repeat(32) }],
  [[], { token: 'AB'.repeat(8), environment: 'sandbox' }],
  [['token'], { token: '' }],
  [['token'], { token: 'zz'.repeat(16) }],
  [['token'], { token: 'a'.repeat(15) }],
  [['token'], { token: 'a'.repeat(201) }],
  [['token'], { token: 12 }],
  [['environment'], { token: 'ab'.repeat(32), environment: 'moon' }],
])('a device token breaks %j with %j', (broken, value) => {
  expect(fields(validate(TokenBody, value))).toEqual(broken);
});
