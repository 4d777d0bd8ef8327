/**
 * The overlay as a machine for contracts needs it: nested checkpoints, what a slot held before the
 * transaction, and the coin that moves on the way. It also keeps what the machine must not do: make
 * or destroy coin, or touch a reserved or a virtual address.
 */
import { assert } from '#src/lib/failure.ts';
import {
  type Address,
  addressToBytes,
  isReservedAddress,
  isVirtualAddress,
} from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { asWei } from '#src/types/units.ts';
import type { Transfer } from '../payments/dispatch.ts';
import { type Account, EMPTY_ACCOUNT, EMPTY_CODE_HASH } from '../state/account.ts';
import { type Overlay, trimSlot } from '../state/overlay.ts';
import type { SlotKey } from '../state/reader.ts';

/** At a native contract's address only it takes coin or a nonce, at a virtual one nobody. */
export class ReservedError extends Error {}

export class EvmState {
  readonly overlay: Overlay;
  /** Between accounts, beside the transaction's own value; what was reverted is not in it. */
  readonly transfers: Transfer[] = [];
  readonly #marks: { readonly journal: number; readonly transfers: number }[] = [];
  /** The values that slots had when the transaction began, of those written since. */
  readonly #originals = new Map<Address, Map<SlotKey, Uint8Array>>();
  /** Each read once: a call of 100 gas must not cost a read of 24 KiB, and finds its jumps again. */
  readonly #codes = new Map<Hash, Uint8Array>();
  /** Of code that gave itself up just now. */
  #gift: Transfer | null = null;
  #lastCredit: { readonly to: Address; readonly amount: bigint } | null = null;

  constructor(overlay: Overlay) {
    this.overlay = overlay;
  }

  account(address: Address): Account | null {
    return this.overlay.account(address);
  }

  code(address: Address): Uint8Array {
    const hash = this.overlay.account(address)?.codeHash ?? EMPTY_CODE_HASH;
    let code = this.#codes.get(hash);
    if (code === undefined) {
      code = codeAt(this.overlay, address);
      this.#codes.set(hash, code);
    }
    return code;
  }

  slot(address: Address, key: SlotKey): Uint8Array {
    return this.overlay.slot(address, key);
  }

  /** What the slot held before the transaction (EIP-2200 prices a write by it). */
  original(address: Address, key: SlotKey): Uint8Array {
    return this.#originals.get(address)?.get(key) ?? this.overlay.slot(address, key);
  }

  setSlot(address: Address, key: SlotKey, value: Uint8Array): void {
    let originals = this.#originals.get(address);
    if (originals === undefined) {
      originals = new Map();
      this.#originals.set(address, originals);
    }
    if (!originals.has(key)) originals.set(key, this.overlay.slot(address, key));
    this.overlay.setSlot(address, key, trimSlot(value));
  }

  /** Nonce and balance; what else an account has is changed by name. */
  put(address: Address, nonce: bigint, balance: bigint): void {
    const account = this.overlay.account(address) ?? EMPTY_ACCOUNT;
    const credit = balance - account.balance;
    const isTaken = credit > 0n || nonce !== account.nonce;
    const isNobodys = isReservedAddress(address) || isVirtualAddress(address);
    if (isTaken && isNobodys) throw new ReservedError();
    if (credit > 0n) this.#lastCredit = { to: address, amount: credit };
    this.overlay.setAccount(address, { ...account, nonce, balance: asWei(balance) });
  }

  setCode(address: Address, code: Uint8Array): void {
    const codeHash = code.length === 0 ? EMPTY_CODE_HASH : this.overlay.setCode(code);
    this.overlay.changeAccount(address, (account) => ({ ...account, codeHash }));
  }

  /** Of an account that is given up: its balance went to whoever was credited just before. */
  emptyBalance(address: Address): void {
    const account = this.overlay.account(address);
    if (account === null || account.balance === 0n) return;
    const { balance: amount } = account;
    const credit = this.#lastCredit;
    assert(credit !== null && credit.amount === amount, 'what one gives up another has received');
    this.#gift = { from: address, to: credit.to, amount };
    this.transfers.push(this.#gift);
    this.overlay.setAccount(address, { ...account, balance: asWei(0n) });
  }

  takeGift(): Transfer | null {
    const gift = this.#gift;
    this.#gift = null;
    return gift;
  }

  /**
   * After the transaction that created it, what is left of a contract that gave itself up: its
   * coin, where it had any (EIP-8246), for none may be lost.
   */
  destroy(address: Address): void {
    const { balance } = this.overlay.account(address) ?? EMPTY_ACCOUNT;
    this.overlay.clearSlots(address);
    this.overlay.setAccount(address, { ...EMPTY_ACCOUNT, balance });
  }

  checkpoint(): void {
    const { length } = this.transfers;
    this.#marks.push({ journal: this.overlay.checkpoint(), transfers: length });
  }

  commit(): void {
    const mark = this.#marks.pop();
    assert(mark !== undefined, 'a checkpoint is closed once');
  }

  revert(): void {
    const mark = this.#marks.pop();
    assert(mark !== undefined, 'a checkpoint is closed once');
    this.overlay.revertTo(mark.journal);
    this.transfers.length = mark.transfers;
  }

  /** To the first checkpoint, however many are open. */
  revertAll(): void {
    this.#marks.splice(1);
    this.revert();
  }
}

const NO_CODE = new Uint8Array(0);
/** EIP-7702: what stands before the address in the code of an account that delegates. */
const DELEGATION = [0xef, 0x01, 0x00] as const;
const DELEGATION_BYTES = 23;

export function codeAt(
  state: { account(address: Address): Account | null; code(hash: Hash): Uint8Array | null },
  address: Address,
): Uint8Array {
  const hash = state.account(address)?.codeHash ?? EMPTY_CODE_HASH;
  if (hash === EMPTY_CODE_HASH) return NO_CODE;
  const code = state.code(hash);
  assert(code !== null, 'the code of an account is in the state');
  return code;
}

export function isDelegation(code: Uint8Array): boolean {
  return code.length === DELEGATION_BYTES && DELEGATION.every((byte, at) => code[at] === byte);
}

export function delegationTo(target: Address): Uint8Array {
  return Uint8Array.of(...DELEGATION, ...addressToBytes(target));
}
