import { EMPTY_BYTES } from '#src/lib/bytes.ts';
import type { Address } from '#src/types/address.ts';
import { type Hash, keccakHash } from '#src/types/hash.ts';
import type { Nibbles } from '#src/types/nibbles.ts';
import { asWei } from '#src/types/units.ts';
import { type Account, EMPTY_ACCOUNT, EMPTY_CODE_HASH, isEmptyAccount } from './account.ts';
import { trimSlot } from './overlay.ts';
import type { SlotKey, StateReader } from './reader.ts';
import type { TrieNode } from './trieNode.ts';

/** What who asks would have of an account; null leaves it as it is. */
export type Override = {
  readonly nonce: bigint | null;
  readonly balance: bigint | null;
  readonly code: Uint8Array | null;
  /** In place of all storage, or of some slots of it; by bare hex of 32 bytes. */
  readonly state: ReadonlyMap<SlotKey, Uint8Array> | null;
  readonly stateDiff: ReadonlyMap<SlotKey, Uint8Array> | null;
};

/** A state with accounts as somebody would have them: only for answers, never for a block. */
export class OverriddenState implements StateReader {
  readonly #parent: StateReader;
  readonly #overrides: ReadonlyMap<Address, Override>;
  readonly #code = new Map<Hash, Uint8Array>();

  constructor(parent: StateReader, overrides: ReadonlyMap<Address, Override>) {
    this.#parent = parent;
    this.#overrides = overrides;
    for (const { code } of overrides.values()) {
      if (code !== null) this.#code.set(keccakHash(code), code);
    }
  }

  account(address: Address): Account | null {
    const found = this.#parent.account(address);
    const override = this.#overrides.get(address);
    if (override === undefined) return found;
    const { nonce, balance, code } = override;
    const account = { ...(found ?? EMPTY_ACCOUNT) };
    if (nonce !== null) account.nonce = nonce;
    if (balance !== null) account.balance = asWei(balance);
    if (code !== null) account.codeHash = code.length === 0 ? EMPTY_CODE_HASH : keccakHash(code);
    return isEmptyAccount(account) ? null : account;
  }

  slot(address: Address, key: SlotKey): Uint8Array {
    const override = this.#overrides.get(address);
    const given = (override?.state ?? override?.stateDiff)?.get(key);
    if (given !== undefined) return trimSlot(given);
    if (override !== undefined && override.state !== null) return EMPTY_BYTES;
    return this.#parent.slot(address, key);
  }

  code(hash: Hash): Uint8Array | null {
    return this.#code.get(hash) ?? this.#parent.code(hash);
  }

  trieNode(owner: Address | null, path: Nibbles): TrieNode | null {
    return this.#parent.trieNode(owner, path);
  }
}
