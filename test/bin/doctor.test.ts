import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { EXIT } from '#src/lib/failure.ts';
import type { Genesis } from '#src/types/genesis.ts';
import { LevelShelf } from '#storage/levelShelf.ts';
import { Client } from '../../bin/client.ts';
import { loadConfig } from '../../bin/config.ts';
import { openDataDir } from '../../bin/dataDir.ts';
import { checkFiles } from '../../bin/doctor/fileChecks.ts';
import type { Finding } from '../../bin/doctor/finding.ts';
import { checkMachine } from '../../bin/doctor/machineChecks.ts';
import { checkDoor, checkNetwork } from '../../bin/doctor/nodeChecks.ts';
import { checkSettings } from '../../bin/doctor/settingChecks.ts';
import { checkStake } from '../../bin/doctor/stakeChecks.ts';
import { reservePorts } from '../ports.ts';
import { Program, program } from './program.ts';

const root = mkdtempSync(join(tmpdir(), 'mpbp-doctor-'));
const mpbp = new Program(root);
const closing: (() => void)[] = [];
let alone = '';
let genesis: Genesis;
before(async () => {
  alone = await mpbp.makeAlone();
  ({ genesis } = openDataDir(alone));
});
after(() => {
  mpbp.killAll();
  for (const close of closing) close();
  rmSync(root, { recursive: true, force: true });
});

const codes = (found: readonly Finding[]) => found.map(({ code }) => code).sort();

describe('doctor on settings', () => {
  const look = (flags: Record<string, string>, more = {}) => {
    const { config } = loadConfig(root, new Map(Object.entries(flags)), {});
    const facts = { config, genesis, isValidator: false, hasOperatorKey: false, cores: 2 };
    return codes(checkSettings({ ...facts, ...more }));
  };
  const open = { 'rpc.host': '0.0.0.0' };
  const tls = { 'rpc.tlsCertificate': '/c.pem', 'rpc.tlsKey': '/k.pem' };
  const operator = { 'operator.port': '9545' };
  const rows: { flags: Record<string, string>; more?: object; want: string[] }[] = [
    { flags: {}, want: [] },
    { flags: { 'rpc.hosts': '*' }, want: ['HOSTS_ANY'] },
    { flags: { 'rpc.origins': 'https://a.example,*' }, want: ['ORIGINS_ANY'] },
    { flags: open, want: ['RPC_ANONYMOUS', 'RPC_PLAIN'] },
    { flags: { ...open, ...tls }, want: ['RPC_ANONYMOUS'] },
    { flags: { ...open, 'rpc.anonymous': 'false' }, want: ['RPC_PLAIN'] },
    { flags: { ...open, ...tls, 'rpc.debug': 'true' }, want: ['DEBUG_OPEN', 'RPC_ANONYMOUS'] },
    { flags: { 'rpc.debug': 'true' }, want: [] },
    { flags: { 'rpc.unlimited': '127.0.0.1,10.0.0.7' }, want: ['UNLIMITED'] },
    { flags: { ...operator, 'operator.host': '10.0.0.1' }, want: ['OPERATOR_OPEN'] },
    { flags: operator, want: ['OPERATOR_NO_KEY'] },
    { flags: operator, more: { hasOperatorKey: true }, want: [] },
    { flags: { 'operator.host': '10.0.0.1' }, want: [] },
    { flags: { 'storage.reserveMebibytes': '63' }, want: ['RESERVE_SMALL'] },
    { flags: { 'crypto.recoveryThreads': '0' }, want: ['THREADS_NONE'] },
    { flags: { 'crypto.recoveryThreads': '0' }, more: { cores: 1 }, want: [] },
    { flags: { 'crypto.secp256k1': 'noble' }, want: ['CRYPTO_SLOW'] },
    { flags: { 'log.level': 'error' }, want: ['LOG_QUIET'] },
    { flags: {}, more: { isValidator: true }, want: ['SIGNER_INSIDE'] },
    { flags: { 'consensus.signer': '/s' }, more: { isValidator: true }, want: [] },
  ];
  for (const { flags, more, want } of rows) {
    it(`${JSON.stringify({ ...flags, ...more })}: ${want.join(' ') || 'fine'}`, () => {
      assert.deepEqual(look(flags, more), want);
    });
  }

  it('an auditor among the members wants an archive', () => {
    const members = genesis.members.map((member) => ({ ...member, roles: 1 << 8 }));
    assert.deepEqual(look({}, { genesis: { ...genesis, members } }), ['ARCHIVE_OFF']);
    assert.deepEqual(look({ 'storage.archive': 'true' }, { genesis: { ...genesis, members } }), []);
  });
});

