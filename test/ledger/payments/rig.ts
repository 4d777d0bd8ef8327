import assert from 'node:assert/strict';
import {
  type Abi,
  decodeErrorResult,
  decodeEventLog,
  decodeFunctionResult,
  encodeFunctionData,
  type Hex,
} from 'viem';
import { chainOf } from '#src/chain/genesisChain.ts';
import { ed25519PublicKey, ed25519Sign } from '#src/crypto/ed25519.ts';
import {
  assembleBlock,
  type BlockContext,
  executeBlock,
  type Movement,
  type Outcome,
} from '#src/ledger/execute.ts';
import { consortiumRegistry } from '#src/ledger/payments/consortiumRegistry.ts';
import type { NativeContract } from '#src/ledger/payments/contract.ts';
import { contractAt } from '#src/ledger/payments/contracts.ts';
import { runMessage } from '#src/ledger/payments/dispatch.ts';
import { governance } from '#src/ledger/payments/governance.ts';
import { nodeDirectory } from '#src/ledger/payments/nodeDirectory.ts';
import { validatorRegistry } from '#src/ledger/payments/validatorRegistry.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import { emptyState, type StateReader } from '#src/ledger/state/reader.ts';
import { fromHex, toHex, utf8 } from '#src/lib/bytes.ts';
import { atOnce } from '#src/lib/steps.ts';
import type { Address } from '#src/types/address.ts';
import { parseGenesis } from '#src/types/genesis.ts';
import { type Hash, keccakHash } from '#src/types/hash.ts';
import { memberIdOf } from '#src/types/memberId.ts';
import { encodePossession } from '#src/types/possession.ts';
import { asEpoch, asGas, asHeight, asWei } from '#src/types/units.ts';
import type { ValidatorSet } from '#src/types/validatorSet.ts';
import { chainId, type Person, payment, person } from '../samples.ts';

export { consortiumRegistry, governance, validatorRegistry };
export const COIN = 10n ** 18n;
export const coinbase = `0x${'cb'.repeat(20)}` as Address;
export const start = 1_790_000_000;

export const seedOf = (number: number) => new Uint8Array(32).fill(number + 1);
export const keyOf = (number: number) => ed25519PublicKey(seedOf(number));
const base58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
export const peerOf = (number: number) =>
  `12D3KooW${base58.charAt(number % 58)}${base58.charAt(Math.floor(number / 58))}${'A'.repeat(42)}`;
export const ingressOf = (number: number) => `${peerOf(number)} /ip4/192.0.2.1/tcp/30303`;
export const memberId = (number: number) => memberIdOf(`m${number}`);

export type Sent = {
  readonly ok: boolean;
  /** The error's name and values, as viem reads them; null where it went well. */
  readonly error: { name: string; args: readonly unknown[] } | null;
  readonly reason: string;
  readonly logs: readonly { name: string; args: Record<string, unknown> }[];
  readonly gasUsed: bigint;
  readonly nextSet: ValidatorSet | null;
  readonly movements: readonly Movement[];
  readonly outcome: Outcome;
};

export type Wanted = readonly [NativeContract, string, readonly unknown[]];

export type Options = {
  members?: number;
  stakes?: readonly number[];
  config?: object;
  /** Of every member, beside what genesis gives it. */
  member?: object;
};

/** A ledger alone: blocks one after another, each executed twice, by proposer and by checker. */
export class Ledger {
  state: StateReader;
  root: Hash;
  height = 0n;
  epoch = 0;
  timeMs = start * 1_000;
  readonly networkId: Hash;
  readonly members: number;
  set: ValidatorSet;
  readonly nonces = new Map<Address, bigint>();

