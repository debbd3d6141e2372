import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parsePgUrl } from '../../../engine/pg/address.ts';

const PACKAGE = new URL('../../../package.json', import.meta.url).pathname;
const base = {
  hosts: [{ host: 'db', port: 5432 }],
  database: 'muster',
  user: 'ann',
  password: 'pw',
  tls: false,
  tlsDirect: false,
  applicationName: 'muster',
  options: undefined,
  ignored: [],
};
const two = {
  hosts: [
    { host: 'a', port: 5432 },
    { host: 'b', port: 5433 },
  ],
};

describe('DATABASE_URL', () => {
  it.each<[string, object]>([
    ['postgres://ann:pw@db/muster', base],
    ['postgresql://ann:pw@db:5433/muster', { ...base, hosts: [{ host: 'db', port: 5433 }] }],
    ['postgres://ann:p%25%23%40%2F@db/muster', { ...base, password: 'p%#@/' }],
    ['postgres://ann:pw@db', { ...base, database: 'ann' }],
    ['postgres://ann:pw@a,b:5433/muster', { ...base, ...two }],
    ['postgres://ann:pw@/muster?host=a,b&port=5432,5433', { ...base, ...two }],
    [
      'postgres:///muster?host=/run/pg&user=ann&password=pw',
      { ...base, hosts: [{ host: '/run/pg', port: 5432 }] },
    ],
    ['postgres://ann:pw@[::1]/muster', { ...base, hosts: [{ host: '::1', port: 5432 }] }],
    ['postgres://ann:pw@db/muster?target_session_attrs=read-write', base],
    ['postgres://ann:pw@db/muster?sslmode=disable', base],
    ['postgres://ann:pw@db/muster?sslmode=prefer', { ...base, tls: 'prefer' }],
    [
      'postgres://ann:pw@db/muster?sslmode=require',
      { ...base, tls: { rejectUnauthorized: false } },
    ],
    ...['ssl=true', 'ssl=require', 'sslmode=no-verify'].map((words): [string, object] => [
      `postgres://ann:pw@db/muster?${words}`,
      { ...base, tls: { rejectUnauthorized: false } },
    ]),
    ['postgres://ann:pw@db/muster?ssl=false', base],
    ['postgres://ann:pw@db/muster?sslmode=verify-full', { ...base, tls: {} }],
    ['postgres://ann:pw@db/muster?sslrootcert=system', { ...base, tls: {} }],
    [
      `postgres://ann:pw@db/muster?sslmode=verify-full&sslrootcert=${PACKAGE}&sslcert=${PACKAGE}`,
      { ...base, tls: { ca: readFileSync(PACKAGE, 'utf8'), cert: readFileSync(PACKAGE, 'utf8') } },
    ],
    // As hosters hand them out.
    [
      'postgres://ann:pw@db/muster?sslmode=require&channel_binding=require',
      { ...base, tls: { rejectUnauthorized: false }, ignored: ['channel_binding'] },
    ],
    [
      'postgres://ann:pw@db/muster?schema=public&pgbouncer=true&connection_limit=1&keepalives=1',
      { ...base, ignored: ['pgbouncer', 'connection_limit', 'keepalives'] },
    ],
  ])('%s', (url, address) => {
    expect(parsePgUrl(url)).toEqual(address);
  });

  it.each([
    ['postgres://ann:se%cret@db/muster', 'has a % that begins no escape'],
    ['postgres://ann:se#cret@db/muster', 'is not a postgres://'],
    ['postgres://ann:secret@db:0/muster', 'has a host or port that is none'],
    ['postgres://ann:secret@db/muster?schema=other', 'has schema=other'],
    ['postgres://ann:secret@db/muster?sslmode=strict', 'has sslmode=strict'],
    ['postgres://ann:secret@db/muster?sslmode=verify-ca&sslrootcert=/nowhere', '(ENOENT)'],
    ['postgres://ann:secret@db/muster?target_session_attrs=standby', 'takes writes'],
  ])('refuses %s without saying the password', (url, why) => {
    expect(() => parsePgUrl(url)).toThrow(why);
    expect(() => parsePgUrl(url)).not.toThrow(/se[%#]?cret/);
  });
});
