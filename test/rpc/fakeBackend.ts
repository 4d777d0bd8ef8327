import { generateSeed } from '#src/crypto/ed25519.ts';
import { type HistoryEntry, historyOf } from '#src/history/history.ts';
import { intrinsicGas } from '#src/ledger/gas.ts';
import { EMPTY_ACCOUNT } from '#src/ledger/state/account.ts';
import { accept, refuse } from '#src/lib/failure.ts';
import { defaultPoolLimits, Pool } from '#src/pool/pool.ts';
import { describePoolRefusal, type PoolRefusal } from '#src/pool/refusal.ts';
import type {
  AccountState,
  Backend,
  Evidence,
  PastState,
  SubmitRefusal,
} from '#src/rpc/backend.ts';
import { type Address, ZERO_ADDRESS } from '#src/types/address.ts';
import { type Block, makeBlock, transactionsRoot } from '#src/types/block.ts';
import type { Certificate } from '#src/types/certificate.ts';
import { decodeTransaction, describeRefusal } from '#src/types/decodeTransaction.ts';
import { type Hash, keccakHash } from '#src/types/hash.ts';
import type { Header } from '#src/types/header.ts';
import { EMPTY_TRIE_ROOT, listRoot } from '#src/types/listRoot.ts';
import {
  encodeReceipt,
  joinBlooms,
  type Log,
  makeReceipt,
  type Receipt,
} from '#src/types/receipt.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import { asEpoch, asGas, asHeight, asStake, asView, asWei, type Height } from '#src/types/units.ts';
import { makeValidatorSet, type Validator } from '#src/types/validatorSet.ts';
import { VoteKind, ZERO_HASH } from '#src/types/vote.ts';

export const chainId = 4242n;
export const baseFee = asWei(1_000_000_000n);
const gasLimit = asGas(1n << 24n);
const startMs = 1_790_000_000_000;
export const CODE_HASH = keccakHash(new Uint8Array(0));
/** An account that has code: one byte, STOP. */
export const contract = `0x${'c0'.repeat(20)}` as Address;
const contractCode = Uint8Array.of(0);
/** A payment to it logs once, so that there is something to search for. */
export const loud = `0x${'1e'.repeat(20)}` as Address;
export const loudTopic = keccakHash(new TextEncoder().encode('Loud()'));

type Account = { nonce: bigint; balance: bigint };

/**
 * A node of one process: real blocks of real transactions through the real pool, executed by the
 * few lines below. What it lacks is the network, the disk and the trie.
 */
export class FakeBackend implements Backend {
  readonly clientVersion = 'mpbp/0.0.0-test';
  readonly chainId = chainId;
  readonly networkId = keccakHash(new TextEncoder().encode('test network'));
  readonly baseFeePerGas = baseFee;
  readonly evmGasLimit = asGas(1_000_000n);
  readonly rules = {
    ...{ chainId, baseFeePerGas: baseFee, paymentLaneBytesMax: 1 << 20 },
    ...{ paymentLaneGasLimit: gasLimit, evmLaneGasLimit: asGas(1_000_000n) },
  };
  blocksBehind = 0;
  readonly electorate = { epoch: asEpoch(0), set: makeValidatorSet([0, 1, 2, 3].map(validator)) };
  readonly #pool: Pool;
  readonly #chain: { block: Block; receipts: readonly Receipt[] }[] = [];
  readonly #places = new Map<Hash, { height: Height; index: number }>();
  readonly #accounts: Map<Address, Account>;
  readonly #history: HistoryEntry[] = [];
  readonly #finals = new Set<(block: Block, receipts: readonly Receipt[]) => void>();
  readonly #pendings = new Set<(transaction: SignedTransaction) => void>();
  /** Mines at once, on the next turn of the loop, whatever was submitted. */
  automine = false;
  /** Thrown by `status`, to see what an unexpected error becomes. */
  broken: Error | null = null;

