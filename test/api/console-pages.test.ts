/** How the console is served: the page of every address, its files, its policy, its calls. */
import { get } from 'node:http';
import { cellToBoundary, latLngToCell } from 'h3-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Api, mint, postJob, refused, startApi } from './support.ts';

const TILES = 'https://tiles.example.com/{z}/{x}/{y}.png';

let api: Api;
beforeAll(async () => {
  api = await startApi({ OPS_TILES_URL: TILES });
});
afterAll(() => api[Symbol.asyncDispose]());

const cookieOf = async (role = 'operator') => ({
  cookie: `muster_ops=${await mint({ sub: 'op', role })}`,
});

describe('the page', () => {
  const addresses = [
    '',
    '/',
    '?job=j1&driver=d1',
    '/jobs/j1',
    '/drivers',
    '/drivers/d1',
    '/health',
  ];
  it.each(addresses)('is the same at /ops%s', async (address) => {
    const page = await api.anyone<string>('GET', `/ops${address}`, undefined, await cookieOf());
    expect(page).toMatchObject({ status: 200 });
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(page.headers.get('cache-control')).toBe('no-store');
    expect(page.body).toContain('<meta name="role" content="operator">');
    expect(page.body).toContain(`<meta name="tiles" content="${TILES}">`);
  });

  it('loads nothing from elsewhere but tiles, and runs nothing inline', async () => {
    const page = await api.anyone<string>('GET', '/ops', undefined, await cookieOf());
    expect(page.headers.get('content-security-policy')).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; " +
        "img-src 'self' data: https://tiles.example.com; connect-src 'self'; base-uri 'none'; " +
        "form-action 'self'; frame-ancestors 'none'",
    );
    expect(page.body).not.toMatch(/<style|style="|\son\w+=|<script(?![^>]*src=")/);
  });

  it('names only files that there are', async () => {
    const page = await api.anyone<string>('GET', '/ops', undefined, await cookieOf());
    const files = [...page.body.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, file = '']) => file);
    expect(files.length).toBeGreaterThan(5);
    for (const file of files) {
      expect((await api.anyone('GET', file)).status, file).toBe(200);
    }
  });

  it('tells who is not let in how to get in', async () => {
    const page = await api.anyone<string>('GET', '/ops/drivers/d1');
    expect(page).toMatchObject({ status: 401 });
    expect(page.body).toContain('/ops?token=');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
  });
});

describe('a file', () => {
  it('is sent again only when it has changed', async () => {
    const first = await api.anyone<string>('GET', '/ops/static/vendor/preact.js');
    expect(first).toMatchObject({ status: 200 });
    expect(first.headers.get('content-type')).toBe('text/javascript; charset=utf-8');
    expect(first.headers.get('cache-control')).toBe('no-cache');
    expect(first.headers.get('content-encoding')).toBe('gzip');
    const again = { 'if-none-match': first.headers.get('etag') ?? '' };
    expect(await api.anyone('GET', '/ops/static/vendor/preact.js', undefined, again)).toMatchObject(
      { status: 304 },
    );
    const plain = { 'accept-encoding': 'identity' };
    const unzipped = await api.anyone('GET', '/ops/static/vendor/preact.js', undefined, plain);
    expect(unzipped.headers.get('content-encoding')).toBeNull();
    expect(unzipped.body).toBe(first.body);
  });

  it.each([
    '../console.ts',
    '..%2fconsole.ts',
    '%2e%2e/console.ts',
    'lib/../../page.ts',
    'pages/..%5c..%5cpage.js',
    '/etc/passwd',
    '%00.js',
    'vendor/none.js',
    'lib',
    '',
  ])('does not lead out of its folder: %s', async (name) => {
    expect(await statusOf(`${api.url}/ops/static/`, name)).toBe(404);
  });
});

/** `fetch` would tidy the path up. */
function statusOf(url: string, rest: string): Promise<number | undefined> {
  const { hostname, port, pathname } = new URL(url);
  return new Promise((resolve, reject) => {
    get({ hostname, port, path: pathname + rest }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    }).once('error', reject);
  });
}