  constructor(options: Options = {}) {
    const { members = 4, stakes = Array(members).fill(10), config = {}, member = {} } = options;
    this.members = members;
    const people = Array.from({ length: Math.max(12, members) }, (_, at) => person(at));
    const validators = stakes.slice(0, members).map((stake, at) => ({
      memberId: `m${at}`,
      consensusKey: toHex(keyOf(at)),
      peerId: peerOf(at),
      addresses: ['/ip4/192.0.2.1/tcp/30303'],
      operator: people[at]?.address,
      stake: `${stake}`,
      feeRecipient: people[at]?.address,
    }));
    const genesis = parseGenesis(
      JSON.stringify({
        config: { chainId: `${chainId}`, baseFeePerGas: 1, ...config },
        timestamp: start,
        members: validators.map((_, at) => ({ id: `m${at}`, name: `Bank ${at}`, ...member })),
        validators,
        alloc: Object.fromEntries(
          people.map(({ address }) => [address, { balance: `${1_000_000n * COIN}` }]),
        ),
      }),
    );
    assert.ok(genesis.ok, genesis.ok ? '' : genesis.refusal.message);
    const params = chainOf(genesis.value);
    const state = new Overlay(emptyState);
    for (const [address, account] of params.genesis.changes.accounts) {
      if (account !== null) state.setAccount(address, account);
    }
    for (const [address, slots] of params.genesis.changes.slots) {
      for (const [key, value] of slots) state.setSlot(address, key, value);
    }
    const base = state;
    const nodes = new Map(
      params.genesis.changes.trieNodes.map(({ owner, path, node }) => [`${owner}/${path}`, node]),
    );
    this.state = {
      account: (address) => base.account(address),
      slot: (address, key) => base.slot(address, key),
      code: (hash) => params.genesis.changes.code.get(hash) ?? null,
      trieNode: (owner, path) => nodes.get(`${owner}/${path}`) ?? null,
    };
    this.root = params.genesis.block.header.stateRoot;
    this.networkId = params.networkId;
    this.set = params.electorate.set;
  }

  get facts() {
    return { height: asHeight(this.height + 1n), timestampMs: this.timeMs + 1_000 };
  }

  send(
    from: Person,
    [contract, name, args]: Wanted,
    { value = 0n, gasLimit = 10_000_000n }: { value?: bigint; gasLimit?: bigint } = {},
  ): Sent {
    const functionName = name;
    const data = bytes(encodeFunctionData({ abi: contract.abi as Abi, functionName, args }));
    return this.sendData(from, contract, data, { value, gasLimit });
  }

  sendData(
    from: Person,
    contract: NativeContract,
    data: Uint8Array,
    { value = 0n, gasLimit = 10_000_000n }: { value?: bigint; gasLimit?: bigint } = {},
  ): Sent {
    const sender = from.address;
    const trial = runMessage(new Overlay(this.state), this.facts, {
      ...{ sender, to: contract, value, data, gas: gasLimit },
    });
    const nonce = this.nonces.get(sender) ?? 0n;
    this.nonces.set(sender, nonce + 1n);
    const transaction = payment(from, {
      ...{ nonce, to: contract.address, value: asWei(value), data },
      ...{ gasLimit: asGas(gasLimit), maxFeePerGas: asWei(1n) },
    });
    const outcome = this.block([transaction]);
    const receipt = outcome.receipts[0] ?? assert.fail('a receipt');
    const abi = contract.abi as Abi;
    const error = trial.ended === 'reverted' ? readError(abi, trial.output) : null;
    const reason = trial.ended === 'reverted' ? trial.reason : trial.ended;
    const logs = receipt.logs.map(({ address, topics, data: body }) => {
      const { eventName, args } = decodeEventLog({
        abi: (contractAt(address)?.abi ?? []) as Abi,
        topics: topics as unknown as [Hex],
        data: toHex(body),
      });
      return { name: eventName ?? '', args: (args ?? {}) as Record<string, unknown> };
    });
    const { nextSet, movements, gasUsed } = outcome;
    return { ok: receipt.succeeded, error, reason, logs, gasUsed, nextSet, movements, outcome };
  }

