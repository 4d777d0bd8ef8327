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
import { simulateBlocks } from '#src/ledger/evm/simulateBlocks.ts';
import type { EvmBlock } from '#src/ledger/evm/world.ts';
import { EMPTY_ACCOUNT } from '#src/ledger/state/account.ts';
import { trimSlot } from '#src/ledger/state/overlay.ts';
import { OverriddenState } from '#src/ledger/state/overridden.ts';
import type { StateReader } from '#src/ledger/state/reader.ts';
import { assert, InvariantError } from '#src/lib/failure.ts';
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { asHeight, asWei } from '#src/types/units.ts';
import { formatSimulated } from './simulatedBlocks.ts';
import { traceCall, traceReplay } from './traceThread.ts';
import { StateGone } from './viewErrors.ts';
import {
  type BlocksRequest,
  type CallRequest,
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
    (error: unknown) => port.postMessage(failureIn(error, request)),
  );
});

function failureIn(error: unknown, request: ViewRequest): ViewAnswer {
  if (error instanceof StateGone) return { t: 'failed', reason: error.message };
  const isOdd = error instanceof InvariantError || error instanceof RangeError;
  if (isOdd && isOverridden(request)) {
    return { t: 'failed', reason: `overrides of what cannot be: ${error.message}` };
  }
  const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { t: 'broken', reason };
}

/** What no chain has breaks what holds on every chain: the caller's doing, not ours. */
function isOverridden(request: ViewRequest): boolean {
  if (request.kind === 'replay') return false;
  if (request.kind !== 'blocks') return request.overrides.size > 0;
  return request.wanted.some(({ overrides }) => overrides.size > 0);
}

async function answerTo(request: ViewRequest): Promise<ViewAnswer> {
  const asked = new AskedState();
  switch (request.kind) {
    case 'blocks':
      return answerBlocks(request, asked);
    case 'replay':
      return traceReplay(request, asked);
    case 'tracedCall':
      return traceCall(request, asked);
    default:
      return answerCall(request, asked);
  }
}

async function answerBlocks(request: BlocksRequest, state: AskedState): Promise<ViewAnswer> {
  const { header, hash, rules, wanted, options, full, responseBytesMax } = request;
  const blockHash = (height: bigint) => state.blockHash(height);
  const base = { state, header, hash, rules, blockHash };
  const simulated = await simulateBlocks(base, wanted, options);
  if (!simulated.ok) return { t: 'refused', refusal: simulated.refusal };
  const json = formatSimulated(simulated.value, full, responseBytesMax);
  return json === null ? { t: 'too large' } : { t: 'blocks', json };
}

async function answerCall(request: CallRequest, asked: AskedState): Promise<ViewAnswer> {
  const { question, gasMax, overrides } = request;
  const state = new OverriddenState(asked, overrides);
  const block: EvmBlock = {
    ...request.block,
    height: asHeight(request.block.height),
    blockHash: (height) => asked.blockHash(height),
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
    if (!message.message.ok) throw new StateGone();
    return message.message.value;
  }
}

/** The state after the block; each thing asked for once. */
class AskedState implements StateReader {
  readonly #accounts = new Map<Address, ReturnType<StateReader['account']>>();
  readonly #slots = new Map<string, Uint8Array>();
  readonly #code = new Map<Hash, Uint8Array>();
  readonly #blockHashes = new Map<bigint, Hash | null>();

  account(address: Address): ReturnType<StateReader['account']> {
    let account = this.#accounts.get(address);
    if (account === undefined) {
      const found = ask({ t: 'account', address }) as ReadAccount | null;
      account =
        found === null ? null : { ...EMPTY_ACCOUNT, ...found, balance: asWei(found.balance) };
      this.#accounts.set(address, account);
    }
    return account;
  }

  slot(address: Address, key: string): Uint8Array {
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
}
