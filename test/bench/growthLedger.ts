import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Chain } from '#src/chain/chain.ts';
import type { ChainParams } from '#src/chain/params.ts';
import { keccak256 } from '#src/crypto/keccak.ts';
import { EMPTY_ACCOUNT } from '#src/ledger/state/account.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import { emptyState, type StateChanges } from '#src/ledger/state/reader.ts';
import { SeededRandom } from '#src/lib/random.ts';
import { type Address, addressFromBytes, addressToBytes } from '#src/types/address.ts';
import { makeBlock } from '#src/types/block.ts';
import type { Hash } from '#src/types/hash.ts';
import { EMPTY_TRIE_ROOT } from '#src/types/listRoot.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import { asWei } from '#src/types/units.ts';
import { ShelfChainStore } from '#storage/chainStore.ts';
import { LevelShelf } from '#storage/levelShelf.ts';
import type { Change } from '#storage/shelf.ts';
import { stateRows } from '#storage/stateRows.ts';
import { TinyNetwork } from '../chain/network.ts';
import { payment, person } from '../ledger/samples.ts';

export type Plan = { readonly accounts: number; readonly payments: number };

const ROOT = 'root';
/** Accounts whose trie is brought up to date at once: bounds the memory of the founding. */
const foundedAtOnce = 50_000;

/** The tiny network, begun with a state that is too large for a genesis file. */
export function grownNetwork(stateRoot: Hash): TinyNetwork {
  const network = new TinyNetwork();
  const { genesis } = network.params;
  const { changes } = new Overlay(emptyState).seal(EMPTY_TRIE_ROOT);
  const block = makeBlock({ ...genesis.block.header, stateRoot }, []);
  const params: ChainParams = { ...network.params, genesis: { block, changes, history: [] } };
  return Object.assign(network, { params });
}

export function readNetwork(dir: string): TinyNetwork {
  return grownNetwork(readFileSync(join(dir, ROOT), 'utf8') as Hash);
}

/** Flat rows and tries, in the order of the trie, straight into the tables. */
export async function foundLedger(dir: string, plan: Plan, archive: boolean): Promise<void> {
  const shelf = await LevelShelf.create(join(dir, 'chain'));
  const { genesis } = new TinyNetwork().params;
  await shelf.write(rowsOf(genesis.changes));
  let root = genesis.block.header.stateRoot;
  const order = trieOrder(plan);
  for (let from = 0; from < order.length; from += foundedAtOnce) {
    // A store anew each time: the tables are written behind its back.
    const state = new Overlay(await ShelfChainStore.open(shelf));
    for (const packed of order.subarray(from, from + foundedAtOnce)) {
      const address = addressAt(Number(packed & 0xff_ffffn), plan);
      state.setAccount(address, { ...EMPTY_ACCOUNT, balance: asWei(10n ** 18n) });
    }
    const sealed = state.seal(root);
    root = sealed.root;
    await shelf.write(rowsOf(sealed.changes));
  }
  writeFileSync(join(dir, ROOT), root);
  const store = await ShelfChainStore.open(shelf);
  await Chain.create(grownNetwork(root).params, store);
  await ShelfChainStore.open(shelf, archive);
  await store.close();
}

/** From accounts that pay once each, to accounts anywhere. */
export function randomPayments(plan: Plan): SignedTransaction[] {
  const random = new SeededRandom(1);
  const payers = payersOf(plan);
  return Array.from({ length: plan.payments }, (_, at) =>
    payment(person(at % payers), {
      nonce: BigInt(Math.floor(at / payers)),
      to: addressAt(random.below(plan.accounts), plan),
      value: asWei(BigInt(1 + random.below(1_000_000)) * 10_000_000n),
    }),
  );
}

function rowsOf(changes: StateChanges): Change[] {
  const rows: Change[] = [];
  stateRows(changes, rows);
  return rows;
}

function payersOf({ accounts, payments }: Plan): number {
  return Math.min(accounts, payments);
}

const payerAddresses = new Map<number, Address>();

/** The first can sign; the others only receive, and need no key. */
function addressAt(index: number, plan: Plan): Address {
  if (index < payersOf(plan)) {
    const known = payerAddresses.get(index) ?? person(index).address;
    payerAddresses.set(index, known);
    return known;
  }
  const seed = new Uint8Array(8);
  new DataView(seed.buffer).setUint32(0, index);
  return addressFromBytes(keccak256(seed).subarray(0, 20));
}

/** 40 bits of the path in the trie and 24 of the account's number, so that numbers sort. */
function trieOrder(plan: Plan): BigUint64Array {
  const order = new BigUint64Array(plan.accounts);
  for (let index = 0; index < plan.accounts; index++) {
    const path = keccak256(addressToBytes(addressAt(index, plan)));
    const high = new DataView(path.buffer, path.byteOffset).getBigUint64(0) >> 24n;
    order[index] = (high << 24n) | BigInt(index);
  }
  return order.sort();
}
