/** `POST /api/push/test` against the simulator. */
import { expect, it, vi } from 'vitest';
import { deviceTokensOf, saveDeviceToken } from '../../../engine/pg/device-tokens.ts';
import { createPushTest } from '../../../workers/push/push-test.ts';
import { silentLog } from '../../support/engine.ts';
import { apnsConfig, startTestPush } from '../../support/push.ts';

it('a test push says what became of each phone and forgets one that is gone', async () => {
  const t = await startTestPush();
  const { db } = t.ctx;
  const [here, gone] = ['aa'.repeat(16), 'bb'.repeat(16)];
  for (const token of [here, gone]) {
    await saveDeviceToken(db, { token, userId: 'ann', app: 'customer', environment: 'sandbox' });
  }
  const unregistered = { status: 410, reason: 'Unregistered', timestamp: Date.now() + 60_000 };
  t.simulator.faults.setAnswer(gone, unregistered);
  const pushTest = createPushTest({
    devices: t.engine.devices,
    apns: apnsConfig(t.simulator),
    log: silentLog,
  });
  expect(await pushTest('ann', 'customer')).toEqual([
    { token_suffix: here.slice(-8), status: 200 },
    { token_suffix: gone.slice(-8), status: 410, reason: 'Unregistered' },
  ]);
  const left = await deviceTokensOf(db, 'customer', ['ann']);
  expect(left.map(({ token }) => token)).toEqual([here]);
});

it('a phone that never was one is forgotten, however far behind the clock of this host is', async () => {
  const t = await startTestPush();
  const token = 'cc'.repeat(16);
  const phone = { token, userId: 'ben', app: 'customer', environment: 'sandbox' } as const;
  await saveDeviceToken(t.ctx.db, phone);
  t.simulator.faults.setAnswer(token, { status: 400, reason: 'BadDeviceToken' });
  const apns = apnsConfig(t.simulator);
  const pushTest = createPushTest({ devices: t.engine.devices, apns, log: silentLog });
  const { now } = Date;
  vi.spyOn(Date, 'now').mockImplementation(() => now() - 300_000);
  try {
    expect(await pushTest('ben', 'customer')).toMatchObject([{ reason: 'BadDeviceToken' }]);
  } finally {
    vi.restoreAllMocks();
  }
  expect(await deviceTokensOf(t.ctx.db, 'customer', ['ben'])).toEqual([]);
});
