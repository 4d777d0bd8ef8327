import assert from 'node:assert/strict';
import { encodeDeployData, encodeFunctionData } from 'viem';
import { replay } from '#src/audit/replay.ts';
import { deltaOf } from '#src/history/history.ts';
import { bytesToUint, fromHex, uintToBytes } from '#src/lib/bytes.ts';
import type { Address } from '#src/types/address.ts';
import { encodeBlock } from '#src/types/block.ts';
import { createAddress } from '#src/types/createAddress.ts';
import type { Receipt } from '#src/types/receipt.ts';
import type { SignedTransaction, TransactionFields } from '#src/types/transaction.ts';
import { asGas, asWei } from '#src/types/units.ts';
import { MemoryShelf } from '#storage/memoryShelf.ts';
import { TinyChain, TinyNetwork } from '../../chain/network.ts';
import { type Compiled, compile } from '../../solidity.ts';
import type { Person } from '../samples.ts';

export const probe = compile('test/ledger/evm/Probe.sol', 'Probe');
export const gasLimit = asGas(1_000_000n);

type Fields = Partial<TransactionFields>;

/** Two nodes of one chain: one proposes, the other checks what it got over the wire. */
export class World {
  readonly network: TinyNetwork;
  readonly proposer: TinyChain;
  readonly verifier: TinyChain;

  private constructor(network: TinyNetwork, proposer: TinyChain, verifier: TinyChain) {
    this.network = network;
    this.proposer = proposer;
    this.verifier = verifier;
  }

  static async create(network = new TinyNetwork()): Promise<World> {
    const [proposer, verifier] = await Promise.all([
      TinyChain.create(network, new MemoryShelf()),
      TinyChain.create(network, new MemoryShelf()),
    ]);
    return new World(network, proposer, verifier);
  }

  get chain() {
    return this.proposer.chain;
  }

  /** One block on both nodes; all of these are in it. */
  async block(...transactions: SignedTransaction[]): Promise<readonly Receipt[]> {
    const built = await this.proposer.buildSoon(transactions);
    assert.equal(built.transactions.length, transactions.length, 'everything is in the block');
    const decoded = this.verifier.chain.decode(encodeBlock(built));
    assert.ok(decoded.ok);
    assert.equal(await this.verifier.chain.check(decoded.value), null, 'the other node agrees');
    await this.proposer.commit(built);
    await this.verifier.commit(decoded.value);
    return this.proposer.events.at(-1)?.receipts ?? [];
  }

  /** The next nonce on what is final, and as many more as are asked for. */
  nonceOf({ address }: Person, more = 0): bigint {
    return (this.chain.account(address)?.nonce ?? 0n) + BigInt(more);
  }

  send(from: Person, to: Address | null, data: string, fields: Fields = {}): SignedTransaction {
    const bytes = fromHex(data) ?? assert.fail('hex');
    const rest = { to: to as Address, gasLimit, data: bytes, ...fields };
    return this.proposer.pay(from, to as Address, 0n, rest);
  }

  call(from: Person, to: Address, functionName: string, args: unknown[], fields: Fields = {}) {
    return this.send(from, to, encodeFunctionData({ abi: probe.abi, functionName, args }), fields);
  }

  deployment(from: Person, { abi, bytecode }: Compiled, value = 0n): SignedTransaction {
    const data = encodeDeployData({ abi, bytecode, args: [] });
    return this.send(from, null, data, { value: asWei(value), gasLimit: asGas(1_900_000n) });
  }

  async deploy(from: Person, compiled: Compiled, value = 0n): Promise<Address> {
    const address = createAddress(from.address, this.nonceOf(from));
    const [receipt] = await this.block(this.deployment(from, compiled, value));
    assert.ok(receipt?.succeeded, 'deployed');
    return address;
  }

  balance(address: Address): bigint {
    return this.chain.account(address)?.balance ?? 0n;
  }

  slot(address: Address, index: bigint): bigint {
    const state = this.chain.stateAfter(this.chain.head.hash) ?? assert.fail('the head has one');
    const key = Buffer.from(uintToBytes(index, 32)).toString('hex');
    return bytesToUint(state.slot(address, key));
  }

  /** The history adds up, the auditor agrees, and both nodes hold the same. */
  async close(...accounts: readonly Address[]): Promise<void> {
    assert.equal(this.proposer.chain.head.hash, this.verifier.chain.head.hash);
    for (const account of accounts) {
      const page = await this.chain.history(account, null, 1_000);
      const sum = (page?.entries ?? []).reduce((total, entry) => total + deltaOf(entry), 0n);
      assert.equal(sum, this.balance(account), `the history of ${account} adds up`);
    }
    for (const { store } of [this.proposer, this.verifier]) {
      const verdict = await replay(this.network.params, store, () => {});
      assert.ok(verdict.ok, verdict.ok ? '' : JSON.stringify(verdict.refusal, String));
    }
  }
}
