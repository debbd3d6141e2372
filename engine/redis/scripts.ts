/**
 * The scripts, loaded and checked once. Their calls, typed, are in `job-scripts.ts`, `held-jobs.ts`,
 * `offer-script.ts`, `driver-scripts.ts` and `log-scripts.ts`: one function each, which names its arguments and reads its
 * answer. The scripts' headers document the codes; those functions turn each into a word.
 */
import { loadScript } from './script-loader.ts';

/** Every script, by the function that calls it. */
export const SCRIPTS = {
  appendLog: loadScript('append-log'),
  checkOffer: loadScript('check-offer'),
  claimJob: loadScript('claim-job'),
  findCandidates: loadScript('find-candidates'),
  forgetJob: loadScript('forget-job'),
  indexDriver: loadScript('index-driver'),
  listCandidates: loadScript('list-candidates'),
  leaveZone: loadScript('leave-zone'),
  markReady: loadScript('mark-ready'),
  moveDriver: loadScript('move-driver'),
  putDriver: loadScript('put-driver'),
  putJob: loadScript('put-job'),
  readJobs: loadScript('read-jobs'),
  refuseJob: loadScript('refuse-job'),
  track: loadScript('track'),
  unclaimJob: loadScript('unclaim-job'),
};

/** Every script's source by name, for the readiness check and tests. */
export const scripts = Object.values(SCRIPTS);