describe('doctor on a data directory', () => {
  const day = 86_400_000;
  const { config } = loadConfig(root, new Map(), {});
  const fresh = (name: string) => {
    const dir = join(root, name);
    cpSync(alone, dir, { recursive: true });
    // A copy has the modes of its files and not of its folders.
    for (const name of ['', 'keys', 'consensus']) chmodSync(join(dir, name), 0o700);
    rmSync(join(dir, 'keys', 'password'));
    return dir;
  };
  const look = (dir: string, given = config, nowMs = Date.now()) =>
    codes(checkFiles(dir, given, nowMs)).filter((code) => code !== 'DISK_LOW');

  it('finds nothing in one that is well kept', async () => {
    const dir = fresh('kept');
    assert.deepEqual(look(dir), ['BACKUP_OLD']);
    await mpbp.json('db', 'backup', dir, '--out', join(root, 'kept.backup'));
    assert.deepEqual(look(dir), []);
    assert.deepEqual(look(dir, config, Date.now() + 6 * day), []);
    assert.deepEqual(look(dir, config, Date.now() + 8 * day), ['BACKUP_OLD']);
  });

  const jwt = { ...config, 'rpc.jwtSecretFile': join(root, 'jwt') };
  const rows: { code: string; edit(dir: string): void; given?: typeof config }[] = [
    { code: 'FILE_OPEN', edit: (dir) => chmodSync(dir, 0o755) },
    { code: 'FILE_OPEN', edit: (dir) => chmodSync(join(dir, 'keys/consensus.json'), 0o640) },
    { code: 'FILE_OPEN', edit: (dir) => chmodSync(join(dir, 'audit.log'), 0o604) },
    {
      code: 'FILE_OPEN',
      edit: () => {
        writeFileSync(join(root, 'jwt'), '00'.repeat(32));
        chmodSync(join(root, 'jwt'), 0o644);
      },
      given: jwt,
    },
    {
      code: 'FILE_LINK',
      edit: (dir) => {
        const key = join(dir, 'keys', 'network.json');
        renameSync(key, join(root, 'moved.json'));
        symlinkSync(join(root, 'moved.json'), key);
      },
    },
    {
      code: 'CONFIG_WRITABLE',
      edit: (dir) => {
        writeFileSync(join(dir, 'mpbp.toml'), '');
        chmodSync(join(dir, 'mpbp.toml'), 0o666);
      },
    },
    {
      code: 'PASSWORD_BESIDE',
      edit: (dir) => writeFileSync(join(dir, 'keys', 'password'), 'x', { mode: 0o600 }),
    },
    {
      code: 'KEY_BARE',
      edit: (dir) => writeFileSync(join(dir, 'seeds.json'), '{"consensusSeed":"0x00"}'),
    },
    {
      code: 'KEY_BARE',
      edit: (dir) => writeFileSync(join(dir, 'keys/k'), '12'.repeat(32), { mode: 0o600 }),
    },
    { code: 'JOURNAL_MISSING', edit: (dir) => rmSync(join(dir, 'consensus'), { recursive: true }) },
    { code: 'AUDIT_BROKEN', edit: (dir) => appendFileSync(join(dir, 'audit.log'), 'x\n') },
    {
      code: 'AUDIT_MISSING',
      edit: (dir) => {
        rmSync(join(dir, 'audit.log'));
        cpSync(join(dir, 'consensus'), join(dir, 'pool'), { recursive: true });
      },
    },
    {
      code: 'CERTIFICATE',
      edit: () => writeFileSync(join(root, 'no.pem'), 'x'),
      given: { ...config, 'rpc.tlsCertificate': join(root, 'no.pem') },
    },
  ];
  for (const [index, { code, edit, given }] of rows.entries()) {
    it(`finds ${code} (${index})`, () => {
      const dir = fresh(`row-${index}`);
      edit(dir);
      assert.deepEqual(look(dir, given), ['BACKUP_OLD', code].sort());
    });
  }

  it('finds a file of another user', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
    const dir = fresh('owned');
    execFileSync('chown', ['12345', join(dir, 'keys', 'consensus.json')]);
    assert.deepEqual(look(dir), ['BACKUP_OLD', 'FILE_OWNER']);
  });

  it('finds a certificate that ends, and a disk that fills', () => {
    const pem = join(root, 'soon.pem');
    const key = join(root, 'soon.key');
    const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const names = ['-subj', '/CN=pay.example', '-keyout', key, '-out', pem];
    execFileSync('openssl', [...args, '-days', '20', ...names], { stdio: 'ignore' });
    const dir = fresh('certificate');
    const given = { ...config, 'rpc.tlsCertificate': pem };
    assert.deepEqual(look(dir, given), ['BACKUP_OLD']);
    assert.deepEqual(look(dir, given, Date.now() + 7 * day), ['BACKUP_OLD', 'CERTIFICATE']);
    const full = { ...config, 'storage.reserveMebibytes': 1_000_000_000 };
    assert.ok(codes(checkFiles(dir, full, Date.now())).includes('DISK_LOW'));
  });
});

