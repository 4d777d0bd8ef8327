import { Chain, type FinalEvent } from '#src/chain/chain.ts';
import { type FinalBlocks, provenFinal } from '#src/chain/final.ts';
import { chainOf } from '#src/chain/genesisChain.ts';
import type { ProposerFields } from '#src/chain/headerRules.ts';
import type { ChainParams } from '#src/chain/params.ts';
import { ed25519PublicKey, ed25519Sign } from '#src/crypto/ed25519.ts';
import { compareBytes, toHex } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import { atOnce, type Soon, then } from '#src/lib/steps.ts';
import type { Address } from '#src/types/address.ts';
import type { Block } from '#src/types/block.ts';
import type { Certificate } from '#src/types/certificate.ts';
import { parseGenesis } from '#src/types/genesis.ts';
import type { SignedTransaction, TransactionFields } from '#src/types/transaction.ts';
import { asGas, asView, asWei } from '#src/types/units.ts';
import { encodeStatement, type Statement, VoteKind } from '#src/types/vote.ts';
import { ShelfChainStore } from '#storage/chainStore.ts';
import type { Shelf } from '#storage/shelf.ts';
import { chainId, type Person, payment, person } from '../ledger/samples.ts';

export const genesisSeconds = 1_790_000_000;
export const people = [0, 1, 2, 3, 4, 5].map(person);
export const feeRecipient = `0x${'fe'.repeat(20)}` as Address;
export const initialBalance = 10n ** 18n;

/** Validators with real keys, in the order of their indices, and the genesis that names them. */
export class TinyNetwork {
  readonly genesisText: string;
  readonly params: ChainParams;
  /** By position in the validator set. */
  readonly seeds: readonly Uint8Array[];

  constructor(
    stakes: readonly number[] = [1, 1, 1, 1],
    timestamp = genesisSeconds,
    rich: readonly Person[] = people.slice(0, 5),
    contracts: object = {},
    /** The first member issues them. */
    currencies: readonly object[] = [],
  ) {
    const seeds = stakes
      .map((_, at) => new Uint8Array(32).fill(at + 1))
      .sort((a, b) => compareBytes(ed25519PublicKey(a), ed25519PublicKey(b)));
    const letters = 'ABCDEFGH';
    const validators = seeds.map((seed, at) => ({
      memberId: `m${at}`,
      consensusKey: toHex(ed25519PublicKey(seed)),
      peerId: `12D3KooW${letters.charAt(at).repeat(44)}`,
      addresses: ['/ip4/127.0.0.1/tcp/30303'],
      operator: feeRecipient,
      stake: stakes[at],
      // The last proposer's fees go to somebody who pays, too.
      feeRecipient: at === 3 ? people[0]?.address : feeRecipient,
    }));
    this.genesisText = JSON.stringify({
      config: { chainId: `${chainId}`, baseFeePerGas: 10, evmLaneGasLimit: 2_000_000 },
      timestamp,
      members: validators.map(({ memberId }, at) => ({
        ...{ id: memberId, name: memberId },
        ...(at === 0 && currencies.length > 0 && { roles: 1 | 4 }),
      })),
      validators,
      alloc: {
        ...Object.fromEntries(
          rich.map(({ address }) => [address, { balance: `${initialBalance}` }]),
        ),
        ...contracts,
      },
      ...(currencies.length > 0 && { currencies }),
    });
    const genesis = parseGenesis(this.genesisText);
    assert(genesis.ok, 'the tiny genesis is sound');
    this.params = chainOf(genesis.value);
    this.seeds = seeds;
  }

  /** Votes of these validators for finality, of all of them where none are named. */
  certificate(
    block: Block,
    options: {
      signers?: readonly number[];
      statement?: Partial<Statement>;
      networkId?: Uint8Array;
    } = {},
  ): Certificate {
    const { view, parentView, epoch } = block.header.consensus;
    const blockHash = block.hash;
    const kind = VoteKind.Finalize;
    const statement = { kind, epoch, view, parentView, blockHash, ...options.statement };
    const signers = options.signers ?? [...this.seeds.keys()];
    const networkId = options.networkId ?? this.params.electorate.networkId;
    const message = encodeStatement(statement, networkId);
    const signatures = signers.map((signer) =>
      ed25519Sign(this.seeds[signer] ?? new Uint8Array(32), message),
    );
    return { statement, setSize: this.seeds.length, signers, signatures };
  }

  proven(blocks: readonly Block[]): FinalBlocks {
    const last = blocks.at(-1);
    assert(last !== undefined, 'a block at least');
    const verdict = provenFinal(blocks, this.certificate(last), this.params.electorate);
    assert(verdict.ok, 'the certificate of everybody is enough');
    return verdict.value;
  }
}

/** A chain of that network on a shelf, driven as agreement would drive it. */
export class TinyChain {
  readonly network: TinyNetwork;
  readonly shelf: Shelf;
  readonly store: ShelfChainStore;
  readonly chain: Chain;
  readonly events: FinalEvent[];

  private constructor(
    network: TinyNetwork,
    shelf: Shelf,
    store: ShelfChainStore,
    chain: Chain,
    events: FinalEvent[],
  ) {
    this.network = network;
    this.shelf = shelf;
    this.store = store;
    this.chain = chain;
    this.events = events;
  }

  static async create(network: TinyNetwork, shelf: Shelf): Promise<TinyChain> {
    await Chain.create(network.params, await ShelfChainStore.open(shelf));
    return TinyChain.open(network, shelf);
  }

  static async open(network: TinyNetwork, shelf: Shelf): Promise<TinyChain> {
    const store = await ShelfChainStore.open(shelf);
    const events: FinalEvent[] = [];
    const chain = await Chain.open({
      params: network.params,
      store,
      known: () => null,
      onFinal: (event) => events.push(event),
    });
    return new TinyChain(network, shelf, store, chain, events);
  }

  /** The next block on a parent, as its proposer builds it; not committed. */
  build(
    transactions: readonly SignedTransaction[],
    options: { parent?: Block; fields?: Partial<ProposerFields> } = {},
  ): Block {
    return atOnce(this.buildSoon(transactions, options));
  }

  /** The same where transactions run code. */
  buildSoon(
    transactions: readonly SignedTransaction[],
    options: { parent?: Block; fields?: Partial<ProposerFields> } = {},
  ): Soon<Block> {
    const parent = options.parent ?? this.chain.head;
    const { view, timestampMs } = parent.header.consensus;
    const fields = {
      view: asView(view + 1),
      parentView: view,
      proposerIndex: (view + 1) % this.network.seeds.length,
      timestampMs: timestampMs + 1_000,
      ...options.fields,
    };
    return then(
      this.chain.build(parent.hash, fields, { candidates: () => transactions, mayBeEmpty: true }),
      (block) => {
        assert(block !== null, 'the parent is known');
        return block;
      },
    );
  }

  async commit(...blocks: readonly Block[]): Promise<void> {
    await this.chain.commit(this.network.proven(blocks), 0);
  }

  async append(transactions: readonly SignedTransaction[]): Promise<Block> {
    const block = await this.buildSoon(transactions);
    await this.commit(block);
    return block;
  }

  /** A payment with the sender's next nonce at the head. */
  pay(
    from: Person,
    to: Address,
    value: bigint,
    fields: Partial<TransactionFields> = {},
  ): SignedTransaction {
    const nonce = this.chain.account(from.address)?.nonce ?? 0n;
    return payment(from, {
      ...{ chainId, nonce, to, value: asWei(value), gasLimit: asGas(30_000n) },
      ...fields,
    });
  }
}
