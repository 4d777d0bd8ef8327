/** Runs transactions again, or a call, and tells of all its calls; in a thread (viewThread.ts). */
import { CallRecorder, TraceTooLarge } from '#src/ledger/calls.ts';
import { simulate } from '#src/ledger/evm/simulate.ts';
import type { EvmBlock } from '#src/ledger/evm/world.ts';
import { replayTransactions } from '#src/ledger/replayTransactions.ts';
import type { Applied } from '#src/ledger/rules.ts';
import { OverriddenState } from '#src/ledger/state/overridden.ts';
import type { StateReader } from '#src/ledger/state/reader.ts';
import { toHex } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import { decodeTransaction } from '#src/types/decodeTransaction.ts';
import type { Hash } from '#src/types/hash.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import { asHeight, type Height } from '#src/types/units.ts';
import { findCreator, formatEntries, formatFrame, formatOperations } from './traceFormats.ts';
import type { ReplayRequest, TraceAnswer, TracedCallRequest, TraceWish } from './viewRequest.ts';

type ThreadState = StateReader & { blockHash(height: Height): Hash | null };

export function traceReplay(request: ReplayRequest, state: ThreadState): Promise<TraceAnswer> {
  return withinLimits(async () => {
    const { wish, first, isList } = request;
    const height = asHeight(request.block.height);
    const blockHash = (at: Height) => state.blockHash(at);
    const transactions = decodeAll(request);
    const recorder = new CallRecorder(request.limits, wish.onlyTopCall);
    const traced: unknown[] = [];
    let logIndex = 0;
    await replayTransactions(state, { ...request.block, height, blockHash }, transactions, {
      observerOf: (index) => (index < first ? null : recorder),
      onApplied: (index, applied) => {
        const transaction = transactions[index];
        if (index >= first && transaction !== undefined) {
          assertSame(request, index - first, applied);
          const result = formatOne(recorder, transaction, applied, wish, logIndex);
          const told = isList ? { txHash: transaction.hash, result } : result;
          if (told !== null) traced.push(told);
        }
        logIndex += applied.logs.length;
      },
    });
    return json(isList ? traced : (traced[0] ?? null));
  });
}

export function traceCall(request: TracedCallRequest, asked: ThreadState): Promise<TraceAnswer> {
  const { wish, question, gasMax } = request;
  const state = new OverriddenState(asked, request.overrides);
  const recorder = new CallRecorder(request.limits, wish.onlyTopCall);
  const block: EvmBlock = {
    ...request.block,
    height: asHeight(request.block.height),
    blockHash: (height) => asked.blockHash(height),
    observer: recorder,
  };
  return withinLimits(async () => {
    const { gasNeeded, reason } = await simulate(state, block, question, gasMax);
    const called = recorder.take();
    // Less gas than the call costs before it begins.
    if (called === null) return { t: 'failed', reason };
    const top = { ...called, gas: gasMax, gasUsed: gasNeeded };
    return json(formatFrame(top, { withLog: wish.withLog, logIndex: 0 }));
  });
}

async function withinLimits(work: () => Promise<TraceAnswer>): Promise<TraceAnswer> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof TraceTooLarge) return { t: 'too much', reason: error.message };
    throw error;
  }
}

function json(value: unknown): TraceAnswer {
  return { t: 'traces', json: JSON.stringify(value) };
}

function decodeAll({ transactions, lengths, senders, block }: ReplayRequest): SignedTransaction[] {
  const { chainId } = block.rules;
  let from = 0;
  return lengths.map((length, index) => {
    const bytes = transactions.slice(from, from + length);
    from += length;
    const decoded = decodeTransaction(bytes, { chainId, senderOf: () => senders[index] ?? null });
    assert(decoded.ok, 'a stored transaction decodes');
    return decoded.value;
  });
}

/** What is told is what happened, or it is not told. */
function assertSame({ receipts }: ReplayRequest, index: number, { gasUsed, ended }: Applied) {
  const receipt = receipts[index];
  const isSame = receipt?.gasUsed === gasUsed && receipt.succeeded === (ended === 'well');
  assert(isSame, 'a transaction that is run again comes to the same');
}

function formatOne(
  recorder: CallRecorder,
  { gasLimit: gas, hash }: SignedTransaction,
  { gasUsed, transfers }: Applied,
  { shape, withLog, created }: TraceWish,
  logIndex: number,
): unknown {
  // The calls know only what was left of the gas for them.
  const called = recorder.take();
  assert(called !== null, 'a transaction is one call that has ended');
  const top = { ...called, gas, gasUsed };
  switch (shape) {
    case 'calls':
      return formatFrame(top, { withLog, logIndex });
    case 'entries':
      return formatEntries(top);
    case 'operations':
      return formatOperations(top, transfers);
    case 'error':
      return toHex(top.output);
    case 'creator': {
      const creator = findCreator(top, created);
      return creator === null ? null : { hash, creator };
    }
  }
}
