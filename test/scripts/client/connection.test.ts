import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createCustomerClient } from '../../../scripts/client/customer-client.ts';
import { createDriverClient } from '../../../scripts/client/driver-client.ts';
import { aJob, aToken, type GatewayOptions, say, startGateway } from './gateway.ts';

/** Waits, a busy machine included, for what must come. */
const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 20_000 });

async function connected(options: GatewayOptions = {}, getToken = () => aToken()) {
  const gateway = await startGateway(options);
  const client = createDriverClient({ url: gateway.url, getToken });
  onTestFinished(async () => {
    client.close();
    await gateway[Symbol.asyncDispose]();
  });
  await client.connect();
  return { gateway, client };
}

describe('a driver client', () => {
  test('holds the snapshot and follows the deltas', async () => {
    const { gateway, client } = await connected({ jobs: [aJob()] });
    expect([...client.jobs.keys()]).toEqual(['job-1']);
    say(gateway.sockets[0], 'job:new', aJob({ id: 'job-2' }));
    say(gateway.sockets[0], 'job:status', { job_id: 'job-1', status: 'accepted', version: 2 });
    await until(() => expect([...client.jobs.keys()]).toEqual(['job-2']));
  });

  test('comes back after a deploy and takes the new snapshot', async () => {
    const options = { jobs: [aJob()] };
    const { gateway, client } = await connected(options);
    const gone: string[] = [];
    client.events.on('gone', (job, reason) => gone.push(`${job.id} ${reason}`));
    options.jobs = [aJob({ id: 'job-2' })];
    gateway.sockets[0]?.close(1012);
    await until(() => expect([...client.jobs.keys()]).toEqual(['job-2']));
    expect(gone).toEqual(['job-1 snapshot']);
    expect(gateway.sockets.length).toBe(2);
  });

  test.each([4500, 4501, 4509, 4999])('is over after close code %i', async (code) => {
    const { gateway, client } = await connected();
    const ended = once(client.events, 'ended');
    gateway.sockets[0]?.close(code);
    expect(await ended).toEqual([{ reason: 'refused', code }]);
    expect(client.live).toBe(false);
  });

  test("renews its token by the server's clock, not by that of its phone", async () => {
    const token = aToken();
    const { now } = Date;
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() + 7_200_000);
    onTestFinished(() => clock.mockRestore());
    const getToken = vi.fn(() => token);
    const { gateway } = await connected({}, getToken);
    await sleep(1500);
    expect(getToken).toHaveBeenCalledTimes(1);
    expect(gateway.frames).toEqual([]);
  });

  test('leaves a server that fell silent', async () => {
    const { gateway } = await connected({ heartbeatS: 0.05 });
    await until(() => expect(gateway.sockets.length).toBeGreaterThan(1));
  });

  test('stays with a server that pings', async () => {
    const { gateway, client } = await connected({ heartbeatS: 0.5 });
    const pings = setInterval(() => gateway.sockets[0]?.ping(), 20);
    onTestFinished(() => clearInterval(pings));
    let pongs = 0;
    gateway.sockets[0]?.on('pong', () => {
      pongs += 1;
    });
    await until(() => expect(pongs).toBeGreaterThan(80));
    expect(client.live).toBe(true);
  });

  test('renews its token on the live connection', async () => {
    let asked = 0;
    const getToken = () => {
      asked += 1;
      return aToken(asked === 1 ? 2 : 3600);
    };
    const onFrame: GatewayOptions['onFrame'] = ({ event, ref = '' }, socket) => {
      if (event === 'auth') say(socket, 'ack', { ref, ok: true });
    };
    const { gateway, client } = await connected({ onFrame }, getToken);
    await until(() => expect(gateway.frames.map((frame) => frame.event)).toContain('auth'));
    expect(gateway.sockets.length).toBe(1);
    expect(client.live).toBe(true);
  });

  test('gives up when fresh tokens are refused', async () => {
    let asked = 0;
    await using gateway = await startGateway({ refuse: () => 401 });
    const getToken = () => {
      asked += 1;
      return aToken();
    };
    const client = createDriverClient({ url: gateway.url, getToken });
    await expect(client.connect()).rejects.toThrow('unauthorized');
    expect(asked).toBe(3);
  });

  test('sends the newest fix once the link is back', async () => {
    const { gateway, client } = await connected();
    const disconnected = once(client.events, 'disconnected');
    gateway.sockets[0]?.terminate();
    await disconnected;
    client.location({ lat: 1, lng: 1 });
    client.location({ lat: 2, lng: 2 });
    await until(() => expect(gateway.frames.map(({ data }) => data.lat)).toEqual([2]));
  });

  test('sends it again where its socket may have lost it', async () => {
    const { gateway, client } = await connected();
    client.location({ lat: 1, lng: 1 });
    await until(() => expect(gateway.frames).toHaveLength(1));
    gateway.sockets[0]?.terminate();
    await until(() => expect(gateway.frames.map(({ data }) => data.lat)).toEqual([1, 1]));
  });
});

