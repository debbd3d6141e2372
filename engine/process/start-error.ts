/** Why a process cannot start, where waiting would not help. */

/** The message is one line for the person who starts the process. */
export class StartError extends Error {
  override name = 'StartError';
}
