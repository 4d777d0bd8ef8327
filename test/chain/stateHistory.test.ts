import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { createMPT, type MerklePatriciaTrie } from '@ethereumjs/mpt';
import { RLP } from '@ethereumjs/rlp';
import fc from 'fast-check';
import type { BlockRecord } from '#src/chain/store.ts';
import { EMPTY_ACCOUNT, isEmptyAccount } from '#src/ledger/state/account.ts';
import { Overlay, trimSlot } from '#src/ledger/state/overlay.ts';
import type { StateChanges, StateReader } from '#src/ledger/state/reader.ts';
import { toHex, uintToBytes } from '#src/lib/bytes.ts';
import { RecentlyUsed } from '#src/lib/recentlyUsed.ts';
import { type Address, addressToBytes } from '#src/types/address.ts';
import { type Hash, hashToBytes, keccakHash } from '#src/types/hash.ts';
import { EMPTY_TRIE_ROOT } from '#src/types/listRoot.ts';
import { asHeight, asWei } from '#src/types/units.ts';
import { ShelfChainStore } from '#storage/chainStore.ts';
import { LevelShelf } from '#storage/levelShelf.ts';
import type { Shelf } from '#storage/shelf.ts';
import { StateTables } from '#storage/stateTables.ts';

const root = mkdtempSync(join(tmpdir(), 'mpbp-state-'));
let count = 0;
after(() => rmSync(root, { recursive: true, force: true }));

const contracts = 4;
const addresses = Array.from({ length: 24 }, (_, at) => toHex(uintToBytes(BigInt(at + 1), 20)));
const keys = Array.from({ length: 12 }, (_, at) => at.toString(16).padStart(64, '0'));

type Step =
  | { readonly what: 'account'; readonly at: number; readonly nonce: number; readonly wei: bigint }
  | { readonly what: 'slot'; readonly at: number; readonly key: number; readonly value: bigint };
type Round = {
  /** Blocks on each other, committed at once. */
  readonly blocks: readonly (readonly Step[])[];
  readonly fate: 'commit' | 'drop' | 'disk full' | 'reopen';
};

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    what: fc.constant('account' as const),
    at: fc.nat(addresses.length - 1),
    nonce: fc.nat(3),
    wei: fc.oneof(fc.constant(0n), fc.bigInt(0n, 10n ** 30n)),
  }),
  fc.record({
    what: fc.constant('slot' as const),
    at: fc.nat(contracts - 1),
    key: fc.nat(keys.length - 1),
    value: fc.oneof(fc.constant(0n), fc.bigInt(0n, 300n), fc.bigInt(0n, 2n ** 256n - 1n)),
  }),
);
const round: fc.Arbitrary<Round> = fc.record({
  blocks: fc.array(fc.array(step, { maxLength: 25 }), { minLength: 1, maxLength: 3 }),
  fate: fc.constantFrom('commit', 'commit', 'commit', 'drop', 'disk full', 'reopen'),
});

/** The same history in another implementation's tries. */
class Twin {
  readonly accounts = new Map<string, { nonce: bigint; balance: bigint }>();
  readonly slots = new Map<string, bigint>();

  apply(step: Step): void {
    const address = addresses[step.at] ?? '';
    if (step.what === 'slot') {
      const account = this.accounts.get(address) ?? { nonce: 0n, balance: 0n };
      // A contract has a nonce.
      this.accounts.set(address, { ...account, nonce: account.nonce || 1n });
      this.slots.set(`${address}/${keys[step.key]}`, step.value);
      return;
    }
    const nonce = BigInt(step.at < contracts ? step.nonce + 1 : step.nonce);
    this.accounts.set(address, { nonce, balance: step.wei });
  }

  copy(): Twin {
    const copy = new Twin();
    for (const [key, value] of this.accounts) copy.accounts.set(key, value);
    for (const [key, value] of this.slots) copy.slots.set(key, value);
    return copy;
  }