describe('an accept', () => {
  const won = { success: true, job: aJob({ status: 'accepted', version: 2, driver_id: 'd1' }) };

  test('is asked again when the server says try_again', async () => {
    let asked = 0;
    const { client } = await connected({
      onFrame: ({ event, ref = '' }, socket) => {
        if (event !== 'accept') return;
        asked += 1;
        if (asked > 1) say(socket, 'ack', { ref, ok: true, data: won });
        else say(socket, 'ack', { ref, ok: false, code: 'try_again', data: { retry_after_ms: 5 } });
      },
    });
    const result = await client.accept('job-1');
    expect(result).toMatchObject({ ok: true, tries: 2, job: { driver_id: 'd1' } });
  });

  test('is asked again, for the same job, when the connection dies before the answer', async () => {
    const paths: string[] = [];
    const { gateway, client } = await connected({
      onFrame: ({ event }, socket) => event === 'accept' && socket.terminate(),
      onCall: (request, response) => {
        paths.push(request.url ?? '');
        response.setHeader('content-type', 'application/json').end(JSON.stringify(won));
      },
    });
    const result = await client.accept('job-1');
    expect(result).toMatchObject({ ok: true });
    expect(result.tries).toBeGreaterThan(1);
    expect(paths).toEqual(['/api/drivers/jobs/job-1/accept']);
    expect(gateway.frames[0]).toMatchObject({ event: 'accept', data: { job_id: 'job-1' } });
  });

  test('is asked again when a proxy answers in place of the server', async () => {
    const statuses = [502, 504, 200];
    const { client } = await connected({
      onCall: (_request, response) => {
        response.statusCode = statuses.shift() ?? 500;
        if (response.statusCode === 200) response.end(JSON.stringify(won));
        else response.setHeader('content-type', 'text/html').end('<h1>Bad Gateway</h1>');
      },
    });
    expect(await client.accept('job-1', 'http')).toMatchObject({ ok: true, tries: 3 });
  });

  test('that lost says why', async () => {
    const { client } = await connected({
      onFrame: ({ ref = '' }, socket) => {
        const data = { error: 'Job already accepted by another driver', code: 'already_accepted' };
        say(socket, 'ack', { ref, ok: false, code: 'already_accepted', data });
      },
    });
    expect(await client.accept('job-1')).toEqual({
      ok: false,
      undecided: false,
      code: 'already_accepted',
      message: 'Job already accepted by another driver',
      tries: 1,
    });
  });
});

describe('a customer client', () => {
  test('posts with one key however often it has to ask, and hears of his driver', async () => {
    const keys: unknown[] = [];
    await using gateway = await startGateway({
      onCall: (request, response) => {
        keys.push(request.headers['idempotency-key']);
        response.statusCode = keys.length === 1 ? 503 : 201;
        const refusal = { error: 'Try again', code: 'try_again', retry_after_ms: 1 };
        response.end(JSON.stringify(keys.length === 1 ? refusal : { job: aJob() }));
      },
    });
    const client = createCustomerClient({ url: gateway.url, getToken: () => aToken() });
    onTestFinished(() => client.close());
    await client.connect();
    const result = await client.post({ address: '1 Market Street', total_price: 100 });
    expect(result).toMatchObject({ ok: true, tries: 2 });
    expect(keys).toHaveLength(2);
    expect(keys[0]).toBe(keys[1]);
    const assigned = once(client.events, 'assigned');
    const driver = { id: 'd1', name: 'D', truck_type: null, avg_rating: null, total_jobs: 0 };
    say(gateway.sockets[0], 'job:driver-assigned', { job_id: 'job-1', driver });
    expect(await assigned).toEqual(['job-1', driver]);
  });

  test('can carry its token in the subprotocol, as browsers must', async () => {
    await using gateway = await startGateway();
    const token = aToken();
    const getToken = () => token;
    const client = createCustomerClient({ url: gateway.url, getToken, tokenIn: 'subprotocol' });
    onTestFinished(() => client.close());
    await client.connect();
    const { headers } = gateway.requests[0] ?? {};
    expect(headers?.['sec-websocket-protocol']).toBe(`muster.v1,bearer.${token}`);
    expect(headers?.authorization).toBeUndefined();
  });
});
