import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { EXIT } from '#src/lib/failure.ts';
import { reservePorts } from '../ports.ts';
import { Program, type Staying } from './program.ts';

const root = mkdtempSync(join(tmpdir(), 'mpbp-audited-'));
const mpbp = new Program(root);
let dir = '';
let ports = 0;
after(() => {
  mpbp.killAll();
  rmSync(root, { recursive: true, force: true });
});

type Act = { seq: number; act: string; by: string; detail: Record<string, unknown> };
type Log = { whole: boolean; acts: Act[]; lastHash: string };

function start(...flags: readonly string[]): Promise<Staying> {
  const listen = ['--rpc.port', `${ports}`, '--p2p.listen', `/ip4/127.0.0.1/tcp/${ports + 1}`];
  return mpbp.start('node started', 'start', '--data-dir', dir, ...listen, ...flags);
}

before(async () => {
  ports = await reservePorts(2);
  dir = await mpbp.makeAlone();
});

describe('audit.log of a node', { timeout: 180_000 }, () => {
  it('has starts, stops, key use, backups, access and changed settings, in order', async () => {
    const first = await start();
    await mpbp.json('access', 'new', 'shop', '--data-dir', dir);
    await mpbp.json('db', 'backup', dir, '--out', join(root, 'running.backup'));
    assert.equal(await first.stop(), EXIT.ok);
    await mpbp.json('db', 'backup', dir, '--out', join(root, 'stopped.backup'));
    await mpbp.run('keys', 'export', '--data-dir', dir);
    const second = await start('--rpc.host', '127.0.0.1', '--pool.senderMax', '65');
    second.child.kill('SIGKILL');
    await mpbp.json('access', 'revoke', 'shop', '--data-dir', dir);
    const log = await mpbp.json<Log>('audit', 'log', dir);
    assert.deepEqual(
      log.acts.map(({ act }) => act),
      [
        ...['keys new', 'start', 'access new', 'backup', 'stop', 'backup', 'keys export'],
        ...['settings changed', 'start', 'access revoke'],
      ],
    );
    const [keys, begin, , , end, , , changed] = log.acts.map(({ detail }) => detail);
    assert.deepEqual(begin?.consensusKeys, [keys?.consensusKey], 'which keys it signs with');
    assert.equal(begin?.signer, 'this process');
    assert.deepEqual(end, { signal: 'SIGTERM' });
    assert.deepEqual(changed?.['pool.senderMax'], [null, '65']);
    assert.ok(first.output.includes('audited'), 'its hashes go to the log, too');
    assert.doesNotMatch(readFileSync(join(dir, 'audit.log'), 'utf8'), /[Ss]eed|sha256/);
  });

  it('is refused where a line was changed, and a start says so', async () => {
    const path = join(dir, 'audit.log');
    const text = readFileSync(path, 'utf8');
    const lines = text.split('\n');
    lines[3] = String(lines[3]).replace('backup', 'backop');
    writeFileSync(path, lines.join('\n'));
    const { stdout } = await mpbp.fails(EXIT.badData, /BROKEN at .*, line 4/, 'audit', 'log', dir);
    assert.match(stdout, /\n3 .* access new /);
    assert.doesNotMatch(stdout, /\n4 /, 'nothing behind it is believed');
    const node = await start();
    assert.match(node.output, /the audit log was changed or damaged/);
    assert.equal(await node.stop(), EXIT.ok);
    // Put back, all that came later follows from it.
    const added = readFileSync(path, 'utf8')
      .split('\n')
      .slice(lines.length - 1);
    writeFileSync(path, [...text.split('\n').slice(0, -1), ...added].join('\n'));
    assert.equal((await mpbp.json<Log>('audit', 'log', dir)).whole, true);
  });

  it('forgives half a line at its end', async () => {
    const path = join(dir, 'audit.log');
    writeFileSync(path, readFileSync(path).subarray(0, -20));
    assert.equal((await mpbp.json<Log>('audit', 'log', dir)).whole, true);
    const { stdout } = await mpbp.run('audit', 'log', dir, '--limit', '1');
    assert.match(stdout, /\d+ bytes are half a line: a crash/);
    const node = await start();
    assert.doesNotMatch(node.output, /changed or damaged/);
    assert.equal(await node.stop(), EXIT.ok);
    assert.equal((await mpbp.json<Log>('audit', 'log', dir)).whole, true);
  });

  it('has keys that were brought from elsewhere, which are the same keys', async () => {
    const { stdout } = await mpbp.run('keys', 'export', '--data-dir', dir);
    const seeds = join(root, 'seeds.json');
    const old = `0x${'07'.repeat(32)}`;
    const exported = { ...JSON.parse(stdout), otherConsensusSeeds: [old] };
    writeFileSync(seeds, JSON.stringify(exported), { mode: 0o600 });
    const other = ['--data-dir', join(root, 'other')];
    const made = await mpbp.json('keys', 'import', seeds, ...other);
    assert.deepEqual(made, await mpbp.json('keys', 'list', '--data-dir', dir));
    const again = await mpbp.run('keys', 'export', ...other);
    assert.deepEqual(JSON.parse(again.stdout), exported);
    const log = await mpbp.json<Log>('audit', 'log', join(root, 'other'));
    assert.deepEqual(
      log.acts.map(({ act }) => act),
      ['keys import', 'keys export'],
    );
    await mpbp.fails(EXIT.cannotCreate, /is there already/, 'keys', 'import', seeds, ...other);
    writeFileSync(seeds, JSON.stringify({ ...exported, networkSeed: '0x07' }));
    const third = ['keys', 'import', seeds, '--data-dir', join(root, 'third')];
    await mpbp.fails(EXIT.badData, /networkSeed should be 0x and 64/, ...third);
  });

  it('is asked for where there is none', async () => {
    await mpbp.fails(EXIT.badData, /no audit\.log there/, 'audit', 'log', root);
  });
});
