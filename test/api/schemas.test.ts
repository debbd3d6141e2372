import { describe, expect, test } from 'vitest';
import {
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
    ['expires_at', { ...job, expires_at: '2026-12-31T23:59:60Z' }],
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
    [undefined, { lat: 1, lng: 2, heading: 361 }],
    [undefined, { lat: 1, lng: 2, heading: -1 }],
    [undefined, { lat: 1, lng: 2, speed: -1 }],
    [undefined, { lat: 1, lng: 2, accuracy_m: -1 }],
    [undefined, { lat: 1, lng: 2, recorded_at: 'yesterday' }],
    [undefined, { lat: Number.POSITIVE_INFINITY, lng: 2 }],
  ])('code %s for %j', (code, value) => {
    const [broken] = validate(LocationBody, value);
    expect(broken).toBeDefined();
    expect(broken?.code).toBe(code);
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
