import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { Level } from 'level';
import { utf8 } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { LevelShelf } from '#storage/levelShelf.ts';
import { MemoryShelf } from '#storage/memoryShelf.ts';
import { DamageError, seal, storageKey, unseal } from '#storage/shelf.ts';
import { SmallDisk } from '../damage/smallDisk.ts';
import { shelfContract } from './shelf.contract.ts';

const root = mkdtempSync(join(tmpdir(), 'mpbp-shelf-'));
let count = 0;
const fresh = () => join(root, `db${count++}`);
after(() => rmSync(root, { recursive: true, force: true }));

shelfContract('in memory', async () => new MemoryShelf());
shelfContract('LevelDB', () => LevelShelf.create(fresh()));

describe('checksums', () => {
  it('notice every single flipped bit, and a value under another key', () => {
    const key = storageKey('accounts', utf8('alice'));
    const sealed = seal(key, utf8('balance 100'));
    assert.deepEqual(unseal(key, sealed), utf8('balance 100'));
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const flipped = Uint8Array.from(sealed);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.throws(() => unseal(key, flipped), DamageError, `bit ${bit}`);
    }
    assert.throws(() => unseal(storageKey('accounts', utf8('bob')), sealed), DamageError);
    assert.throws(() => unseal(key, new Uint8Array(3)), DamageError);
  });
});

describe('a LevelDB directory', () => {
  const hasExit = (code: number) => (error: unknown) =>
    error instanceof UserError && error.exitCode === code;

  it('keeps its content when it is opened again', async () => {
    const path = fresh();
    const shelf = await LevelShelf.create(path);
    await shelf.write([{ table: 'meta', key: utf8('a'), value: utf8('1') }]);
    await shelf.close();
    const again = await LevelShelf.open(path);
    assert.deepEqual(again.get('meta', utf8('a')), utf8('1'));
    await again.close();
  });

  it('117: that is missing, or lost its CURRENT, does not open as an empty one', async () => {
    await assert.rejects(LevelShelf.open(fresh()), DamageError);
    const path = fresh();
    await (await LevelShelf.create(path)).close();
    rmSync(join(path, 'CURRENT'));
    await assert.rejects(LevelShelf.open(path), DamageError);
  });

  it('is not created over one that is there', async () => {
    const path = fresh();
    await (await LevelShelf.create(path)).close();
    await assert.rejects(LevelShelf.create(path), hasExit(EXIT.badData));
  });

  it('109: in use is refused with the exit code for a lock', async () => {
    const path = fresh();
    const shelf = await LevelShelf.create(path);
    await assert.rejects(LevelShelf.open(path), hasExit(EXIT.locked));
    await shelf.close();
  });

  it('117: tells every reader of a wrong checksum, and whoever has to act on it', async () => {
    const path = fresh();
    const shelf = await LevelShelf.create(path);
    await shelf.write([{ table: 'accounts', key: utf8('alice'), value: utf8('100') }]);
    await shelf.close();
    const raw = new Level<Uint8Array, Uint8Array>(path, encodings);
    await raw.put(storageKey('accounts', utf8('alice')), utf8('forged'));
    await raw.close();
    const told: Error[] = [];
    const damaged = await LevelShelf.open(path, { onBroken: (error) => told.push(error) });
    assert.throws(() => damaged.get('accounts', utf8('alice')), DamageError);
    await assert.rejects(damaged.range('accounts', { limit: 9 }), DamageError);
    await assert.rejects(damaged.pages().next(), DamageError);
    assert.equal(told.length, 3);
    await damaged.close();
  });
});

