import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { utf8 } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { LevelShelf } from '#storage/levelShelf.ts';
import { MemoryShelf } from '#storage/memoryShelf.ts';
import { DamageError, seal, storageKey, unseal } from '#storage/shelf.ts';
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
    await assert.rejects(LevelShelf.open(fresh()), hasExit(EXIT.badData));
    const path = fresh();
    await (await LevelShelf.create(path)).close();
    rmSync(join(path, 'CURRENT'));
    await assert.rejects(LevelShelf.open(path), hasExit(EXIT.badData));
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

  it('117: with a flipped bit in a value is found out when that value is read', async () => {
    const path = fresh();
    const shelf = await LevelShelf.create(path);
    const value = new Uint8Array(200).fill(0x5a);
    await shelf.write([{ table: 'accounts', key: utf8('alice'), value }]);
    await shelf.close();
    // Opening once moves the log into a table file, which LevelDB reads without checking.
    await (await LevelShelf.open(path)).close();
    const table = readdirSync(path).find((name) => name.endsWith('.ldb'));
    assert.ok(table !== undefined);
    const bytes = readFileSync(join(path, table));
    const at = bytes.indexOf(Buffer.from('alice'));
    assert.ok(at >= 0);
    bytes[at + 20] = (bytes[at + 20] ?? 0) ^ 4;
    writeFileSync(join(path, table), bytes);
    const damaged = await LevelShelf.open(path);
    assert.throws(() => damaged.get('accounts', utf8('alice')), DamageError);
    await damaged.close();
  });
});