  async root(): Promise<string> {
    const state = await createMPT({ useKeyHashing: true });
    for (const [address, { nonce, balance }] of this.accounts) {
      if (nonce === 0n && balance === 0n) continue;
      const storage = await this.#storage(address);
      const fields = [nonce, balance, storage.root(), hashToBytes(EMPTY_ACCOUNT.codeHash)];
      await state.put(addressToBytes(address as Address), RLP.encode(fields));
    }
    return toHex(state.root());
  }

  async #storage(address: string): Promise<MerklePatriciaTrie> {
    const storage = await createMPT({ useKeyHashing: true });
    for (const [place, value] of this.slots) {
      if (!place.startsWith(address) || value === 0n) continue;
      await storage.put(Buffer.from(place.slice(43), 'hex'), RLP.encode(value));
    }
    return storage;
  }

  assertReadBy(reader: StateReader, who: string): void {
    for (const address of addresses) {
      const { nonce, balance } = this.accounts.get(address) ?? { nonce: 0n, balance: 0n };
      const account = reader.account(address as Address);
      assert.equal(account?.nonce ?? 0n, nonce, `${who}: nonce of ${address}`);
      assert.equal(account?.balance ?? 0n, balance, `${who}: balance of ${address}`);
      assert.ok(account === null || !isEmptyAccount(account), `${who}: ${address} is not there`);
      for (const key of keys) {
        const want = trimSlot(uintToBytes(this.slots.get(`${address}/${key}`) ?? 0n, 32));
        assert.deepEqual(reader.slot(address as Address, key), want, `${who}: slot ${key}`);
      }
    }
  }
}

function apply(state: Overlay, step: Step): void {
  const address = addresses[step.at] as Address;
  if (step.what === 'slot') {
    state.changeAccount(address, (account) => ({ ...account, nonce: account.nonce || 1n }));
    state.setSlot(address, keys[step.key] ?? '', trimSlot(uintToBytes(step.value, 32)));
    return;
  }
  const nonce = BigInt(step.at < contracts ? step.nonce + 1 : step.nonce);
  state.changeAccount(address, (account) => ({ ...account, nonce, balance: asWei(step.wei) }));
}

function recordOf(height: bigint, changes: StateChanges): BlockRecord {
  const hash = keccakHash(uintToBytes(height, 8));
  return {
    ...{ height: asHeight(height), hash, parentHash: hash, block: hashToBytes(hash) },
    ...{ senders: new Uint8Array(0), receipts: [], transactions: [], history: [] },
    ...{ changes, nextEpoch: null },
  };
}

/** A disk that can be full. */
class Disk implements Shelf {
  full = false;
  readonly #shelf: Shelf;
  constructor(shelf: Shelf) {
    this.#shelf = shelf;
  }
  get(...of: Parameters<Shelf['get']>) {
    return this.#shelf.get(...of);
  }
  range(...of: Parameters<Shelf['range']>) {
    return this.#shelf.range(...of);
  }
  async write(...of: Parameters<Shelf['write']>): Promise<void> {
    if (this.full) throw new Error('ENOSPC');
    await this.#shelf.write(...of);
  }
  close(): Promise<void> {
    return this.#shelf.close();
  }
}

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

describe('what was used lately', () => {
  it('is bounded, and what is used stays', () => {
    const recent = new RecentlyUsed<number, number>(100);
    for (let key = 0; key < 10_000; key++) {
      recent.set(key, key);
      assert.ok(recent.size <= 100, `${recent.size} entries`);
      assert.equal(recent.get(key), key);
      if (key > 0) assert.equal(recent.get(0), 0, 'used in every turn');
    }
    assert.equal(recent.get(9_000), undefined);
    assert.equal(recent.get(9_980), 9_980);
  });

  it('a new value takes the place of an old one', () => {
    const recent = new RecentlyUsed<string, number | null>(4);
    for (const value of [1, 2, null, 3]) {
      recent.set('a', value);
      for (const other of ['b', 'c']) recent.set(other, 0);
      assert.equal(recent.get('a'), value);
    }
  });
});
