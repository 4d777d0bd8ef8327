/** Damage, backup and repair with real validators that are paid all the while. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Level } from 'level';
import { uintToBytes, utf8 } from '#src/lib/bytes.ts';
import { EXIT } from '#src/lib/failure.ts';
import { seal, storageKey } from '#storage/shelf.ts';
import type { Table } from '#storage/tables.ts';
import { until } from '../chaos/checks.ts';
import { call } from '../chaos/witness.ts';
import { World } from '../chaos/world.ts';

const program = join(import.meta.dirname, '..', '..', 'bin', 'mpbp.ts');
const commandTimeoutMs = 60_000;
const victim = 3;

type Ended = { code: number | null; text: string };

function mpbp(...args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: commandTimeoutMs,
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
  }
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, text })));
}

async function succeeds(...args: readonly string[]): Promise<string> {
  const { code, text } = await mpbp(...args);
  assert.equal(code, EXIT.ok, `mpbp ${args.join(' ')}: ${text}`);
  return text;
}

describe('a validator among four', { concurrency: 1, timeout: 240_000 }, () => {
  let world: World;
  let dir = '';
  let rpc = '';
  const backup = () => join(world.cluster.dir, 'node.backup');
  const heightOf = async (url: string) => Number(await call<string>(url, 'eth_blockNumber', []));
  const start = () =>
    mpbp('start', '--data-dir', dir, '--rpc.port', `${world.cluster.members[victim]?.rpcPort}`);
  const caughtUp = async () => {
    const want = await heightOf(world.cluster.members[0]?.rpc ?? '');
    await until('it has caught up', async () => (await heightOf(rpc)) >= want);
    assert.deepEqual(world.observer.signatures.conflicts, []);
  };
  /** A sealed value as this program would have written it, or one that is not. */
  const put = async (table: Table, key: Uint8Array, value: Uint8Array, isSealed: boolean) => {
    const stored = storageKey(table, key);
    const encodings = { keyEncoding: 'view', valueEncoding: 'view' } as const;
    const raw = new Level<Uint8Array, Uint8Array>(join(dir, 'chain'), encodings);
    await raw.put(stored, isSealed ? seal(stored, value) : value);
    await raw.close();
  };

  before(async () => {
    world = await World.open({ validators: 4, seed: 5, perSecond: 20 });
    const member = world.cluster.members[victim];
    assert.ok(member !== undefined);
    ({ dir, rpc } = member);
    world.pay();
    await until('some blocks', async () => (await heightOf(rpc)) > 30);
  });
  after(() => world.close());

  it('gives a backup while it runs, and the others go on', async () => {
    const text = await succeeds('db', 'backup', dir, '--out', backup());
    assert.match(text, /without +keys and the record of what they signed/);
    assert.match(text, /state root +0x[0-9a-f]{64}/);
    const height = await heightOf(rpc);
    await until('more blocks', async () => (await heightOf(rpc)) > height + 5);
    assert.equal((await mpbp('db', 'check', dir)).code, EXIT.locked);
    assert.equal((await mpbp('db', 'resync', dir)).code, EXIT.locked);
  });

  it('D3: whose database is damaged does not start, is mended, and catches up', async () => {
    assert.ok(await world.cluster.stop(victim));
    await world.observer.readJournal(dir);
    const chain = join(dir, 'chain');
    const name = readdirSync(chain).find((one) => one.endsWith('.log')) ?? '';
    const bytes = readFileSync(join(chain, name));
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    writeFileSync(join(chain, name), bytes);
    const refused = await start();
    assert.equal(refused.code, EXIT.badData, refused.text);
    assert.ok(refused.text.includes(`${name}: damaged at byte`), refused.text);
    assert.ok(refused.text.includes(`mend it: mpbp db resync ${dir}`), refused.text);
    const checked = await mpbp('db', 'check', dir);
    assert.equal(checked.code, EXIT.badData, checked.text);
    assert.match(await succeeds('db', 'resync', dir), /set aside: .*chain\.damaged-\d{8}T/);
    world.cluster.start(victim);
    await caughtUp();
  });

  it('D8: that was restored from an old backup signs nothing that it contradicted', async () => {
    for (const isJournalKept of [true, false]) {
      assert.ok(await world.cluster.stop(victim));
      await world.observer.readJournal(dir);
      assert.match((await mpbp('db', 'restore', backup(), '--data-dir', dir)).text, /db resync/);
      await succeeds('db', 'resync', dir);
      await succeeds('db', 'restore', backup(), '--data-dir', dir);
      await succeeds('db', 'check', dir);
      if (!isJournalKept) rmSync(join(dir, 'consensus'), { recursive: true });
      world.cluster.start(victim);
      await caughtUp();
    }
  });

  it('a damaged backup is not restored', async () => {
    assert.ok(await world.cluster.stop(victim));
    await succeeds('db', 'resync', dir);
    const whole = readFileSync(backup());
    for (const change of ['flip', 'cut'] as const) {
      const bytes = change === 'cut' ? whole.subarray(0, whole.length - 20) : Buffer.from(whole);
      if (change === 'flip') bytes[whole.length >> 1] = (whole[whole.length >> 1] ?? 0) ^ 1;
      writeFileSync(`${backup()}.bad`, bytes);
      const refused = await mpbp('db', 'restore', `${backup()}.bad`, '--data-dir', dir);
      assert.equal(refused.code, EXIT.badData, refused.text);
    }
    world.cluster.start(victim);
    await caughtUp();
  });

  it('D3: that finds damage while it answers a request ends with 65', async () => {
    assert.ok(await world.cluster.stop(victim));
    await put('receipts', uintToBytes(2n, 8), utf8('not what was written'), false);
    const ended = start();
    await until('it answers', async () => (await heightOf(rpc)) > 0);
    await call(rpc, 'eth_getBlockReceipts', ['0x2']).catch(() => {});
    const { code, text } = await ended;
    assert.equal(code, EXIT.badData, text);
    assert.ok(text.includes(`mend it: mpbp db resync ${dir}`), text);
  });

  it('D9: with a newer schema does not start, and resync throws nothing away', async () => {
    await put('meta', utf8('schema'), Uint8Array.of(200), true);
    for (const ended of [await start(), await mpbp('db', 'resync', dir)]) {
      assert.equal(ended.code, EXIT.badData, ended.text);
      assert.match(ended.text, /has schema 200, this program knows \d+/);
    }
    await world.cluster.stop(...world.cluster.members.keys());
    for (const member of world.cluster.members) await world.observer.readJournal(member.dir);
    assert.deepEqual(world.observer.signatures.conflicts, []);
  });
});
