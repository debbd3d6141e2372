/**
 * The wave plan: the radius in which a job is offered, and for how long before the next, wider one.
 * A plan is data: the engine opens its first step, and maintenance opens the others when they are due.
 */
export interface WaveStep {
  /** Who is nearby in this wave. */
  radiusKm: number;
  /** How long until the next wave opens; undefined for the last one. */
  waitS: number | undefined;
}

/** More steps than this are a typing error, not a plan. */
const WAVE_STEPS_MAX = 10;
const WAVE_WAIT_S_MAX = 3600;

/**
 * Parses `DISPATCH_WAVES` (`5:20,15:20,30`: radius in km, then seconds before the next).
 * Without a text everyone within `radiusKm` is offered the job at once.
 * Throws an `Error` whose message continues the sentence "DISPATCH_WAVES …".
 */
export function parseWavePlan(
  text: string | undefined,
  radiusKm: number,
  radiusKmMax: number,
): readonly WaveStep[] {
  if (text === undefined) return [{ radiusKm, waitS: undefined }];
  const parts = text.split(',');
  if (parts.length > WAVE_STEPS_MAX) throw new Error(`has more than ${WAVE_STEPS_MAX} waves`);
  const steps = parts.map((part, i) => parseStep(part, i === parts.length - 1, radiusKmMax));
  for (let i = 1; i < steps.length; i++) {
    if ((steps[i]?.radiusKm ?? 0) <= (steps[i - 1]?.radiusKm ?? 0)) {
      throw new Error('has a wave that is not wider than the one before it');
    }
  }
  return steps;
}

function parseStep(part: string, last: boolean, radiusKmMax: number): WaveStep {
  const match = /^(\d+(?:\.\d+)?)(?::(\d+(?:\.\d+)?))?$/.exec(part.trim());
  if (!match) throw new Error(`has the part "${part}", expected radius or radius:seconds`);
  const radiusKm = Number(match[1]);
  const waitS = match[2] === undefined ? undefined : Number(match[2]);
  if (!(radiusKm > 0 && radiusKm <= radiusKmMax)) {
    throw new Error(`has the radius ${match[1]}, allowed is up to ${radiusKmMax} km`);
  }
  if (last && waitS !== undefined) throw new Error('has a wait after its last wave');
  if (!last && waitS === undefined) throw new Error(`has no wait after its wave "${part}"`);
  if (waitS !== undefined && (waitS <= 0 || waitS > WAVE_WAIT_S_MAX)) {
    throw new Error(`has the wait ${match[2]}, allowed is up to ${WAVE_WAIT_S_MAX} seconds`);
  }
  return { radiusKm, waitS };
}
