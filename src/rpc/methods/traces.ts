/** geth's call tracer: what a transaction or a call did, call by call. For operators. */
import { parseHash } from '#src/types/hash.ts';
import type { Caller } from '../access/access.ts';
import type { Backend } from '../backend.ts';
import type { Methods } from '../dispatch.ts';
import { invalidParam } from '../errors.ts';
import type { RpcLimits } from '../limits.ts';
import {
  type BlockRef,
  isAbsent,
  readBlockNumber,
  readBoolean,
  readHash,
  readObject,
  readText,
} from '../params.ts';
import { blockOf, finalHeightOf } from '../resolve.ts';
import type { Traces } from '../traces.ts';
import type { TraceWish } from '../views/viewRequest.ts';
import { readBlockHash } from './blocks.ts';
import { checkFunds, prepareCall } from './call.ts';

export const CALL_TRACER = 'callTracer';

/** A view, and what is run again before it is. */
export const traceUnits = 100;

export function traceMethods(backend: Backend, limits: RpcLimits, traces: Traces): Methods {
  const ofBlock = (read: (value: unknown, index: number) => BlockRef) => ({
    ...{ paramsMax: 2, units: 10 * traceUnits },
    run: ([at, given]: readonly unknown[], _: unknown, caller: Caller) => {
      const ref = read(at, 0);
      const { wish, ms } = readTracing(given, 1);
      const block = blockOf(backend, ref);
      // Throws in the words of whoever asks for a block that is not there.
      if (block === null) return finalHeightOf(backend, ref);
      return traces.ofBlock(block, wish, caller, ms);
    },
  });
  return [
    [
      'debug_traceTransaction',
      {
        paramsMax: 2,
        units: (params) => replayUnits(backend, params),
        run: ([value, given], _, caller) => {
          const hash = readHash(value, 0);
          const { wish, ms } = readTracing(given, 1);
          return traces.ofTransaction(hash, wish, caller, ms);
        },
      },
    ],
    [
      'debug_traceCall',
      {
        paramsMax: 3,
        units: traceUnits,
        run: async (params, _, caller) => {
          const { request, ms } = traceCall(backend, limits, params);
          return traces.ask(request, caller, ms);
        },
      },
    ],
    ['debug_traceBlockByNumber', ofBlock(readBlockNumber)],
    ['debug_traceBlockByHash', ofBlock(readBlockHash)],
  ];
}

/** Two transactions of those before it take about what one unit stands for. */
export function replayUnits(backend: Backend, [hash]: readonly unknown[]): number {
  const parsed = typeof hash === 'string' ? parseHash(hash) : null;
  const place = parsed === null ? null : backend.locate(parsed);
  return place === null ? 1 : traceUnits + Math.ceil(place.index / 2);
}

function traceCall(backend: Backend, limits: RpcLimits, [call, at, given]: readonly unknown[]) {
  const { wish, ms, config } = readTracing(given, 2);
  if (!isAbsent(config.txIndex)) throw invalidParam(2, 'txIndex is not served');
  const { stateOverrides, blockOverrides } = config;
  const prepared = prepareCall(backend, limits, [call, at, stateOverrides, blockOverrides]);
  const { wanted, world, height, block, changes: overrides } = prepared;
  checkFunds(wanted, world, wanted.gas ?? 0n);
  const { from: sender, to, value, data, price: gasPrice, accessList } = wanted;
  const question = { sender, to, value, data, gasPrice, accessList };
  const { viewGasMax } = limits;
  const gasMax = wanted.gas !== null && wanted.gas < viewGasMax ? wanted.gas : viewGasMax;
  const kind = 'tracedCall' as const;
  const request = { kind, wish, question, gasMax, height, block, overrides };
  return { request, ms };
}

type Tracing = {
  readonly wish: TraceWish;
  readonly ms: number | undefined;
  readonly config: Readonly<Record<string, unknown>>;
};

/** geth's TraceConfig; without a tracer it is the one that is served. */
function readTracing(value: unknown, index: number): Tracing {
  const config = isAbsent(value) ? {} : readObject(value, index);
  const { tracer, tracerConfig, timeout } = config;
  if (!isAbsent(tracer) && readText(tracer, index) !== CALL_TRACER) {
    throw invalidParam(index, `the only tracer is ${CALL_TRACER}`);
  }
  const { onlyTopCall, withLog } = isAbsent(tracerConfig) ? {} : readObject(tracerConfig, index);
  const flag = (given: unknown) => (isAbsent(given) ? false : readBoolean(given, index));
  const wish = {
    ...{ shape: 'calls' as const, onlyTopCall: flag(onlyTopCall), withLog: flag(withLog) },
  };
  return { wish, config, ms: isAbsent(timeout) ? undefined : readDuration(timeout, index) };
}

const DURATION = /^(?:(?:\d+\.?\d{0,9}|\.\d{1,9})(?:ns|us|µs|μs|ms|s|m|h))+$/;
const PART = /([\d.]+)(ns|us|µs|μs|ms|s|m|h)/g;
const MS: Readonly<Record<string, number>> = {
  ...{ ns: 1e-6, us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 },
};
const durationCharsMax = 32;

/** As Go writes it: `5s`, `1m30s`; whole milliseconds, at least one. */
function readDuration(value: unknown, index: number): number {
  const text = readText(value, index);
  if (text.length > durationCharsMax || !DURATION.test(text)) {
    throw invalidParam(index, 'timeout should be a duration such as 5s');
  }
  let ms = 0;
  for (const [, amount = '', unit = ''] of text.matchAll(PART)) {
    ms += Number(amount) * (MS[unit] ?? 0);
  }
  return Math.max(1, Math.floor(ms));
}