describe('doctor on a machine', () => {
  const limits = (files: string, core: string) =>
    'Limit                     Soft Limit           Hard Limit           Units     \n' +
    `Max core file size        ${core}                    unlimited            bytes     \n` +
    `Max open files            256                  ${files}                files     \n`;
  const fine = { uid: 1_000, limits: limits('65536', '0'), swaps: 'Filename Type Size\n' };
  const rows: [string, Parameters<typeof checkMachine>[0], string[]][] = [
    ['fine', fine, []],
    ['root', { ...fine, uid: 0 }, ['ROOT']],
    ['few files', { ...fine, limits: limits('4095', '0') }, ['OPEN_FILES']],
    ['enough files', { ...fine, limits: limits('unlimited', '0') }, []],
    ['core dumps', { ...fine, limits: limits('65536', 'unlimited') }, ['CORE_DUMPS']],
    ['swap', { ...fine, swaps: 'Filename\n/dev/sda2 partition 1 0 -2\n' }, ['SWAP']],
    ['swap in memory', { ...fine, swaps: 'Filename\n/dev/zram0 partition 1 0 5\n' }, []],
    ['no Linux', { uid: null, limits: '', swaps: '' }, []],
  ];
  for (const [when, facts, want] of rows) {
    it(when, () => assert.deepEqual(codes(checkMachine(facts)), want));
  }

  it('stake', () => {
    const share = (memberId: string, stake: bigint) => ({ memberId, stake });
    const four = ['a', 'b', 'c', 'd'].map((id) => share(id, 10n));
    assert.deepEqual(codes(checkStake(four)), []);
    assert.deepEqual(codes(checkStake(four.slice(1))), Array(3).fill('STAKE_THIRD'));
    assert.deepEqual(codes(checkStake([...four, share('a', 10n)])), ['STAKE_THIRD']);
    assert.deepEqual(codes(checkStake([share('a', 71n), share('b', 30n)])), ['STAKE_DECIDES']);
  });
});

