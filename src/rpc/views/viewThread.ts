/**
 * A thread that runs contracts for those who ask, one question after the other. Whoever started it
 * ends it when its time is up: code never gives way by itself. It has no database: it asks for each
 * account and slot, and waits for the answer.
 */
import {
  type MessagePort,
  parentPort,
  receiveMessageOnPort,
  workerData,
} from 'node:worker_threads';
import { estimate, findAccessList, simulate } from '#src/ledger/evm/simulate.ts';
import type { EvmBlock } from '#src/ledger/evm/world.ts';
import { EMPTY_ACCOUNT, EMPTY_CODE_HASH } from '#src/ledger/state/account.ts';
import { trimSlot } from '#src/ledger/state/overlay.ts';
import type { StateReader } from '#src/ledger/state/reader.ts';
import { EMPTY_BYTES } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import type { Address } from '#src/types/address.ts';
import { type Hash, keccakHash } from '#src/types/hash.ts';
import { asHeight, asWei } from '#src/types/units.ts';
import {
  type Override,
  type Read,
  type ReadAccount,
  type ReadAnswer,
  VIEW_READY,
  type ViewAnswer,
  type ViewFailure,
  type ViewRequest,
} from './viewRequest.ts';

export type ViewThreadData = { readonly reads: MessagePort; readonly answered: Int32Array };

assert(parentPort !== null, 'this runs as a thread');
const port = parentPort;
const { reads, answered } = workerData as ViewThreadData;

port.postMessage(VIEW_READY);
port.on('message', (request: ViewRequest) => {
  answerTo(request).then(
    (answer) => port.postMessage(answer),
    (error: unknown) => {
      const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
      port.postMessage({ t: 'broken', reason } satisfies ViewAnswer);
    },
  );
});

async function answerTo(request: ViewRequest): Promise<ViewAnswer> {
  const { question, gasMax } = request;
  const state = new AskedState(request);
  const block: EvmBlock = {
    ...request.block,
    height: asHeight(request.block.height),
    blockHash: (height) => state.blockHash(height),
  };
  if (request.kind === 'estimate') {
    const found = await estimate(state, block, question, gasMax);
    if (found.t === 'gas') return found;
    return failure(found.outcome);
  }
  if (request.kind === 'accessList') {
    const { accessList, outcome } = await findAccessList(state, block, question, gasMax);
    const error = outcome.ended === 'well' ? null : failure(outcome);
    return { t: 'accessList', accessList, gas: outcome.gasNeeded, error };
  }
  const outcome = await simulate(state, block, question, gasMax);
  return outcome.ended === 'well' ? { t: 'output', output: outcome.output } : failure(outcome);
}

function failure(outcome: { ended: string; reason: string; output: Uint8Array }): ViewFailure {
  if (outcome.ended === 'reverted') return { t: 'reverted', output: outcome.output };
  return { t: 'failed', reason: outcome.reason };
}

/** Sleeps until the node has answered. */
function ask(read: Read): unknown {
  const before = Atomics.load(answered, 0);
  reads.postMessage(read);
  for (;;) {
    const message = receiveMessageOnPort(reads) as { message: ReadAnswer } | undefined;
    if (message === undefined) {
      Atomics.wait(answered, 0, before, 50);
      continue;
    }
    if (!message.message.ok) throw new Error('the state is not kept any more');
    return message.message.value;
  }
}

/** The state after the block, with what the caller would have changed; each thing asked for once. */
class AskedState implements StateReader {
  readonly #overrides: ReadonlyMap<Address, Override>;
  readonly #accounts = new Map<Address, ReturnType<StateReader['account']>>();
  readonly #slots = new Map<string, Uint8Array>();
  readonly #code = new Map<Hash, Uint8Array>();
  readonly #blockHashes = new Map<bigint, Hash | null>();

  constructor({ overrides }: ViewRequest) {
    this.#overrides = overrides;
    for (const { code } of overrides.values()) {
      if (code !== null) this.#code.set(keccakHash(code), code);
    }
  }

  account(address: Address): ReturnType<StateReader['account']> {
    let account = this.#accounts.get(address);
    if (account === undefined) {
      account = this.#overridden(address, ask({ t: 'account', address }) as ReadAccount | null);
      this.#accounts.set(address, account);
    }
    return account;
  }

  slot(address: Address, key: string): Uint8Array {
    const override = this.#overrides.get(address);
    const given = (override?.state ?? override?.stateDiff)?.get(key);
    if (given !== undefined) return trimSlot(given);
    if (override !== undefined && override.state !== null) return EMPTY_BYTES;
    const name = `${address}/${key}`;
    let value = this.#slots.get(name);
    if (value === undefined) {
      value = trimSlot(ask({ t: 'slot', address, key }) as Uint8Array);
      this.#slots.set(name, value);
    }
    return value;
  }

  code(hash: Hash): Uint8Array | null {
    let code = this.#code.get(hash);
    if (code === undefined) {
      code = ask({ t: 'code', hash }) as Uint8Array;
      this.#code.set(hash, code);
    }
    return code;
  }

  /** For 20 gas each time. */
  blockHash(height: bigint): Hash | null {
    let hash = this.#blockHashes.get(height);
    if (hash === undefined) {
      hash = ask({ t: 'blockHash', height }) as Hash | null;
      this.#blockHashes.set(height, hash);
    }
    return hash;
  }

  trieNode(): null {
    return null;
  }

  #overridden(address: Address, found: ReadAccount | null): ReturnType<StateReader['account']> {
    const override = this.#overrides.get(address);
    if (found === null && override === undefined) return null;
    const { nonce, balance, codeHash } = found ?? EMPTY_ACCOUNT;
    const code = override?.code ?? null;
    const own = code === null ? codeHash : code.length === 0 ? EMPTY_CODE_HASH : keccakHash(code);
    return {
      ...EMPTY_ACCOUNT,
      nonce: override?.nonce ?? nonce,
      balance: asWei(override?.balance ?? balance),
      codeHash: own,
    };
  }
}
