/**
 * Which accounts and slots a message has touched (EIP-2929), in place of the library's journal: that
 * one makes six collections for each call, and copies all of them for each revert.
 */
import { toBareHex } from '#src/lib/bytes.ts';
import type { World } from './world.ts';

type LibraryWorld = Pick<
  World,
  'checkpoint' | 'commit' | 'revert' | 'putAccount' | 'deleteAccount'
>;
type LibraryAddress = Parameters<World['getAccount']>[0];
type LibraryAccount = Parameters<World['putAccount']>[1];

/** Names are the library's: it calls this from its opcodes. */
export class Warmth {
  readonly #world: LibraryWorld;
  readonly #accounts = new Map<string, Set<string>>();
  /** What was added, in order: an account, or a slot of one. */
  readonly #added: { readonly account: string; readonly slot: string | null }[] = [];
  readonly #marks: number[] = [];
  /** Where the message asked for it: also of what was reverted. By bare hex. */
  accessList: Map<string, Set<string>> | undefined;

  constructor(world: LibraryWorld) {
    this.#world = world;
  }

  startReportingAccessList(): void {
    this.accessList = new Map();
  }

  isWarmedAddress(address: Uint8Array): boolean {
    return this.#accounts.has(toBareHex(address));
  }

  addWarmedAddress(address: Uint8Array): void {
    const account = toBareHex(address);
    this.#report(account);
    if (this.#accounts.has(account)) return;
    this.#accounts.set(account, new Set());
    this.#added.push({ account, slot: null });
  }

  isWarmedStorage(address: Uint8Array, key: Uint8Array): boolean {
    return this.#accounts.get(toBareHex(address))?.has(toBareHex(key)) ?? false;
  }

  addWarmedStorage(address: Uint8Array, key: Uint8Array): void {
    this.addWarmedAddress(address);
    const [account, slot] = [toBareHex(address), toBareHex(key)];
    this.accessList?.get(account)?.add(slot);
    const slots = this.#accounts.get(account);
    if (slots === undefined || slots.has(slot)) return;
    slots.add(slot);
    this.#added.push({ account, slot });
  }

  /** Before the message: paid for, and not reported. By hex, with 0x or without. */
  addAlwaysWarmAddress(address: string): void {
    const account = bare(address);
    if (!this.#accounts.has(account)) this.#accounts.set(account, new Set());
  }

  addAlwaysWarmSlot(address: string, key: string): void {
    this.addAlwaysWarmAddress(address);
    this.#accounts.get(bare(address))?.add(bare(key));
  }

  async putAccount(address: LibraryAddress, account: LibraryAccount): Promise<void> {
    return this.#world.putAccount(address, account);
  }

  async deleteAccount(): Promise<void> {
    return this.#world.deleteAccount();
  }

  async checkpoint(): Promise<void> {
    this.#marks.push(this.#added.length);
    return this.#world.checkpoint();
  }

  async commit(): Promise<void> {
    this.#marks.pop();
    return this.#world.commit();
  }

  async revert(): Promise<void> {
    const mark = this.#marks.pop() ?? 0;
    for (const { account, slot } of this.#added.splice(mark).reverse()) {
      if (slot === null) this.#accounts.delete(account);
      else this.#accounts.get(account)?.delete(slot);
    }
    return this.#world.revert();
  }

  /** After the message, whatever became of it. */
  cleanJournal(): void {
    this.#accounts.clear();
    this.#added.length = 0;
    this.#marks.length = 0;
  }

  #report(account: string): void {
    if (this.accessList !== undefined && !this.accessList.has(account)) {
      this.accessList.set(account, new Set());
    }
  }
}

function bare(hex: string): string {
  return hex.startsWith('0x') ? hex.slice(2) : hex;
}
