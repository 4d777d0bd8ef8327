import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import type { BlockRecord } from '#src/chain/store.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import type { StateReader } from '#src/ledger/state/reader.ts';
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { EMPTY_TRIE_ROOT } from '#src/types/listRoot.ts';
import { ShelfChainStore } from '#storage/chainStore.ts';
import { LevelShelf } from '#storage/levelShelf.ts';
import { MemoryShelf } from '#storage/memoryShelf.ts';
import type { Shelf } from '#storage/shelf.ts';
import { StateTables } from '#storage/stateTables.ts';
import { addresses, apply, Disk, type Round, recordOf, round, Twin } from './stateWorld.ts';

const root = mkdtempSync(join(tmpdir(), 'mpbp-state-'));
let count = 0;
after(() => rmSync(root, { recursive: true, force: true }));

async function play(rounds: readonly Round[]): Promise<void> {
  const path = join(root, `db${count++}`);
  let disk = new Disk(await LevelShelf.create(path));
  try {
    let store = await ShelfChainStore.open(disk);
    let height = 0n;
    let stateRoot: Hash = EMPTY_TRIE_ROOT;
    let twin = new Twin();
    for (const { blocks, fate } of rounds) {
      const next = twin.copy();
      const records: BlockRecord[] = [];
      let parent: StateReader = store;
      let nextRoot = stateRoot;
      for (const steps of blocks) {
        const state = new Overlay(parent);
        for (const step of steps) {
          apply(state, step);
          next.apply(step);
        }
        const { root, changes } = state.seal(nextRoot);
        nextRoot = root;
        assert.equal(root, await next.root(), 'the root of the other implementation');
        records.push(recordOf(height + BigInt(records.length), changes));
        next.assertReadBy(state, 'overlay');
        parent = state;
      }
      disk.full = fate === 'disk full';
      const commit = fate === 'drop' ? Promise.reject() : store.commit(records, null, 0);
      const isCommitted = await commit.then(
        () => true,
        () => false,
      );
      assert.equal(isCommitted, fate === 'commit' || fate === 'reopen');
      if (isCommitted) {
        [twin, stateRoot] = [next, nextRoot];
        height += BigInt(records.length);
      }
      if (fate === 'reopen') {
        await store.close();
        disk = new Disk(await LevelShelf.open(path));
        store = await ShelfChainStore.open(disk);
      }
      twin.assertReadBy(store, 'store');
      twin.assertReadBy(new StateTables(disk), 'disk');
    }
  } finally {
    await disk.close();
    rmSync(path, { recursive: true, force: true });
  }
}

describe('the state over many blocks', () => {
  it('has the root of another implementation, in memory and on disk', async () => {
    const rounds = fc.array(round, { minLength: 1, maxLength: 12 });
    await fc.assert(fc.asyncProperty(rounds, play), { numRuns: 60 });
  });
});

describe('while a commit is on its way', () => {
  it('readers see the state before it, and after it the new one', async () => {
    const shelf = new MemoryShelf();
    let written = () => {};
    const onDisk = new Promise<void>((resolve) => {
      written = resolve;
    });
    let finish = () => {};
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    let slow = false;
    const slowShelf: Shelf = {
      get: (...of) => shelf.get(...of),
      range: (...of) => shelf.range(...of),
      view: () => shelf.view(),
      close: () => shelf.close(),
      write: async (changes) => {
        await shelf.write(changes);
        if (!slow) return;
        written();
        await finished;
      },
    };
    const address = addresses[0] as Address;
    const warm = await ShelfChainStore.open(slowShelf);
    const pay = (wei: bigint, parentRoot: Hash) => {
      const state = new Overlay(warm);
      for (const at of addresses.keys()) apply(state, { what: 'account', at, nonce: 1, wei });
      return state.seal(parentRoot);
    };
    const { root: firstRoot, changes } = pay(7n, EMPTY_TRIE_ROOT);
    await warm.commit([recordOf(0n, changes)], null, 0);
    const next = pay(8n, firstRoot);
    // Opened anew, it has nothing in memory and has to ask the disk.
    const cold = await ShelfChainStore.open(slowShelf);
    slow = true;
    const committed = cold.commit([recordOf(1n, next.changes)], null, 0);
    await onDisk;
    assert.equal(cold.account(address)?.balance, 7n);
    finish();
    // Whoever runs before the commit is told of: each account is asked for the first time.
    for (const other of addresses.slice(1)) {
      const want = cold.head?.height === 1n ? 8n : 7n;
      assert.equal(cold.account(other as Address)?.balance, want);
      await null;
    }
    await committed;
    assert.equal(cold.account(address)?.balance, 8n);
  });
});
