/** What PgBouncer says while its server restarts: it has one SQLSTATE for everything. */
import { describe, expect, it } from 'vitest';
import { reachPg } from '../../../engine/reach.ts';
import { startDoorman } from '../../support/doorman.ts';
import { silentLog } from '../../support/engine.ts';
import { freshDatabase } from '../../support/servers.ts';

/** Refuses logins with PgBouncer's words as long as there are some, then leads to the server. */
function refusing(target: string, words: string[]): Promise<string> {
  return startDoorman(target, (client) => {
    const said = words.shift();
    if (said === undefined) return true;
    client.once('data', () => client.end(errorResponse('08P01', said)));
    return false;
  });
}

function errorResponse(code: string, message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0C${code}\0M${message}\0\0`);
  const head = Buffer.from('E\0\0\0\0');
  head.writeUInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}

describe('a start behind a pooler', () => {
  it('waits while the server behind it restarts', async () => {
    const url = await refusing(await freshDatabase(), [
      'the database system is starting up',
      'server login has been failing, try again later (server_login_retry)',
      'no more connections allowed (max_client_conn)',
    ]);
    await expect(reachPg(url, silentLog)).resolves.toMatchObject({ url });
  });

  it.each([
    'unsupported startup parameter: search_path',
    'no such database: x',
    'SASL authentication failed',
  ])('ends at once for what waiting does not mend: %s', async (words) => {
    const url = await refusing(await freshDatabase(), Array(100).fill(words));
    await expect(reachPg(url, silentLog)).rejects.toThrow(`DATABASE_URL cannot be used: ${words}`);
  });
});
