/** The user of least privilege that docs/operations.md gives, and one who lacks something. */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Redis } from 'ioredis';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { requireSubscriptions } from '../../../engine/reach.ts';
import { connectRedis, whenReady } from '../../../engine/redis/client.ts';
import { ENGINE_COMMANDS, lackingPermissions } from '../../../engine/redis/permissions.ts';
import { scripts } from '../../../engine/redis/scripts.ts';
import { warnOfServer } from '../../../engine/redis/server-check.ts';
import type { RedisServer } from '../../../scripts/dev/redis.ts';
import { BULLMQ_COMMANDS } from '../../../workers/queue-commands.ts';
import { cleanups } from '../../support/engine.ts';
import { freshServer } from '../../support/servers.ts';

const LINE = /^ACL SETUSER muster .*$/m.exec(readFileSync('docs/operations.md', 'utf8'))?.[0] ?? '';
/** Of connections, not of what goes over them. */
const CONNECTION = [
  ...['auth', 'client|setname', 'cluster|slots', 'exec', 'hello', 'multi', 'select'],
];
const CHANNELS = ['spublish', 'ssubscribe', 'sunsubscribe'];

let server: RedisServer;
let admin: Redis;
beforeAll(async () => {
  server = await freshServer();
  admin = new Redis(server.url);
  cleanups.push(
    () => server.stop(),
    () => admin.disconnect(),
  );
});
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function as(line: string) {
  const [, , user = '', ...rules] = line.split(' ');
  await admin.call('ACL', 'DELUSER', user);
  await admin.call('ACL', 'SETUSER', user, ...rules.map((rule) => rule.replace(/^>.*/, '>pw')));
  const redis = connectRedis(server.url.replace('//', `//${user}:pw@`), () => {});
  closers.push(() => redis.disconnect());
  await whenReady(redis, 5000);
  return redis;
}

const commandsIn = (text: string) =>
  [...text.matchAll(/(?:rcall|redis\.p?call)\(\s*["'](\w+)["']/g)].map((m) =>
    (m[1] ?? '').toUpperCase(),
  );

describe('the commands that are tried', () => {
  it('are all that the scripts run', () => {
    const used = new Set(scripts.flatMap(({ source }) => commandsIn(source)));
    expect([...used].filter((command) => !ENGINE_COMMANDS.includes(command))).toEqual([]);
  });

  it("are all that BullMQ's scripts run", () => {
    const folder = new URL(
      'scripts/',
      `file://${createRequire(import.meta.url).resolve('bullmq')}`,
    );
    const texts = readdirSync(folder)
      .filter((file) => file.endsWith('.js'))
      .map((file) => readFileSync(new URL(file, folder), 'utf8'));
    const used = new Set(texts.flatMap(commandsIn));
    expect(used.size).toBeGreaterThan(20);
    expect([...used].filter((command) => !BULLMQ_COMMANDS.includes(command))).toEqual([]);
  });

  it('are what the line of docs/operations.md allows, no more and no less', () => {
    const allowed = LINE.split(' ').flatMap((word) =>
      word.startsWith('+') ? [word.slice(1)] : [],
    );
    const used = [...ENGINE_COMMANDS, ...BULLMQ_COMMANDS].map((command) => command.toLowerCase());
    expect(allowed).toEqual([...new Set([...used, ...CONNECTION, ...CHANNELS])].sort());
  });
});

describe('a user of Redis', () => {
  it('with the line of docs/operations.md lacks nothing', async () => {
    const redis = await as(LINE);
    expect(await lackingPermissions(redis, 'muster:{canary}:', ENGINE_COMMANDS)).toBeNull();
    expect(await lackingPermissions(redis, '{muster-push-critical}:', BULLMQ_COMMANDS)).toBeNull();
    expect(await admin.keys('*')).toEqual([]);
  });

  it.each([
    ['a command', LINE.replace('+zmscore ', ''), '+zmscore'],
    ['two commands', LINE.replace('+xadd ', '').replace('+geosearch ', ''), '+geosearch +xadd'],
    ['transactions', LINE.replace('+multi ', ''), '+multi'],
    ['their end', LINE.replace('+exec ', ''), '+exec'],
    ['scripts', LINE.replace('+script|load ', ''), '+script|load'],
    ['the keys', LINE.replace('~muster:*', '~other:*'), 'keys muster:{canary}:*'],
    [
      'the channels',
      LINE.replaceAll('muster:*', 'muster:x').replace('~muster:x', '~muster:*'),
      'channels muster:{canary}:probe:*',
    ],
  ])('who lacks %s is told so by name', async (_what, line, lacking) => {
    const redis = await as(line);
    expect(await lackingPermissions(redis, 'muster:{canary}:', ENGINE_COMMANDS)).toBe(lacking);
  });
});

it.each(['ssubscribe', 'sunsubscribe'])('a start without +%s says so', async (command) => {
  await as(LINE.replace(`+${command} `, ''));
  const url = server.url.replace('//', '//muster:pw@');
  await expect(requireSubscriptions(url, 'muster:{canary}:')).rejects.toThrow(
    `REDIS_URL: its user lacks +${command} in Redis`,
  );
});

it('listening to channels lacks nothing with the line of docs/operations.md', async () => {
  await as(LINE);
  await requireSubscriptions(server.url.replace('//', '//muster:pw@'), 'muster:{canary}:');
});

describe('a server', () => {
  it('that evicts, or whose clock is another, is warned of', async () => {
    const redis = await as(LINE);
    expect(await warnOfServer(redis)).toEqual([]);
    await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
    expect(await warnOfServer(redis, () => Date.now() + 5000)).toEqual([
      expect.stringMatching(/eviction policy allkeys-lru.*e\.g\. CONFIG SET/),
      expect.stringMatching(/clock of this host is 5\.\d s off/),
    ]);
    await admin.config('SET', 'maxmemory-policy', 'noeviction');
  });
});
