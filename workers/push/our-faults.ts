/** Logs refusals that are our own fault, each once per process: every push would say the same. */
import type { Logger } from '../../engine/engine.ts';
import { reactionTo } from './apns/reactions.ts';

const NEVER_ACCEPTED = 'APNs never accepts what we sent';
const TOKEN_TOO_SOON = 'a connection to APNs changed its token too soon';
/** Apple knows a few dozen reasons. */
const TOLD_MAX = 100;

/** Logs an answer to a push of this kind, if it is our fault and was not logged before. */
export type TellOurFault = (status: number, reason: string, kind: string) => void;

export function createOurFaults(log: Logger): TellOurFault {
  const told = new Set<string>();
  return (status, reason, kind) => {
    const tokens = reason === 'TooManyProviderTokenUpdates';
    if (!tokens && reactionTo(status, reason).kind !== 'our_fault') return;
    if (told.has(reason)) return;
    if (told.size < TOLD_MAX) told.add(reason);
    log.error({ status, reason, kind }, tokens ? TOKEN_TOO_SOON : NEVER_ACCEPTED);
  };
}
