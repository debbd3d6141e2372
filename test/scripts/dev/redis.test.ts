import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, expect, inject, test } from 'vitest';
import { isAlive } from '../../../scripts/dev/process-table.ts';
import { type RedisServer, startRedis } from '../../../scripts/dev/redis.ts';
import { freshDatabase, freshRedis } from '../../support/servers.ts';

test('x', async () => {
  const r = await freshRedis();
  console.log(await freshDatabase(), r);
  await r.stop();
});
