import { EVMError } from '@ethereumjs/evm';
import { Account as LibraryAccount, Address as LibraryAddress } from '@ethereumjs/util';
import { toBareHex, uintToBytes } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import { type Address, addressToBytes } from '#src/types/address.ts';
import { type Hash, hashFromBytes, hashToBytes } from '#src/types/hash.ts';
import { EMPTY_TRIE_ROOT } from '#src/types/listRoot.ts';
import type { Log } from '#src/types/receipt.ts';
import type { Height } from '#src/types/units.ts';
import type { CallObserver } from '../calls.ts';
import type { BlockFacts } from '../payments/contract.ts';
import { type Account, EMPTY_CODE_HASH } from '../state/account.ts';
import { type EvmState, ReservedError } from './evmState.ts';

/** What code may know of the block that it runs in. */
export type EvmBlock = BlockFacts & {
  readonly chainId: bigint;
  readonly coinbase: Address;
  readonly prevRandao: Hash;
  readonly baseFeePerGas: bigint;
  /** Of the lane, which is all that code can use. */
  readonly gasLimit: bigint;
  /** Null for what is no ancestor; asked for the last 256 heights only. */
  blockHash(height: Height): Hash | null;
  /** Whether coin that a message moves is among its logs. */
  readonly logsTransfers?: boolean;
  /** Where precompiles are, where that is not as always: which of them by its address. */
  readonly precompiles?: ReadonlyMap<Address, Address> | null;
  readonly observer?: CallObserver;
};

const ADDRESS_MASK = (1n << 160n) - 1n;

/** State and chain as the library asks for them: promises, and its own classes. */
export class World {
  #state: EvmState | null = null;
  #block: EvmBlock | null = null;
  /** What the state threw, which is none of the library's business. */
  failure: { readonly error: unknown } | null = null;

  begin(state: EvmState, block: EvmBlock): void {
    this.#state = state;
    this.#block = block;
    this.failure = null;
  }