describe('the files of a LevelDB directory', () => {
  /** Two tables of packed and of plain blocks, and a log behind them. */
  async function filled(): Promise<string> {
    const path = fresh();
    for (let round = 0; round < 3; round++) {
      const shelf = round === 0 ? await LevelShelf.create(path) : await LevelShelf.open(path);
      for (let batch = 0; batch < 30; batch++) {
        const value = new Uint8Array(300).fill(0x5a + batch);
        const changes = [0, 1, 2, 3].map((at) => ({
          ...{ table: 'accounts' as const, value },
          key: utf8(`round ${round} batch ${batch} account ${at}`),
        }));
        await shelf.write(changes);
      }
      await shelf.close();
    }
    return path;
  }
  const named = (path: string, name: RegExp) => {
    const found = readdirSync(path).filter((file) => name.test(file));
    assert.ok(found.length > 0, `there is a file ${name}`);
    return join(path, found.at(-1) ?? '');
  };
  const damagedWith = (text: RegExp) => (error: unknown) =>
    error instanceof DamageError && text.test(error.message);

  it('117: are refused for every kind of damage, and left as they are', async () => {
    const sound = await filled();
    const damages: { what: RegExp; text: RegExp; change: (bytes: Buffer) => Buffer | null }[] = [
      { what: /\.ldb$/, text: /checksum of the block/, change: (bytes) => flipped(bytes, 700) },
      { what: /\.ldb$/, text: /has \d+ bytes, should/, change: (bytes) => bytes.subarray(0, 900) },
      { what: /\.ldb$/, text: /missing/, change: () => null },
      { what: /\.log$/, text: /damaged at byte/, change: (bytes) => flipped(bytes, 3_000) },
      { what: /\.log$/, text: /damaged at byte/, change: (bytes) => bytes.fill(0, 512, 1_024) },
      { what: /\.log$/, text: /batches, but took 90/, change: (bytes) => bytes.subarray(0, 9_000) },
      { what: /\.log$/, text: /missing/, change: () => null },
      { what: /^MANIFEST/, text: /damaged at byte/, change: (bytes) => flipped(bytes, 20) },
      { what: /^MANIFEST/, text: /empty/, change: () => Buffer.alloc(0) },
      { what: /^MANIFEST/, text: /missing/, change: () => null },
      { what: /^CURRENT/, text: /names no MANIFEST/, change: () => Buffer.from('MANIFEST-1') },
      { what: /^CURRENT/, text: /missing/, change: () => null },
    ];
    for (const { what, text, change } of damages) {
      const path = fresh();
      cpSync(sound, path, { recursive: true });
      cpSync(`${sound}.mark`, `${path}.mark`);
      const file = named(path, what);
      const after = change(readFileSync(file));
      if (after === null) rmSync(file);
      else writeFileSync(file, after);
      const before = readdirSync(path);
      await assert.rejects(LevelShelf.open(path), damagedWith(text), `${what} ${text}`);
      if (!/batches, but/.test(text.source)) assert.deepEqual(readdirSync(path), before);
    }
    await (await LevelShelf.open(sound)).close();
  });

  it('117: that are an older copy of the whole database are refused, for its mark', async () => {
    const path = await filled();
    const copy = fresh();
    cpSync(path, copy, { recursive: true });
    const shelf = await LevelShelf.open(path);
    await shelf.write([{ table: 'meta', key: utf8('a'), value: utf8('1') }]);
    await shelf.close();
    rmSync(path, { recursive: true });
    cpSync(copy, path, { recursive: true });
    await assert.rejects(LevelShelf.open(path), damagedWith(/90 batches, but took 91/));
    writeFileSync(`${path}.mark`, 'a damaged mark says nothing');
    await (await LevelShelf.open(path)).close();
  });

  it('may end in half a record, as a power cut leaves it', async () => {
    const path = fresh();
    const shelf = await LevelShelf.create(path);
    await shelf.write([{ table: 'meta', key: utf8('a'), value: utf8('1') }]);
    await shelf.close();
    const log = named(path, /\.log$/);
    writeFileSync(log, Buffer.concat([readFileSync(log), Buffer.from('half a record')]));
    const again = await LevelShelf.open(path);
    assert.deepEqual(again.get('meta', utf8('a')), utf8('1'));
    await again.close();
  });

  it('may end in a record of which the disk took later pages and not the first', async () => {
    const path = fresh();
    const shelf = await LevelShelf.create(path);
    await shelf.write([{ table: 'meta', key: utf8('a'), value: utf8('1') }]);
    const mark = readFileSync(`${path}.mark`);
    const log = named(path, /\.log$/);
    const synced = readFileSync(log).length;
    // Over several of the log's blocks.
    await shelf.write([{ table: 'blocks', key: utf8('b'), value: new Uint8Array(100_000) }]);
    await shelf.close();
    writeFileSync(log, readFileSync(log).fill(0, synced, 8_192));
    const lost = fresh();
    cpSync(path, lost, { recursive: true });
    cpSync(`${path}.mark`, `${lost}.mark`);
    await assert.rejects(LevelShelf.open(lost), damagedWith(/1 batches, but took 2/), 'synced');
    writeFileSync(`${path}.mark`, mark);
    const again = await LevelShelf.open(path);
    assert.deepEqual(again.get('meta', utf8('a')), utf8('1'));
    assert.equal(again.get('blocks', utf8('b')), null);
    await again.close();
  });

  it('are sound after a write that met a full disk and a compaction behind it', async (test) => {
    const dir = fresh();
    const disk = SmallDisk.mount(dir, 32);
    if (disk === null) return test.skip('mounting is not permitted');
    const path = join(dir, 'chain');
    const copy = fresh();
    const db = new Level<Uint8Array, Uint8Array>(path, encodings);
    try {
      await db.open({ writeBufferSize: 64 * 1024 });
      const key = (n: number) => utf8(`${n % 600}`.padStart(4, '0'));
      // Tables over the same keys: reads of one go through others, which asks for a compaction.
      for (let n = 0; n < 1_200; n += 2) {
        const at = n < 600 ? n : n + 1;
        await db.put(key(at), randomBytes(1_000), { sync: true } as object);
      }
      disk.fill(0);
      await assert.rejects(db.put(key(0), randomBytes(100_000), { sync: true } as object));
      disk.clear();
      const edits = () => readFileSync(named(path, /^MANIFEST/)).length;
      const before = edits();
      for (let n = 0; n < 400_000 && edits() === before; n++) {
        db.getSync(key(n));
        if (n % 1_000 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      }
      assert.notEqual(edits(), before, 'a compaction has ended');
      // As after a kill.
      cpSync(path, copy, { recursive: true });
    } finally {
      await db.close();
      disk.unmount();
    }
    await (await LevelShelf.open(copy)).close();
  });
});

const encodings = { keyEncoding: 'view', valueEncoding: 'view' } as const;

function flipped(bytes: Buffer, at: number): Buffer {
  bytes[at] = (bytes[at] ?? 0) ^ 4;
  return bytes;
}
