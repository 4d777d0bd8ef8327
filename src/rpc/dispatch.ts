/**
 * One JSON-RPC 2.0 body to one answer. Whatever can be answered at once is: a promise costs a turn
 * of the loop, and most methods need none.
 */
import { isDamage, MomentaryError } from '#src/lib/failure.ts';
import type { Log } from '#src/lib/log.ts';
import { answers } from '#src/lib/measures.ts';
import type { Caller } from './access/access.ts';
import { invalidParam, limitExceeded, RPC, RpcError, unknownMethod } from './errors.ts';
import { parseJson } from './json.ts';
import type { RpcLimits } from './limits.ts';
import type { JsonObject, Params } from './params.ts';

/** What a subscriber is to the methods: a WebSocket connection. */
export type Session = {
  readonly caller: Caller;
  readonly subscriptions: Set<string>;
  /** Whether it has much to read before it would see what is sent now. */
  readonly isSlow: boolean;
  send(text: string): void;
};

/** Who asks, and over what: a session can be told of things later. */
export type Origin = { readonly caller: Caller; readonly session: Session | null };

/** A result that is JSON already. */
export class JsonText {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type Method = {
  /** More parameters are refused. */
  readonly paramsMax: number;
  /** A plain value or a promise of one; bytes and bigints are text already. */
  readonly run: (params: Params, session: Session | null, caller: Caller) => unknown;
  /** Units of work that a call takes from its caller's quota; 1 where it is not said. */
  readonly units?: number | ((params: Params) => number);
  /** In a batch, started without waiting for the items before: they may depend on each other. */
  readonly overlaps?: true;
};

export type Methods = Iterable<readonly [string, Method]>;

type Answer = string | null | Promise<string | null>;

const NO_PARAMS: Params = [];
/** For whole milliseconds of this thread, on top: how long a large block or pool takes to tell. */
export const unitsPerMs = 10;
const TOO_MUCH = limitExceeded('too much was asked for: ask again later');

/** Whether its quota is used up for now. */
export function isExhausted({ meter }: Caller): boolean {
  return meter !== null && meter.waitMs > 0;
}

export class Dispatcher {
  readonly #methods: ReadonlyMap<string, Method>;
  readonly #limits: RpcLimits;
  readonly #log: Log;
  #inFlight = 0;

  constructor(methods: Methods, limits: RpcLimits, log: Log) {
    this.#methods = new Map(methods);
    this.#limits = limits;
    this.#log = log;
  }

  get names(): Iterable<string> {
    return this.#methods.keys();
  }

  get isBusy(): boolean {
    return this.#inFlight >= this.#limits.callsInFlightMax;
  }

  /** Instead of an answer, where {@link isBusy}. */
  busy(): string {
    const { callsInFlightMax } = this.#limits;
    const error = limitExceeded(`too many requests: ${callsInFlightMax} are in progress`);
    return this.#failure('null', error, 'busy');
  }

  /** Instead of an answer, where the caller has used up what it may. */
  exhausted(): string {
    return this.#failure('null', TOO_MUCH, 'quota');
  }

  /** Null where nothing is to be said: the body was notifications only. Never rejects. */
  answer(body: Buffer, from: Origin): Answer {
    let request: unknown;
    try {
      request = parseJson(body, this.#limits);
    } catch (error) {
      from.caller.meter?.take(1);
      return this.#failure('null', error, 'parse');
    }
    return Array.isArray(request) ? this.#batch(request, from) : this.#single(request, from);
  }

  #single(request: unknown, from: Origin): Answer {
    from.caller.meter?.take(1);
    const id = readId(request, this.#limits.idCharsMax);
    if (id === INVALID)
      return this.#failure(
        'null',
        badRequest('id should be a string, a number or null'),
        'request',
      );
    // The id of a request without one is null only where the request itself is bad.
    const idText = id === undefined ? 'null' : JSON.stringify(id);
    const call = readCall(request);
    if (call instanceof RpcError) return this.#failure(idText, call, 'request');
    try {
      const result = this.#run(call, from);
      if (result instanceof Promise) return this.#whenDone(result, call.name, id, idText);
      return id === undefined ? null : this.#success(idText, result);
    } catch (error) {
      return id === undefined ? null : this.#failure(idText, error, call.name);
    }
  }

  #run({ name, params: given }: Call, { caller, session }: Origin): unknown {
    const method = this.#methods.get(name);
    // What a caller may not do looks like what nobody can.
    if (method === undefined || !caller.allows(name)) throw unknownMethod(name);
    const params = given === undefined || given === null ? NO_PARAMS : given;
    const isList = Array.isArray(params);
    const { units: asked = 1 } = method;
    const units = typeof asked === 'number' ? asked : isList ? asked(params) : 1;
    if (units > 1) caller.meter?.take(units - 1);
    if (!isList) throw invalidParam(0, 'params should be a list');
    if (params.length > method.paramsMax) {
      const reason = `too many arguments, want at most ${method.paramsMax}`;
      throw invalidParam(method.paramsMax, reason);
    }
    if (caller.meter === null) return method.run(params, session, caller);
    const startMs = performance.now();
    try {
      return method.run(params, session, caller);
    } finally {
      const ms = Math.floor(performance.now() - startMs);
      if (ms > 0) caller.meter.take(ms * unitsPerMs);
    }
  }