describe('a call under /ops/api', () => {
  it('is the same as under /api, for who has the cookie', async () => {
    const job = await postJob(api.as('customer', 'c1'));
    const cookie = await cookieOf();
    const listed = await api.anyone('GET', '/ops/api/ops/jobs?status=pending', undefined, cookie);
    expect(listed).toMatchObject({ status: 200, body: { jobs: [{ id: job.id }] } });
    const asked = await api.anyone('GET', '/ops/api/ops/jobs?status=x', undefined, cookie);
    expect(asked).toMatchObject(refused(422, 'invalid_request'));
    expect(await api.anyone('GET', '/ops/api/nothing', undefined, cookie)).toMatchObject(
      refused(404, 'not_found'),
    );
    expect(await api.anyone('GET', '/api/ops/jobs', undefined, cookie)).toMatchObject(
      refused(401, 'unauthorized'),
    );
    expect(await api.anyone('GET', '/ops/api/ops/jobs')).toMatchObject(
      refused(401, 'unauthorized'),
    );
  });

  it('changes something only when a page of this site asks', async () => {
    const cookie = await cookieOf();
    const { host } = new URL(api.url);
    const block = (headers: Record<string, string>) =>
      api.anyone('PUT', '/ops/api/ops/users/u1', { blocked: true }, { ...cookie, ...headers });
    for (const foreign of [
      { origin: 'https://evil.example' },
      { origin: `http://${host}.evil.example` },
      { origin: 'null' },
      { 'sec-fetch-site': 'same-site', origin: `http://${host}` },
      { 'sec-fetch-site': 'cross-site' },
    ] as Record<string, string>[]) {
      expect(await block(foreign)).toMatchObject(refused(403, 'forbidden'));
    }
    expect(await api.engine.users.isBlocked('u1')).toBe(false);
    expect((await block({ origin: `http://${host}` })).status).toBe(200);
    expect(await api.engine.users.isBlocked('u1')).toBe(true);
  });

  it('is for operators, and for viewers who only look', async () => {
    const [viewer, driver] = [await cookieOf('viewer'), await cookieOf('driver')];
    const own = { origin: api.url };
    expect(await api.anyone('GET', '/ops/api/ops/health', undefined, viewer)).toMatchObject({
      status: 200,
    });
    for (const cookie of [viewer, driver]) {
      const path = '/ops/api/ops/users/u2';
      expect(await api.anyone('PUT', path, { blocked: true }, { ...cookie, ...own })).toMatchObject(
        refused(403, 'forbidden'),
      );
    }
    expect(await api.anyone('GET', '/ops/api/drivers/me', undefined, driver)).toMatchObject(
      refused(403, 'forbidden'),
    );
  });
});

describe('the land under the map', () => {
  const tile = async (address: string, cookie = {}) =>
    api.anyone<{ rings: number[][] }>('GET', `/ops/map/land/${address}`, undefined, cookie);

  it('is a coast where there is one, and nothing in the middle of an ocean', async () => {
    const cookie = await cookieOf();
    const [world, california, ocean] = await Promise.all(
      ['0/0/0', '6/10/24', '6/5/32'].map((address) => tile(address, cookie)),
    );
    expect(world?.body.rings.length).toBeGreaterThan(100);
    expect(california?.body.rings.length).toBeGreaterThan(0);
    for (const ring of california?.body.rings ?? []) {
      for (const [i, value] of ring.entries()) {
        // The tile is from 123.75 to 118.125 degrees west and from 36.6 to 41 north, with its margin.
        const [low, high] = i % 2 === 0 ? [-123.9, -118] : [36.5, 41.1];
        expect(value).toBeGreaterThan(low as number);
        expect(value).toBeLessThan(high as number);
      }
    }
    expect(ocean?.body.rings).toEqual([]);
    expect(world?.headers.get('cache-control')).toBe('private, max-age=86400');
  });

  it.each(['1/0/0', '6/64/0', '6/0/64', '3/-1/0', '3/1.5/0', 'x/0/0', '0/0'])(
    'is not there at %s',
    async (address) => {
      expect((await tile(address, await cookieOf())).status).toBe(404);
    },
  );

  it('is for who was let in', async () => {
    expect((await tile('0/0/0')).status).toBe(401);
  });
});

describe('cells on the map', () => {
  const cells = async (query: string, cookie = {}) =>
    api.anyone<{ cells: Record<string, number[]> }>(
      'GET',
      `/ops/map/cells${query}`,
      undefined,
      cookie,
    );

  it('have the corners that H3 gives them; what is no cell is left out', async () => {
    const zone = latLngToCell(37.77, -122.41, 3);
    const { body } = await cells(`?ids=${zone},nothing`, await cookieOf());
    const corners = cellToBoundary(zone).flatMap(([lat, lng]) => [lng, lat]);
    expect(body.cells).toEqual({ [zone]: corners });
  });

  it('must be named, and not too many of them', async () => {
    const many = `?ids=${'832830fffffffff,'.repeat(101)}`;
    for (const query of ['', many]) {
      expect((await cells(query, await cookieOf())).status).toBe(422);
    }
  });

  it('are for who was let in', async () => {
    expect((await cells('?ids=832830fffffffff')).status).toBe(401);
  });
});
