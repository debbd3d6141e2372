import { describe, expect, it } from 'vitest';
import { parseRedisUrl } from '../../../engine/redis/address.ts';

const single = {
  kind: 'single',
  nodes: [{ host: 'r', port: 6379 }],
  primaryName: '',
  username: undefined,
  password: undefined,
  db: 0,
  tls: false,
  family: 0,
};

describe('REDIS_URL', () => {
  it.each<[string, object]>([
    ['redis://r', single],
    ['redis://r/', single],
    ['redis://r:7000/3', { ...single, nodes: [{ host: 'r', port: 7000 }], db: 3 }],
    ['redis://r?db=3', { ...single, db: 3 }],
    ['redis://r?family=6', { ...single, family: 6 }],
    ['rediss://ann:p%25%23%40@r', { ...single, tls: true, username: 'ann', password: 'p%#@' }],
    ['redis://:pw@r', { ...single, password: 'pw' }],
    ['redis://[::1]:7000', { ...single, nodes: [{ host: '::1', port: 7000 }] }],
    [
      'redis://:pw@a,redis://:pw@b:7001',
      {
        ...single,
        kind: 'cluster',
        nodes: [
          { host: 'a', port: 6379 },
          { host: 'b', port: 7001 },
        ],
        password: 'pw',
      },
    ],
    [
      'rediss-sentinel://ann:pw@s1:1,s2/main?db=2',
      {
        kind: 'sentinel',
        nodes: [
          { host: 's1', port: 1 },
          { host: 's2', port: 26_379 },
        ],
        primaryName: 'main',
        username: 'ann',
        password: 'pw',
        db: 2,
        tls: true,
        family: 0,
      },
    ],
  ])('%s', (url, address) => {
    expect(parseRedisUrl(url)).toEqual(address);
  });

  it.each([
    'redis://',
    'redis://:secret@r:0',
    'redis://:secret@r:99999',
    'redis://:secret@r/1/2',
    'redis://:secret@r?tls=true',
    'redis://:se%cret@r',
    'redis://:secret@r/1,redis://:secret@s',
    'redis-sentinel://:secret@s/',
    'secret',
    'redis://:pw@r:6379,s:6379',
  ])('refuses %s without saying what is in it', (url) => {
    expect(() => parseRedisUrl(url)).toThrow(/^(is|has|names) /);
    expect(() => parseRedisUrl(url)).not.toThrow(/se%?cret/);
  });
});
