/** A hundred thousand frames of every wrong kind; a tenth of them are sent by `npm test`. */
import { expect, it } from 'vitest';
import { attack } from '../../support/fuzz-attack.ts';
import { FuzzTarget } from '../../support/fuzz-target.ts';

const FRAMES = 100_000;

it(`${FRAMES} frames of every kind harm nobody else`, { timeout: 180_000 }, async () => {
  const target = await FuzzTarget.start();
  await attack(target, FRAMES);
  await expect(target.isUnharmed()).resolves.toBeUndefined();
});