  block(transactions: Parameters<typeof executeBlock>[2] = []): Outcome {
    const context: BlockContext = {
      parentHash: keccakHash(Uint8Array.of(Number(this.height % 256n))),
      parentStateRoot: this.root,
      coinbase,
      rules: {
        chainId,
        baseFeePerGas: asWei(1n),
        paymentLaneGasLimit: asGas(1n << 30n),
        evmLaneGasLimit: asGas(1n << 30n),
        paymentLaneBytesMax: 1_500_000,
      },
      ...{ ...this.facts, epoch: asEpoch(this.epoch) },
      ...{ prevRandao: keccakHash(utf8('randao')), blockHash: () => null },
    };
    const built = atOnce(assembleBlock(this.state, context, transactions));
    assert.equal(built.transactions.length, transactions.length, 'everything is in the block');
    const checked = atOnce(executeBlock(this.state, context, built.transactions));
    assert.ok(
      checked.ok,
      JSON.stringify(checked, (_, v) => (typeof v === 'bigint' ? `${v}` : v)),
    );
    const { outcome } = built;
    assert.equal(checked.value.stateRoot, outcome.stateRoot);
    assert.equal(checked.value.receiptsRoot, outcome.receiptsRoot);
    assert.equal(checked.value.nextSet?.hash, outcome.nextSet?.hash);
    assert.deepEqual(checked.value.movements, outcome.movements);
    this.state = outcome.state;
    this.root = outcome.stateRoot;
    this.height++;
    this.timeMs += 1_000;
    if (outcome.nextSet !== null) {
      this.epoch++;
      this.set = outcome.nextSet;
    }
    return outcome;
  }

  /** Empty blocks, up to the next that ends an epoch. */
  boundary(blocksMax = 15): ValidatorSet {
    for (let n = 0; n < blocksMax; n++) {
      const { nextSet } = this.block();
      if (nextSet !== null) return nextSet;
    }
    return assert.fail('an epoch ends');
  }

  idle(blocks: number): void {
    for (let n = 0; n < blocks; n++) assert.equal(this.block().nextSet, null);
  }

  view(contract: NativeContract, name: string, args: readonly unknown[] = []): unknown {
    const abi = contract.abi as Abi;
    const data = bytes(encodeFunctionData({ abi, functionName: name, args }));
    const message = { sender: coinbase, to: contract, value: 0n, data, gas: 1n << 30n };
    const result = runMessage(new Overlay(this.state), this.facts, message);
    assert.ok(result.ended === 'well', JSON.stringify(result.ended));
    return decodeFunctionResult({ abi, functionName: name, data: toHex(result.output) });
  }

  validator(index: number | bigint): Record<string, unknown> {
    const found = this.view(validatorRegistry, 'getValidator', [BigInt(index)]);
    return found as Record<string, unknown>;
  }

  balance(address: Address): bigint {
    return this.state.account(address)?.balance ?? 0n;
  }

  possession(key: number, operator: Address): Hex {
    return toHex(ed25519Sign(seedOf(key), encodePossession(this.networkId, operator)));
  }

  /** The members of genesis propose, vote and execute. */
  decide(...calls: readonly Wanted[]): Sent {
    const targets = calls.map(([contract]) => contract.address);
    const calldatas = calls.map(([contract, functionName, args]) =>
      encodeFunctionData({ abi: contract.abi as Abi, functionName, args }),
    );
    const made = this.send(person(0), [governance, 'propose', [targets, calldatas, 0, 'because']]);
    assert.ok(made.ok, made.reason);
    const id = made.logs[0]?.args.proposalId;
    for (let voter = 0; voter < this.members; voter++) {
      const vote = this.send(person(voter), [governance, 'castVote', [id, 1, zero32]]);
      assert.ok(vote.ok, vote.reason);
    }
    return this.send(person(0), [governance, 'execute', [id]]);
  }

  /** Registers a validator of kind 0 for an operator with the key of this number. */
  register(operator: number, key: number, kind = 0): Sent {
    const { address } = person(operator);
    const proof = this.possession(key, address);
    const args = [toHex(keyOf(key)), proof, kind, address, ingressOf(key)];
    return this.send(person(operator), [validatorRegistry, 'registerValidator', args]);
  }
}

export const zero32 = `0x${'00'.repeat(32)}` as Hash;

/** Whom the members' nodes let in now. */
export const nodesOf = ({ state, timeMs }: Ledger) => nodeDirectory(state, BigInt(timeMs / 1_000));

export const addMember = (number: number, admin: Address, roles = 1n): Wanted => [
  consortiumRegistry,
  'addMember',
  [
    {
      memberId: memberId(number),
      admin,
      legalEntityHash: zero32,
      roles,
      status: 1,
      joinedAt: 0n,
      endpoint: '',
    },
  ],
];

export function bytes(hex: Hex): Uint8Array {
  return fromHex(hex) ?? assert.fail('hex');
}

function readError(abi: Abi, data: Uint8Array): Sent['error'] {
  const { errorName, args } = decodeErrorResult({ abi, data: toHex(data) });
  return { name: errorName, args: args ?? [] };
}