  constructor(alloc: Iterable<[Address, bigint]>) {
    this.#accounts = new Map([...alloc].map(([key, balance]) => [key, { nonce: 0n, balance }]));
    this.#pool = new Pool({
      limits: defaultPoolLimits,
      rules: {
        baseFeePerGas: baseFee,
        gasLimitFor: () => gasLimit,
        intrinsicGas,
      },
      account: (address) => this.#accounts.get(address) ?? { nonce: 0n, balance: 0n },
      coverOf: () => null,
      now: () => Date.now(),
    });
    this.#append([]);
  }

  electorateOf(epoch: number): Backend['electorate'] | null {
    return epoch === 0 ? this.electorate : null;
  }

  get head(): Block {
    return this.#at(this.#chain.length - 1).block;
  }

  get pool(): Backend['pool'] {
    const pool = this.#pool;
    const isExecutable = ({ sender, nonce }: SignedTransaction) => nonce < pool.nextNonce(sender);
    return {
      executable: pool.executable,
      gapped: pool.gapped,
      get: (hash) => pool.get(hash),
      nextNonce: (address) => pool.nextNonce(address),
      *entries() {
        for (const { transaction } of pool.entries()) {
          yield { transaction, executable: isExecutable(transaction) };
        }
      },
    };
  }

  blockAt(height: Height): Block | null {
    return this.#chain[Number(height)]?.block ?? null;
  }

  headerAt(height: Height): Header | null {
    return this.blockAt(height)?.header ?? null;
  }

  heightOf(hash: Hash): Height | null {
    return this.#chain.find(({ block }) => block.hash === hash)?.block.header.height ?? null;
  }

  receiptsAt(height: Height): readonly Receipt[] | null {
    return this.#chain[Number(height)]?.receipts ?? null;
  }

  locate(hash: Hash): { height: Height; index: number } | null {
    return this.#places.get(hash) ?? null;
  }

  certificateFor(height: Height): { certificate: Certificate; height: Height } | null {
    const block = this.blockAt(height);
    if (block === null || height === 0n) return null;
    const { epoch, view, parentView } = block.header.consensus;
    const kind = VoteKind.Finalize;
    const statement = { kind, epoch, view, parentView, blockHash: block.hash };
    const signatures = [1, 2, 3].map((byte) => new Uint8Array(64).fill(byte));
    return { certificate: { statement, setSize: 4, signers: [0, 1, 3], signatures }, height };
  }

  stateAt(height: Height): PastState | null {
    if (height + 2n < this.head.header.height) return null;
    return {
      account: (address): AccountState | null => {
        const account = this.#accounts.get(address);
        if (address === contract) return { nonce: 1n, balance: 0n, codeHash: ZERO_HASH };
        return account === undefined ? null : { ...account, codeHash: CODE_HASH };
      },
      slot: () => new Uint8Array(32),
      code: (codeHash) => (codeHash === ZERO_HASH ? contractCode : new Uint8Array(0)),
    };
  }

  async stateProof(
    height: Height,
    address: Address,
    slots: readonly Uint8Array[],
  ): ReturnType<Backend['stateProof']> {
    if (slots.length === 13) return refuse({ code: 'PROOFS_BUSY' });
    if (slots.length === 14) return refuse({ code: 'PROOF_TOO_FAR', changesMax: 7 });
    if (this.stateAt(height) === null) return refuse({ code: 'STATE_PRUNED' });
    const { nonce, balance } = this.#accounts.get(address) ?? { nonce: 0n, balance: 0n };
    const node = Uint8Array.of(0xc1, 0x80);
    const proven = slots.map((_, index) => ({ value: Uint8Array.of(index + 1), nodes: [node] }));
    const account = { ...EMPTY_ACCOUNT, nonce, balance: asWei(balance) };
    return accept({ account, nodes: [node, node], slots: proven });
  }

  async history(address: Address, cursor: string | null, limit: number) {
    if (cursor !== null && !/^\d{1,9}$/.test(cursor)) return null;
    const all = this.#history.filter(({ account }) => account === address).reverse();
    const from = Number(cursor ?? 0);
    const entries = all.slice(from, from + limit);
    return { entries, cursor: from + limit < all.length ? String(from + limit) : null };
  }

  async historyBeside(...[address, side, height, limit]: Parameters<Backend['historyBeside']>) {
    const own = this.#history.filter(({ account }) => account === address);
    const found = own.filter((one) =>
      side === 'below' ? one.height < height : one.height > height,
    );
    return (side === 'below' ? found.reverse() : found).slice(0, limit);
  }

  async submit(raw: Uint8Array) {
    const decoded = decodeTransaction(raw, { chainId });
    if (!decoded.ok) return refuse(describe(decoded.refusal, describeRefusal(decoded.refusal)));
    const transaction = decoded.value;
    const verdict = this.#pool.add(transaction, true);
    if (!verdict.ok) return refuse(describe(verdict.refusal, describePoolRefusal(verdict.refusal)));
    for (const listener of this.#pendings) listener(transaction);
    if (this.automine) setImmediate(() => this.mine());
    return accept(transaction.hash);
  }

  receiptProof(): null {
    return null;
  }

  finalityProof(): null {
    return null;
  }

  evidence(): readonly Evidence[] {
    const vote = new Uint8Array(169);
    return [
      { epoch: asEpoch(0), consensusKey: vote.subarray(0, 32), firstVote: vote, secondVote: vote },
    ];
  }

  status(): ReturnType<Backend['status']> {
    if (this.broken !== null) throw this.broken;
    const view = Number(this.head.header.height);
    const peer = { direction: 'outbound' as const, connectedSinceMs: startMs, validator: 1 };
    return {
      diskFull: null,
      ...{
        version: '0.0.0',
        peerId: '12D3KooWTest',
        validator: 0,
        consensusKeys: [this.electorate.set.validators[0]?.consensusKey ?? new Uint8Array(32)],
        recalling: false,
        epoch: 0,
        height: this.head.header.height,
      },
      ...{ view: view + 1, finalizedView: view, leader: 1, suspects: [2], unfinalizedBlocks: 0 },
      blocksBehind: this.blocksBehind,
      ...{ poolTransactions: this.#pool.size, cryptoBackend: 'native', uptimeMs: 1234.5 },
      peers: [{ peerId: '12D3KooWPeer', address: '/ip4/127.0.0.1/tcp/1', ...peer }],
    };
  }

  onFinal(listener: (block: Block, receipts: readonly Receipt[]) => void): () => void {
    this.#finals.add(listener);
    return () => this.#finals.delete(listener);
  }

  onPending(listener: (transaction: SignedTransaction) => void): () => void {
    this.#pendings.add(listener);
    return () => this.#pendings.delete(listener);
  }

  get listeners(): number {
    return this.#finals.size + this.#pendings.size;
  }

  /** One block of all that is executable. */
  mine(): Block {
    const nonceOf = (address: Address) => this.#accounts.get(address)?.nonce ?? 0n;
    return this.#append([...this.#pool.executableFrom(nonceOf)]);
  }

  #append(transactions: readonly SignedTransaction[]): Block {
    let used = 0n;
    const receipts = transactions.map((transaction) => {
      used += intrinsicGas(transaction);
      this.#pay(transaction);
      const logs = transaction.to === loud ? [logOf(transaction)] : [];
      const { type } = transaction;
      return makeReceipt({ type, succeeded: true, cumulativeGasUsed: asGas(used), logs });
    });
    const block = makeBlock(this.#header(transactions, receipts, used), transactions);
    this.#chain.push({ block, receipts });
    const { height } = block.header;
    for (const [index, { hash }] of transactions.entries())
      this.#places.set(hash, { height, index });
    this.#history.push(...historyOf(block, receipts));
    this.#pool.settle(transactions.map(({ sender }) => sender));
    for (const listener of this.#finals) listener(block, receipts);
    return block;
  }

  #pay({ sender, to, value, maxFeePerGas, maxPriorityFeePerGas, ...rest }: SignedTransaction) {
    const tipped = baseFee + maxPriorityFeePerGas;
    const price = tipped < maxFeePerGas ? tipped : maxFeePerGas;
    const from = this.#accounts.get(sender) ?? { nonce: 0n, balance: 0n };
    const transaction = { sender, to, value, maxFeePerGas, maxPriorityFeePerGas, ...rest };
    from.balance -= value + price * intrinsicGas(transaction);
    from.nonce += 1n;
    const target = this.#accounts.get(to ?? ZERO_ADDRESS) ?? { nonce: 0n, balance: 0n };
    target.balance += value;
    this.#accounts.set(to ?? ZERO_ADDRESS, target);
  }

  #header(
    transactions: readonly SignedTransaction[],
    receipts: readonly Receipt[],
    used: bigint,
  ): Header {
    const number = this.#chain.length;
    const parent = this.#chain.at(-1)?.block.hash ?? ZERO_HASH;
    const hash = this.networkId;
    return {
      parentHash: parent,
      coinbase: `0x${'fe'.repeat(20)}` as Address,
      stateRoot: EMPTY_TRIE_ROOT,
      transactionsRoot: transactionsRoot(transactions),
      receiptsRoot: listRoot(receipts.map(encodeReceipt)),
      logsBloom: joinBlooms(receipts.map(({ logsBloom }) => logsBloom)),
      height: asHeight(BigInt(number)),
      gasLimit,
      gasUsed: asGas(used),
      prevRandao: keccakHash(Buffer.from(parent)),
      baseFeePerGas: baseFee,
      consensus: {
        ...{ networkId: hash, epoch: asEpoch(0), view: asView(number), proposerIndex: 0 },
        ...{ parentView: asView(Math.max(0, number - 1)), timestampMs: startMs + number * 250 },
        ...{ epochEnd: false, validatorsHash: hash, nextValidatorsHash: hash, paramsHash: hash },
      },
    };
  }

  #at(index: number): { block: Block; receipts: readonly Receipt[] } {
    const entry = this.#chain[index];
    if (entry === undefined) throw new RangeError(`no block ${index}`);
    return entry;
  }
}

function describe(refusal: PoolRefusal | { code: string }, message: string): SubmitRefusal {
  return { ...refusal, message };
}

function logOf({ to }: SignedTransaction): Log {
  return { address: to ?? ZERO_ADDRESS, topics: [loudTopic, ZERO_HASH], data: Uint8Array.of(7) };
}

function validator(index: number): Validator {
  const operator = `0x${`0${index + 1}`.repeat(20)}` as Address;
  return {
    consensusKey: generateSeed(),
    peerId: `12D3KooW${index}`,
    stake: asStake(10n),
    memberId: `member-${index}`,
    operator,
    feeRecipient: operator,
  };
}
