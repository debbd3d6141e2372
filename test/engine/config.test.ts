import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ConfigError, readConfig, readDatabaseUrl } from '../../engine/process/config.ts';

const pemOf = (namedCurve: string, type: 'pkcs8' | 'sec1' = 'pkcs8') =>
  generateKeyPairSync('ec', { namedCurve }).privateKey.export({ format: 'pem', type }).toString();
const PEM = pemOf('P-256');
const BROKEN = PEM.replace('MIG', 'AAA');
const APNS = { APNS_KEY: PEM, APNS_KEY_ID: 'ABC123DEFG', APNS_TEAM_ID: 'DEF123GHIJ' };
const base = {
  DATABASE_URL: 'postgres://127.0.0.1/muster',
  REDIS_URL: 'redis://127.0.0.1:6380',
  AUTH_JWT_SECRET: 's'.repeat(32),
};

describe('readConfig', () => {
  it('has the defaults of the contract', () => {
    const config = readConfig(base);
    expect(config).toMatchObject({ host: '127.0.0.1', port: 8080, logLevel: 'info' });
    expect(config.workerPort).toBeUndefined();
    expect(config.apns).toMatchObject({
      credentials: undefined,
      defaultEnvironment: 'sandbox',
      driverTopic: 'app.muster.driver',
      customerTopic: 'app.muster.customer',
    });
    expect(config.dispatch).toEqual({
      radiusKm: 30,
      waves: [{ radiusKm: 30, waitS: undefined }],
      pushMaxCandidates: 500,
      driverStaleMs: 120_000,
      driverMaxActiveJobs: 0,
      jobDefaultTtlS: 0,
      claimLeaseMs: 5000,
      customerMaxOpenJobs: 100,
      retentionDays: 90,
      positionHistoryS: 60,
    });
    expect(config).toMatchObject({ databasePoolSize: 20, redisUrl: base.REDIS_URL });
    expect(config).toMatchObject({ trustedProxies: [], basePath: '', opsTilesUrl: undefined });
    expect(config.shutdownDelayMs).toBe(0);
  });

  it.each<[string, Record<string, string | undefined>, string]>([
    ['no database', { DATABASE_URL: undefined }, 'DATABASE_URL is not set'],
    ['no redis', { REDIS_URL: '' }, 'REDIS_URL is not set'],
    [
      'production without a secret',
      { NODE_ENV: 'production', AUTH_JWT_SECRET: undefined },
      'AUTH_JWT_SECRET is not set',
    ],
    ['a short secret', { AUTH_JWT_SECRET: 'é'.repeat(15) }, 'AUTH_JWT_SECRET is 30 bytes'],
    ['a wrong database', { DATABASE_URL: 'mysql://x' }, 'DATABASE_URL is not a postgres://'],
    ['a wrong redis', { REDIS_URL: 'http://x' }, 'REDIS_URL is not a redis://'],
    ['a wrong node of a cluster', { REDIS_URL: 'redis://a:1,http://b' }, 'REDIS_URL is not'],
    ['a # in a password', { REDIS_URL: 'redis://:a#b@h:1' }, 'REDIS_URL is not a redis://'],
    ['a % in a password', { REDIS_URL: 'redis://:a%b@h:1' }, 'REDIS_URL has a % that begins no'],
    ['a named database', { REDIS_URL: 'redis://h:1/main' }, 'REDIS_URL has a database that is no'],
    ['a Cluster with a database', { REDIS_URL: 'redis://h:1/2,redis://i:1/2' }, 'only db 0'],
    ['half of TLS', { REDIS_URL: 'rediss://h:1,redis://i:1' }, 'REDIS_URL has nodes with TLS and'],
    ['Sentinels of nobody', { REDIS_URL: 'redis-sentinel://h:1,i:2' }, 'names no primary'],
    ['a port that is none', { PORT: '99999' }, 'PORT is "99999"'],
    ['half a port', { PORT: '80.5' }, 'PORT is "80.5", expected a whole number'],
    ['a word for a number', { DRIVER_STALE_S: 'soon' }, 'DRIVER_STALE_S is "soon"'],
    ['too wide a radius', { DISPATCH_RADIUS_KM: '51' }, 'DISPATCH_RADIUS_KM is "51"'],
    ['a broken wave plan', { DISPATCH_WAVES: '5:20' }, 'DISPATCH_WAVES has a wait'],
    ['an unknown level', { LOG_LEVEL: 'loud' }, 'LOG_LEVEL is "loud"'],
    ['a mode that is none', { NODE_ENV: 'prod' }, 'NODE_ENV is "prod"'],
    ['half of the APNs key', { APNS_KEY_ID: 'ABC' }, 'APNS_KEY_FILE or APNS_KEY, APNS_TEAM_ID'],
    ['a key file that is not there', { APNS_KEY_FILE: '/nowhere.p8' }, 'cannot be read (ENOENT)'],
    ['a key that is none', { APNS_KEY: 'x' }, 'APNS_KEY holds no PEM'],
    ['a key that is broken', { APNS_KEY: BROKEN }, 'APNS_KEY holds no PEM private key'],
    ['a key of another curve', { APNS_KEY: pemOf('P-384') }, 'APNS_KEY holds no PEM private key'],
    ['a key of another format', { APNS_KEY: pemOf('P-256', 'sec1') }, 'APNS_KEY holds no PEM'],
    ['a CA that is none', { APNS_CA_FILE: 'README.md' }, 'APNS_CA_FILE names README.md, which'],
    ['a Redis CA that is none', { REDIS_CA_FILE: 'README.md' }, 'REDIS_CA_FILE names README.md'],
    ['a pool of none', { DATABASE_POOL_SIZE: '0' }, 'DATABASE_POOL_SIZE is "0"'],
    ['nothing kept', { RETENTION_DAYS: '0' }, 'RETENTION_DAYS is "0"'],
    ['a limit below none', { CUSTOMER_MAX_OPEN_JOBS: '-1' }, 'CUSTOMER_MAX_OPEN_JOBS is "-1"'],
    ['a word for seconds', { POSITION_HISTORY_S: 'off' }, 'POSITION_HISTORY_S is "off"'],
    ['a delay without end', { SHUTDOWN_DELAY_S: '1e9' }, 'SHUTDOWN_DELAY_S is "1e9"'],
    ['a proxy by name', { TRUSTED_PROXIES: '10.0.0.1, lb' }, 'TRUSTED_PROXIES has "lb"'],
    ['too long a prefix', { TRUSTED_PROXIES: '10.0.0.0/33' }, 'TRUSTED_PROXIES has "10.0.0.0/33"'],
    ['half a subnet', { TRUSTED_PROXIES: '10.0.0.0/' }, 'TRUSTED_PROXIES has "10.0.0.0/"'],
    ['a path without a slash', { BASE_PATH: 'dispatch' }, 'BASE_PATH is "dispatch"'],
    ['a path that climbs', { BASE_PATH: '/a/../b' }, 'BASE_PATH is "/a/../b"'],
    ['tiles without a place', { OPS_TILES_URL: 'https://t/{z}/{x}.png' }, 'OPS_TILES_URL is not'],
    ['a JWKS that is no URL', { AUTH_JWKS_URL: 'x' }, 'AUTH_JWKS_URL is not a https://'],
    [
      'a JWKS with a password',
      { AUTH_JWKS_URL: 'https://u:p@id/jwks' },
      'AUTH_JWKS_URL has a user',
    ],
    [
      'an issuer in quotes',
      { AUTH_ISSUER: '"https://id.example.com"' },
      'AUTH_ISSUER has a blank,',
    ],
    ['an audience with a blank', { AUTH_AUDIENCE: 'muster ' }, 'AUTH_AUDIENCE has a blank,'],
    ['a key id of a file', { ...APNS, APNS_KEY_ID: 'ABC123DEFG\n' }, 'APNS_KEY_ID has a blank,'],
    ['a topic of two lines', { APNS_DRIVER_TOPIC: 'a\nb' }, 'APNS_DRIVER_TOPIC has a blank,'],
    [
      'a path at APNs',
      { APNS_URL: 'https://gateway.example.com/apns' },
      'APNS_URL has a path or a',
    ],
    ['a host of a file', { HOST: '0.0.0.0\n' }, 'HOST has a blank,'],
    ['production without APNs', { NODE_ENV: 'production' }, 'APNS_KEY_FILE or APNS_KEY, APNS_KEY'],
  ])('stops at %s with one line that names it and gives an example', (_what, change, message) => {
    const read = () => readConfig({ ...base, ...change });
    expect(read).toThrow(ConfigError);
    expect(read).toThrow(message);
    expect(read).toThrow(/e\.g\. /);
    expect(read).not.toThrow(/\n/);
  });

  it.each([PEM, PEM.replaceAll('\n', '\\n'), PEM.replace(/-----[A-Z ]+-----|\n/g, '')])(
    'does not repeat a key that is given where its file belongs',
    (key) => {
      const read = () => readConfig({ ...base, ...APNS, APNS_KEY: undefined, APNS_KEY_FILE: key });
      expect(read).toThrow(/^APNS_KEY_FILE holds a text where the name of a file belongs, e\.g\. /);
      expect(read).not.toThrow(key.slice(40, 60));
    },
  );

  it('reads a key whose line breaks were escaped', () => {
    const escaped = PEM.replaceAll('\n', '\\n');
    const apns = { APNS_KEY: escaped, APNS_KEY_ID: 'ABC123DEFG', APNS_TEAM_ID: 'DEF123GHIJ' };
    const { credentials } = readConfig({ ...base, ...apns }).apns;
    expect(credentials?.key).toBe(PEM);
  });

  it('reads what stands before the processes', () => {
    const behind = {
      TRUSTED_PROXIES: '127.0.0.1, 10.0.0.0/8,fd00::/8',
      BASE_PATH: '/dispatch/eu/',
      OPS_TILES_URL: 'https://tiles.example.com/{z}/{x}/{y}.png',
    };
    expect(readConfig({ ...base, ...behind })).toMatchObject({
      trustedProxies: ['127.0.0.1', '10.0.0.0/8', 'fd00::/8'],
      basePath: '/dispatch/eu',
      opsTilesUrl: 'https://tiles.example.com/{z}/{x}/{y}.png',
    });
    expect(readConfig({ ...base, BASE_PATH: '/' }).basePath).toBe('');
  });

  it('a process that is told to stop goes on serving for 5 s in production', () => {
    const apns = { APNS_KEY: PEM, APNS_KEY_ID: 'ABC123DEFG', APNS_TEAM_ID: 'DEF123GHIJ' };
    const production = { ...base, ...apns, NODE_ENV: 'production' };
    expect(readConfig(production).shutdownDelayMs).toBe(5000);
    expect(readConfig({ ...production, SHUTDOWN_DELAY_S: '0.5' }).shutdownDelayMs).toBe(500);
  });

  it.each([
    ['DRIVER_STALE', 'did you mean DRIVER_STALE_S? e.g. DRIVER_STALE_S=120'],
    ['driver_stale_s', 'did you mean DRIVER_STALE_S?'],
    ['RETENTION_DAY', 'did you mean RETENTION_DAYS?'],
    ['DATABASE_POOLSIZE', 'did you mean DATABASE_POOL_SIZE?'],
    ['TRUSTED_PROXY', 'did you mean TRUSTED_PROXIES?'],
    ['AUTH_JWKS', 'did you mean AUTH_JWKS_URL?'],
    ['OPS_TILES', 'did you mean OPS_TILES_URL?'],
    ['REDIS_CA', 'did you mean REDIS_CA_FILE?'],
    ['DATABASE_POOL', 'did you mean DATABASE_POOL_SIZE?'],
    ['JOB_TTL_S', 'did you mean JOB_DEFAULT_TTL_S?'],
    ['CLAIM_TIMEOUT', 'changes nothing: see the table'],
  ])('warns of %s, which looks like ours', (name, line) => {
    const { warnings } = readConfig({ ...base, [name]: '60' });
    expect(warnings).toEqual([expect.stringContaining(`${name} is no variable of Muster`)]);
    expect(warnings[0]).toContain(line);
  });

  it('warns of a secret that was read together with its line break', () => {
    const secret = `${base.AUTH_JWT_SECRET}\n`;
    const { auth, warnings } = readConfig({ ...base, AUTH_JWT_SECRET: secret });
    expect(auth.secret).toBe(secret);
    expect(warnings).toEqual([expect.stringMatching(/^AUTH_JWT_SECRET has a blank, .*, e\.g\. /)]);
  });

  it('warns of what DATABASE_URL says to other clients, and of nothing that is not for us', () => {
    const url = { DATABASE_URL: `${base.DATABASE_URL}?channel_binding=require` };
    expect(readConfig({ ...base, ...url }).warnings[0]).toMatch(/DATABASE_URL .*channel_binding/);
    const others = {
      REDIS_HOST: 'r',
      PGPASSWORD: 'x',
      POST: '1',
      HOME: '/',
      JOB_NAME: 'ci',
      DATABASE_USER: 'u',
      AUTH_SECRET: 's',
      NODE_OPTIONS: '',
      PATH: '',
    };
    expect(readConfig({ ...base, ...others }).warnings).toEqual([]);
  });

  it('migrate needs the database alone, whatever HOST and PORT say', () => {
    expect(readDatabaseUrl({ DATABASE_URL: base.DATABASE_URL, PORT: 'x' })).toBe(base.DATABASE_URL);
  });
});
