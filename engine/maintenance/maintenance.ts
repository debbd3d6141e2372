/** Maintenance keeps a deployment true beside its traffic: the leader with all its duties. */
import type { EngineContext } from '../context.ts';
import { connectPg, type PgTarget } from '../pg/client.ts';
import { foldDuty } from './counters.ts';
import { driversDuty, driversSweepDuty } from './drivers.ts';
import type { Duty } from './duty.ts';
import { expireDuty, wavesDuty } from './expiries.ts';
import { type Leader, type LeaderTimes, startLeader } from './leader.ts';
import { leasesDuty } from './leases.ts';
import { pulseDuty } from './pulse.ts';
import { dispatchDuty, notificationDuty, wavePushDuty } from './pushes.ts';
import { retentionDuty } from './retention.ts';
import { sweepDuty } from './sweep.ts';
import { truthDuty } from './truth.ts';
import { unsettledDuty } from './unsettled.ts';

export interface Maintenance {
  /** Contends for the lease; the process that holds it does the duties. Close what is returned. */
  start(times?: LeaderTimes): Leader;
}

export function createMaintenance(ctx: EngineContext, database: PgTarget): Maintenance {
  return {
    start(times) {
      const own = connectPg(database, 1);
      const leader = startLeader({
        db: own.db,
        duties: dutiesOf(ctx),
        log: ctx.log,
        count: (duty, done) => ctx.metrics.reconciled(duty, done),
        ...(times && { times }),
      });
      return {
        ...leader,
        async close() {
          await leader.close();
          await own.close();
        },
      };
    },
  };
}

function dutiesOf(ctx: EngineContext): Duty[] {
  return [
    truthDuty(ctx),
    expireDuty(ctx),
    wavesDuty(ctx),
    unsettledDuty(ctx),
    dispatchDuty(ctx),
    wavePushDuty(ctx),
    notificationDuty(ctx),
    driversDuty(ctx),
    driversSweepDuty(ctx),
    leasesDuty(ctx),
    sweepDuty(ctx),
    foldDuty(ctx),
    retentionDuty(ctx),
    pulseDuty(ctx),
  ];
}