/** Something that answers JSON-RPC, badly kept in whatever way is wanted. */
async function badNode(
  answer: (method: string) => unknown,
  edit: (request: IncomingMessage, response: ServerResponse) => boolean = () => false,
): Promise<string> {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      if (edit(request, response)) return;
      if (request.method !== 'POST') return void response.writeHead(404).end();
      const result = answer(String((JSON.parse(body) as { method: string }).method));
      const unknown = { error: { code: -32601, message: 'no such method' } };
      const rest = result === undefined ? unknown : { result };
      response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, ...rest }));
    });
  });
  const port = await reservePorts(1);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  closing.push(() => void server.close());
  return `http://127.0.0.1:${port}`;
}

describe('doctor on a node', { timeout: 120_000 }, () => {
  const plain = (method: string) => (method === 'eth_chainId' ? '0x1' : undefined);
  const strict = (request: IncomingMessage, response: ServerResponse) => {
    const { host = '', origin } = request.headers;
    if (host.startsWith('127.0.0.1') && origin === undefined) return false;
    response.writeHead(403).end();
    return true;
  };

  it('finds nothing at a door that is kept', async () => {
    assert.deepEqual(codes(await checkDoor(await badNode(plain, strict))), []);
  });

  it('finds a door that answers to any name, any page, and to operators', async () => {
    assert.deepEqual(codes(await checkDoor(await badNode(plain))), ['HOSTS_ANY']);
    const echo = await badNode(plain, (request, response) => {
      if ((request.headers.host ?? '').startsWith('doctor')) return strict(request, response);
      response.setHeader('access-control-allow-origin', request.headers.origin ?? '');
      return false;
    });
    assert.deepEqual(codes(await checkDoor(echo)), ['ORIGINS_ANY']);
    const admin = await badNode((name) => (name === 'admin_peers' ? [] : plain(name)), strict);
    assert.deepEqual(codes(await checkDoor(admin)), ['METHOD_PRIVATE']);
    const metrics = await badNode(plain, (request, response) => {
      if (request.url !== '/metrics') return strict(request, response);
      response.end('up 1\n');
      return true;
    });
    assert.deepEqual(codes(await checkDoor(metrics)), ['METRICS_PUBLIC']);
    const late = await badNode(plain, (request, response) => {
      response.setHeader('date', new Date(Date.now() - 10_000).toUTCString());
      return strict(request, response);
    });
    assert.deepEqual(codes(await checkDoor(late)), ['CLOCK_SKEW']);
  });

  it('compares its clock with the next block of another validator', async () => {
    const look = async (offsetMs: number, peers: unknown[] = [{}]) => {
      let height = 5;
      const timer = setInterval(() => height++, 300);
      const url = await badNode((method) => {
        const four = ['0xa', '0xb', '0xc', '0xd'].map((feeRecipient) => ({
          ...{ memberId: feeRecipient, stake: '0xa', feeRecipient },
        }));
        if (method === 'mpbp_getValidators') return { validators: four };
        if (method === 'mpbp_nodeStatus') return { validator: '0x0', peers };
        if (method !== 'eth_getBlockByNumber') return undefined;
        const seconds = Math.floor((Date.now() + offsetMs) / 1_000);
        const time = `0x${seconds.toString(16)}`;
        // Its own blocks carry its own clock.
        const isOwn = height % 2 === 0;
        const timestamp = isOwn ? '0x1' : time;
        return { number: `0x${height.toString(16)}`, timestamp, miner: isOwn ? '0xa' : '0xb' };
      });
      try {
        return codes(await checkNetwork(new Client(url)));
      } finally {
        clearInterval(timer);
      }
    };
    assert.deepEqual(await look(0), []);
    assert.deepEqual(await look(-5_000), ['CLOCK_SKEW']);
    assert.deepEqual(await look(5_000), ['CLOCK_SKEW']);
    assert.deepEqual(await look(0, []), ['PEERS_NONE']);
  });

  it('looks at a real one from inside and outside, and says so in exit codes', async () => {
    const ports = await reservePorts(2);
    const dir = join(root, 'real');
    cpSync(alone, dir, { recursive: true });
    chmodSync(dir, 0o755);
    const listen = ['--rpc.port', `${ports}`, '--p2p.listen', `/ip4/127.0.0.1/tcp/${ports + 1}`];
    const risky = ['--rpc.hosts', '*', '--rpc.origins', '*', '--log.level', 'info'];
    const start = ['start', '--data-dir', dir, ...listen, ...risky];
    const node = await mpbp.start('audited', ...start);
    const url = `http://127.0.0.1:${ports}`;
    const outside = ['doctor', '--rpc', url];
    await mpbp.fails(EXIT.risks, /RISK {2}HOSTS_ANY(.|\n)*ORIGINS_ANY(.|\n)*3 risks/, ...outside);
    const codesOut = 'HOSTS_ANY,ORIGINS_ANY,STAKE_DECIDES';
    const taken = await mpbp.json<{ risks: number }>(...outside, '--accept', codesOut);
    assert.equal(taken.risks, 0);
    const inside = await mpbp.fails(EXIT.risks, /chmod 700/, 'doctor', dir, '--json');
    const { findings } = JSON.parse(inside.stdout) as { findings: Finding[] };
    const found = codes(findings);
    for (const code of ['HOSTS_ANY', 'ORIGINS_ANY', 'FILE_OPEN', 'STAKE_DECIDES', 'BACKUP_OLD']) {
      assert.ok(found.includes(code), `${code} of ${found}: the flags of the running node`);
    }
    assert.equal(await node.stop(), EXIT.ok);
    const all = [...new Set(found)].join();
    const { stdout } = await mpbp.run('doctor', dir, '--accept', all);
    assert.match(stdout, /no risks found/);
    await mpbp.fails(EXIT.usage, /say what to look at/, 'doctor');
    await mpbp.fails(EXIT.unavailable, /no node answers/, 'doctor', '--rpc', 'http://127.0.0.1:1');
  });

  it('says so where the node that runs there does not answer it', async () => {
    const ports = await reservePorts(2);
    const dir = join(root, 'closed');
    cpSync(alone, dir, { recursive: true });
    const listen = ['--rpc.port', `${ports}`, '--p2p.listen', `/ip4/127.0.0.1/tcp/${ports + 1}`];
    const closed = ['start', '--data-dir', dir, ...listen, '--rpc.anonymous', 'false'];
    const node = await mpbp.start('audited', ...closed);
    const { stdout } = await mpbp.fails(EXIT.risks, /note {2}NODE_SILENT/, 'doctor', dir);
    assert.match(stdout, /STAKE_DECIDES/, 'what genesis says of the stake');
    assert.equal(await node.stop(), EXIT.ok);
  });

  it('names a database that it does not know, and the limits of this shell', async () => {
    const dir = join(root, 'newer');
    cpSync(alone, dir, { recursive: true });
    const shelf = await LevelShelf.open(join(dir, 'chain'));
    const key = new TextEncoder().encode('schema');
    await shelf.write([{ table: 'meta', key, value: Uint8Array.of(2) }]);
    await shelf.close();
    await mpbp.fails(EXIT.risks, /SCHEMA: the database has schema 2/, 'doctor', dir);
    const line = `ulimit -n 1000; ulimit -Hn 1000; exec "$0" "$1" doctor "$2"`;
    const args = ['-c', line, process.execPath, program, dir];
    const { stdout, status } = spawnSync('bash', args, { encoding: 'utf8', timeout: 60_000 });
    assert.match(stdout, /OPEN_FILES: ulimit -Hn is 1000/);
    assert.equal(status, EXIT.risks);
  });
});