  async #whenDone(
    result: Promise<unknown>,
    name: string,
    id: unknown,
    idText: string,
  ): Promise<string | null> {
    this.#inFlight++;
    try {
      const value = await result;
      return id === undefined ? null : this.#success(idText, value);
    } catch (error) {
      return id === undefined ? null : this.#failure(idText, error, name);
    } finally {
      this.#inFlight--;
    }
  }

  /** In order; once the answers are as long as allowed, the rest is not executed. */
  async #batch(items: readonly unknown[], from: Origin): Promise<string | null> {
    const { batchItemsMax, responseBytesMax } = this.#limits;
    if (items.length === 0) {
      return this.#failure('null', new RpcError(RPC.invalidRequest, 'empty batch'), 'batch');
    }
    if (items.length > batchItemsMax) {
      const error = limitExceeded(`batch too large: ${items.length}, limit ${batchItemsMax}`);
      return this.#failure('null', error, 'batch');
    }
    const answers: Answer[] = [];
    let bytes = 0;
    for (const item of items) {
      if (bytes > responseBytesMax) {
        answers.push(this.#tooLarge(item));
        continue;
      }
      if (isExhausted(from.caller)) {
        answers.push(this.#refuseItem(item, TOO_MUCH));
        continue;
      }
      const answer = this.#single(item, from);
      const known = answer instanceof Promise && !this.#overlaps(item) ? await answer : answer;
      if (typeof known === 'string') bytes += known.length;
      answers.push(bytes > responseBytesMax ? this.#tooLarge(item) : known);
    }
    const texts = (await Promise.all(answers)).filter((text) => text !== null);
    return texts.length === 0 ? null : `[${texts.join(',')}]`;
  }

  #overlaps(item: unknown): boolean {
    const { method } = item as JsonObject;
    return typeof method === 'string' && this.#methods.get(method)?.overlaps === true;
  }

  #tooLarge(item: unknown): string | null {
    return this.#refuseItem(item, new RpcError(RPC.tooLarge, 'response too large'));
  }

  #refuseItem(item: unknown, error: RpcError): string | null {
    const id = readId(item, this.#limits.idCharsMax);
    if (id === undefined) return null;
    const idText = id === INVALID ? 'null' : JSON.stringify(id);
    return this.#failure(idText, error, 'batch');
  }

  #success(idText: string, result: unknown): string {
    const json = result instanceof JsonText ? result.text : JSON.stringify(result ?? null);
    const text = `{"jsonrpc":"2.0","id":${idText},"result":${json}}`;
    if (text.length <= this.#limits.responseBytesMax) {
      if (answers.isWatched) answers.tell({ outcome: 'ok', refusal: null });
      return text;
    }
    return this.#failure(idText, new RpcError(RPC.tooLarge, 'response too large'), 'result');
  }

  #failure(idText: string, error: unknown, name: string): string {
    if (error instanceof MomentaryError) {
      const again = new RpcError(RPC.rejected, error.message, { code: error.code });
      return this.#failure(idText, again, name);
    }
    if (!(error instanceof RpcError)) {
      // Thrown where nobody catches it: a damaged node stops, and does not go on answering.
      if (isDamage(error)) setImmediate(() => Promise.reject(error));
      const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#log.error('rpc method failed', { method: name, reason });
      answers.tell({ outcome: `${RPC.internal}`, refusal: null });
      return `{"jsonrpc":"2.0","id":${idText},"error":{"code":-32603,"message":"internal error"}}`;
    }
    const { code, message, data } = error;
    answers.tell({ outcome: `${code}`, refusal: refusalIn(code, data) });
    const body = JSON.stringify(data === undefined ? { code, message } : { code, message, data });
    return `{"jsonrpc":"2.0","id":${idText},"error":${body}}`;
  }
}

/** Refused payments say why in a code of ours. */
function refusalIn(code: number, data: unknown): string | null {
  if (code !== RPC.rejected) return null;
  const refusal = (data as { code?: unknown } | undefined)?.code;
  return typeof refusal === 'string' ? refusal : null;
}

const INVALID = Symbol('an id that is none');

/** Undefined makes a notification. */
function readId(request: unknown, charsMax: number): string | number | null | undefined | symbol {
  if (typeof request !== 'object' || request === null) return null;
  const { id } = request as JsonObject;
  if (id === undefined || id === null) return id;
  if (typeof id === 'string') return id.length > charsMax ? INVALID : id;
  // 1e400 parses to Infinity, which no answer could repeat.
  return typeof id === 'number' && Number.isFinite(id) ? id : INVALID;
}

type Call = { readonly name: string; readonly params: unknown };

function readCall(request: unknown): Call | RpcError {
  if (typeof request !== 'object' || request === null || Array.isArray(request)) {
    return badRequest('not an object');
  }
  const { jsonrpc, method, params } = request as JsonObject;
  if (jsonrpc !== '2.0') return badRequest('jsonrpc should be "2.0"');
  if (typeof method !== 'string' || method === '') return badRequest('method should be a name');
  return { name: method, params };
}

function badRequest(what: string): RpcError {
  return new RpcError(RPC.invalidRequest, `invalid request: ${what}`);
}