  get state(): EvmState {
    assert(this.#state !== null, 'a message has a state');
    return this.#state;
  }

  get block(): EvmBlock {
    assert(this.#block !== null, 'a message has a block');
    return this.#block;
  }

  guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof ReservedError) {
        throw new EVMError(EVMError.errorMessages.CREATE_COLLISION);
      }
      this.failure ??= { error };
      throw error;
    }
  }

  noteTransfer(from: LibraryAddress, to: LibraryAddress, amount: bigint): void {
    const [giver, taker] = [addressOf(from), addressOf(to)];
    if (amount > 0n && giver !== taker) {
      this.state.transfers.push({ from: giver, to: taker, amount });
    }
  }

  // --- accounts, code and slots -----------------------------------------------------------------

  async getAccount(address: LibraryAddress): Promise<LibraryAccount | undefined> {
    const account = this.guard(() => this.state.account(addressOf(address)));
    return account === null ? undefined : accountToLibrary(account);
  }

  async putAccount(address: LibraryAddress, account?: LibraryAccount): Promise<void> {
    assert(account !== undefined, 'an account is given up by name');
    const { nonce, balance } = account;
    this.guard(() => this.state.put(addressOf(address), nonce, balance));
  }

  async deleteAccount(): Promise<void> {
    assert(false, 'accounts are removed after the message');
  }

  /** The library does this where a contract gives itself up, and nowhere else. */
  async modifyAccountFields(address: LibraryAddress, fields: { balance?: bigint }): Promise<void> {
    const isKnown = Object.keys(fields).join() === 'balance' && fields.balance === 0n;
    this.guard(() => {
      assert(isKnown, 'a balance is emptied, nothing else');
      this.state.emptyBalance(addressOf(address));
    });
  }

  async getCode(address: LibraryAddress): Promise<Uint8Array> {
    return this.guard(() => this.state.code(addressOf(address)));
  }

  /** By an address as it lies on the stack. */
  codeOfWord(word: bigint): Uint8Array {
    const address = `0x${(word & ADDRESS_MASK).toString(16).padStart(40, '0')}` as Address;
    return this.guard(() => this.state.code(address));
  }

  async getCodeSize(address: LibraryAddress): Promise<number> {
    return this.guard(() => this.state.code(addressOf(address)).length);
  }

  async putCode(address: LibraryAddress, code: Uint8Array): Promise<void> {
    this.guard(() => this.state.setCode(addressOf(address), code.slice()));
  }

  async getStorage(address: LibraryAddress, key: Uint8Array): Promise<Uint8Array> {
    return padded(this.guard(() => this.state.slot(addressOf(address), toBareHex(key))));
  }

  async putStorage(): Promise<void> {
    return unasked();
  }

  /** Key and value as they lie on the stack. */
  storeWord(address: LibraryAddress, key: bigint, value: bigint): void {
    const name = key.toString(16).padStart(64, '0');
    this.guard(() => this.state.setSlot(addressOf(address), name, uintToBytes(value, 32)));
  }

  /** Only of an account that has none: where storage is, no contract is created (EIP-7610). */
  async clearStorage(): Promise<void> {}

  readonly originalStorageCache = {
    get: async (address: LibraryAddress, key: Uint8Array) =>
      padded(this.guard(() => this.state.original(addressOf(address), toBareHex(key)))),
    clear: () => undefined,
  };

  async checkpoint(): Promise<void> {
    this.state.checkpoint();
  }
  async commit(): Promise<void> {
    this.state.commit();
  }
  async revert(): Promise<void> {
    this.guard(() => this.state.revert());
  }

  // --- what a message never asks for ------------------------------------------------------------

  async getStateRoot(): Promise<Uint8Array> {
    return unasked();
  }
  async setStateRoot(): Promise<void> {
    return unasked();
  }
  async hasStateRoot(): Promise<boolean> {
    return unasked();
  }
  clearCaches(): void {}
  shallowCopy(): World {
    return unasked();
  }

  // --- ancestors --------------------------------------------------------------------------------

  async getBlock(height: number): Promise<{ hash(): Uint8Array }> {
    const hash = this.guard(() => this.block.blockHash(BigInt(height) as Height));
    const bytes = hash === null ? new Uint8Array(32) : hashToBytes(hash);
    return { hash: () => bytes };
  }
  async putBlock(): Promise<void> {
    return unasked();
  }
}

type LibraryLog = [Uint8Array, Uint8Array[], Uint8Array];

export function addressOf(address: LibraryAddress): Address {
  return address.toString() as Address;
}

export function addressToLibrary(address: Address): LibraryAddress {
  return new LibraryAddress(addressToBytes(address));
}

const EMPTY_ROOT_BYTES = hashToBytes(EMPTY_TRIE_ROOT);
const EMPTY_CODE_BYTES = hashToBytes(EMPTY_CODE_HASH);

function accountToLibrary({ nonce, balance, storageRoot, codeHash }: Account): LibraryAccount {
  const root = storageRoot === EMPTY_TRIE_ROOT ? EMPTY_ROOT_BYTES : hashToBytes(storageRoot);
  const code = codeHash === EMPTY_CODE_HASH ? EMPTY_CODE_BYTES : hashToBytes(codeHash);
  return new LibraryAccount(nonce, balance, root, code);
}

export function logFromLibrary([address, topics, data]: LibraryLog): Log {
  const emitter = `0x${toBareHex(address)}` as Address;
  return { address: emitter, topics: topics.map(hashFromBytes), data: data.slice() };
}

export function logToLibrary({ address, topics, data }: Log): LibraryLog {
  return [addressToBytes(address), topics.map(hashToBytes), data];
}

/** A value of a slot, of 32 bytes, before the library makes it so in its slow way; or nothing. */
function padded(value: Uint8Array): Uint8Array {
  if (value.length === 0 || value.length === 32) return value;
  const whole = new Uint8Array(32);
  whole.set(value, 32 - value.length);
  return whole;
}

function unasked(): never {
  assert(false, 'a message does not ask for this');
}
