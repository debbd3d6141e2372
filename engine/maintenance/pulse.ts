/** Notes how the deployment is doing, for the charts of the console's health page. */
import type { EngineContext } from '../context.ts';
import { STEP_S } from '../ops/charts.ts';
import { notePulse } from '../ops/pulse.ts';
import type { Duty } from './duty.ts';

export function pulseDuty(ctx: EngineContext): Duty {
  return {
    name: 'noted',
    everyMs: STEP_S * 1000,
    repairs: false,
    async run() {
      await notePulse(ctx);
      return 0;
    },
  };
}
