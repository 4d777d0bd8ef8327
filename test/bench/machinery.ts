/**
 * What a node itself spends on one plain payment, step by step, in one process and without a
 * network: microseconds of one core. The signature is measured apart: no code here can make it
 * cheaper. `node test/bench/machinery.ts` prints it alone.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Chain, type Work } from '#src/chain/chain.ts';
import { assert } from '#src/lib/failure.ts';
import { atOnce } from '#src/lib/steps.ts';
import { defaultPoolLimits, Pool } from '#src/pool/pool.ts';
import { decodeRelay } from '#src/pool/relay.ts';
import { type Block, encodeBlock } from '#src/types/block.ts';
import { decodeTransaction } from '#src/types/decodeTransaction.ts';
import { encodeRlp } from '#src/types/rlp.ts';
import { recoverSender, type SignedTransaction } from '#src/types/transaction.ts';
import { asView } from '#src/types/units.ts';
import { ShelfChainStore } from '#storage/chainStore.ts';
import { LevelShelf } from '#storage/levelShelf.ts';
import { poolRules } from '../../bin/settings.ts';
import { genesisSeconds, TinyNetwork } from '../chain/network.ts';
import { chainId, type Person, payment, person } from '../ledger/samples.ts';

export type Machinery = {
  /** Microseconds of one core for each payment, in the order of its journey. */
  readonly steps: Readonly<Record<string, number>>;
  /** The steps of a validator that did not propose the block, without the signature. */
  readonly own: number;
};

/** `senders` people pay each other in turn, one payment each in every block. */
export async function machinery(blocks: number, senders: number): Promise<Machinery> {
  const people = Array.from({ length: senders }, (_, at) => person(at));
  const network = new TinyNetwork([1, 1, 1, 1], genesisSeconds, people);
  const proposer = await Node.create(network);
  const follower = await Node.create(network);
  const spent = new Map<string, number>();
  const time = async <T>(step: string, work: () => T | Promise<T>): Promise<T> => {
    const before = process.cpuUsage();
    const result = await work();
    const { user, system } = process.cpuUsage(before);
    spent.set(step, (spent.get(step) ?? 0) + user + system);
    return result;
  };
  for (let round = 0; round < blocks; round++) {
    const sent = people.map((from, at) => {
      const to = people[(at + 1 + round) % senders]?.address ?? from.address;
      return { from, raw: payment(from, { nonce: BigInt(round), to }).raw };
    });
    const message = encodeRlp(sent.map(({ raw }) => raw));
    await time('relayed batch', () => decodeRelay(message));
    const signed = await time('decode', () => sent.map(({ raw, from }) => decode(raw, from)));
    await time('signature', () => signed.map((transaction) => recoverSender(transaction)));
    await time('admission', () => {
      for (const transaction of signed)
        assert(follower.pool.add(transaction, false).ok, 'admitted');
    });
    for (const transaction of signed) assert(proposer.pool.add(transaction, true).ok, 'admitted');
    const block = await time('build (proposer)', () => proposer.build());
    const bytes = await time('encode block (proposer)', () => encodeBlock(block));
    const decoded = await time('decode block', () => follower.chain.decode(bytes));
    assert(decoded.ok && block.transactions.length === senders, 'one block takes them all');
    await time('execute, state root', () => {
      assert(follower.chain.check(decoded.value) === null, 'a valid block');
    });
    await time('commit: history, indices, state', () => follower.commit(decoded.value));
    await proposer.commit(block);
  }
  await proposer.close();
  await follower.close();
  const payments = blocks * senders;
  const steps = Object.fromEntries([...spent].map(([name, micros]) => [name, micros / payments]));
  const others = Object.entries(steps).filter(([name]) => !/signature|proposer/.test(name));
  return { steps, own: others.reduce((sum, [, micros]) => sum + micros, 0) };
}

/** A chain on a real disk with its pool, driven as agreement drives it. */
class Node {
  readonly #dir: string;
  readonly #network: TinyNetwork;
  readonly #store: ShelfChainStore;
  readonly chain: Chain;
  readonly pool: Pool;

  private constructor(network: TinyNetwork, dir: string, store: ShelfChainStore, chain: Chain) {
    this.#dir = dir;
    this.#network = network;
    this.#store = store;
    this.chain = chain;
    this.pool = new Pool({
      limits: { ...defaultPoolLimits, poolTransactionsMax: 1_000_000 },
      rules: poolRules(network.params.rules),
      account: (address) => chain.account(address) ?? { nonce: 0n, balance: 0n },
      coverOf: () => null,
      now: () => 0,
    });
  }

  static async create(network: TinyNetwork): Promise<Node> {
    const dir = mkdtempSync(join(tmpdir(), 'mpbp-machinery-'));
    const store = await ShelfChainStore.open(await LevelShelf.create(join(dir, 'chain')));
    await Chain.create(network.params, store);
    const chain: Chain = await Chain.open({
      params: network.params,
      store,
      known: (hash) => node.pool.get(hash),
      onFinal: () => undefined,
    });
    const node = new Node(network, dir, store, chain);
    return node;
  }

  build(): Block {
    const parent = this.chain.head;
    const { view, timestampMs } = parent.header.consensus;
    const next = { view: asView(view + 1), parentView: view, timestampMs: timestampMs + 1_000 };
    const work: Work = {
      candidates: (state) =>
        this.pool.executableFrom((address) => state.account(address)?.nonce ?? 0n),
      mayBeEmpty: false,
    };
    const soon = this.chain.build(parent.hash, { ...next, proposerIndex: 1 }, work);
    const block = atOnce(soon);
    assert(block !== null, 'the parent is known');
    return block;
  }

  async commit(block: Block): Promise<void> {
    await this.chain.commit(this.#network.proven([block]), 0);
    this.pool.settle(new Set(block.transactions.map(({ sender }) => sender)));
  }

  async close(): Promise<void> {
    await this.#store.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** With the sender at hand: recovering it is a step of its own. */
function decode(raw: Uint8Array, { address }: Person): SignedTransaction {
  const decoded = decodeTransaction(raw, { chainId, senderOf: () => address });
  assert(decoded.ok, 'an own payment decodes');
  return decoded.value;
}

if (import.meta.main) {
  const { steps, own } = await machinery(40, 500);
  for (const [step, micros] of Object.entries(steps)) {
    process.stdout.write(`${step.padEnd(40)} ${micros.toFixed(1).padStart(8)} µs\n`);
  }
  process.stdout.write(
    `${'a validator, signature aside'.padEnd(40)} ${own.toFixed(1).padStart(8)} µs\n`,
  );
}
