/** Frames from one client's socket: counted, checked for their kind, and passed to the commands. */
import type { WebSocket } from 'ws';
import { CLOSE } from '../../engine/domain/close-codes.ts';
import { isTooBig } from './client-frames.ts';
import type { Commands } from './commands.ts';
import type { Heartbeat } from './heartbeat.ts';
import type { Member } from './sessions.ts';

/** Most unanswered frames of one client; beyond it they come faster than we can answer. */
const INBOX_MAX = 600;

export interface InboxParts {
  commands: Commands;
  heartbeat: Heartbeat;
  /** By the monotonic clock, ms. */
  elapsed(): number;
}

/** Listens to a session's socket until it closes. */
export function receive(ws: WebSocket, member: Member, parts: InboxParts): void {
  const { commands, heartbeat, elapsed } = parts;
  const { session } = member;
  const { connection } = session;
  let unanswered = 0;
  const admits = () => !connection.closed && connection.admit(elapsed());

  // A broken frame (1002, 1007, 1009): ws closes by itself.
  ws.on('error', () => {});
  ws.on('pong', () => {
    if (admits()) heartbeat.heard(member);
  });
  ws.on('ping', (payload) => {
    if (admits()) connection.pong(payload);
  });
  ws.on('message', (data: Buffer, binary) => {
    if (!admits()) return;
    heartbeat.heard(member);
    if (isTooBig(data)) return connection.tooBig();
    if (binary) {
      connection.badFrame(undefined, 'invalid_request', 'Frames must be text', {});
      return;
    }
    if (++unanswered > INBOX_MAX) {
      connection.close(CLOSE.tooFast, 'rate_limited', 'Too many frames have no answer yet');
      return;
    }
    void commands.handle(session, data.toString()).then(() => {
      unanswered--;
    });
  });
}
