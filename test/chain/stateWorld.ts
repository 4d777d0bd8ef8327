import assert from 'node:assert/strict';
import { createMPT, type MerklePatriciaTrie } from '@ethereumjs/mpt';
import { RLP } from '@ethereumjs/rlp';
import fc from 'fast-check';
import type { BlockRecord } from '#src/chain/store.ts';
import { EMPTY_ACCOUNT, isEmptyAccount } from '#src/ledger/state/account.ts';
import { type Overlay, trimSlot } from '#src/ledger/state/overlay.ts';
import type { StateChanges, StateReader } from '#src/ledger/state/reader.ts';
import { toHex, uintToBytes } from '#src/lib/bytes.ts';
import { type Address, addressToBytes } from '#src/types/address.ts';
import { hashToBytes, keccakHash } from '#src/types/hash.ts';
import { asHeight, asWei } from '#src/types/units.ts';
import type { Shelf } from '#storage/shelf.ts';

/** Histories of accounts and storage, and the same in another implementation's tries. */

const contracts = 4;
export const addresses = Array.from({ length: 24 }, (_, at) =>
  toHex(uintToBytes(BigInt(at + 1), 20)),
);
export const keys = Array.from({ length: 12 }, (_, at) => at.toString(16).padStart(64, '0'));

export type Step =
  | { readonly what: 'account'; readonly at: number; readonly nonce: number; readonly wei: bigint }
  | { readonly what: 'slot'; readonly at: number; readonly key: number; readonly value: bigint };
export type Round = {
  /** Blocks on each other, committed at once. */
  readonly blocks: readonly (readonly Step[])[];
  readonly fate: 'commit' | 'drop' | 'disk full' | 'reopen';
};

export const step: fc.Arbitrary<Step> = fc.oneof(
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
export const round: fc.Arbitrary<Round> = fc.record({
  blocks: fc.array(fc.array(step, { maxLength: 25 }), { minLength: 1, maxLength: 3 }),
  fate: fc.constantFrom('commit', 'commit', 'commit', 'drop', 'disk full', 'reopen'),
});

/** The same history in another implementation's tries. */
export class Twin {
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

export function apply(state: Overlay, step: Step): void {
  const address = addresses[step.at] as Address;
  if (step.what === 'slot') {
    state.changeAccount(address, (account) => ({ ...account, nonce: account.nonce || 1n }));
    state.setSlot(address, keys[step.key] ?? '', trimSlot(uintToBytes(step.value, 32)));
    return;
  }
  const nonce = BigInt(step.at < contracts ? step.nonce + 1 : step.nonce);
  state.changeAccount(address, (account) => ({ ...account, nonce, balance: asWei(step.wei) }));
}

export function recordOf(height: bigint, changes: StateChanges): BlockRecord {
  const hash = keccakHash(uintToBytes(height, 8));
  return {
    ...{ height: asHeight(height), hash, parentHash: hash, block: hashToBytes(hash) },
    ...{ senders: new Uint8Array(0), receipts: [], transactions: [], history: [] },
    ...{ changes, nextEpoch: null },
  };
}

/** A disk that can be full. */
export class Disk implements Shelf {
  full = false;
  readonly #shelf: Shelf;
  constructor(shelf: Shelf) {
    this.#shelf = shelf;
  }
  get(...of: Parameters<Shelf['get']>) {
    return this.#shelf.get(...of);
  }
  view() {
    return this.#shelf.view();
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
