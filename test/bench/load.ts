/** A load driver that speaks plain JSON-RPC, the same for every node that it measures. */
import { Agent, request } from 'node:http';
import { toHex } from '#src/lib/bytes.ts';
import type { Address } from '#src/types/address.ts';
import { signTransaction } from '#src/types/transaction.ts';
import { asGas, asWei } from '#src/types/units.ts';
import { addressOfKey } from '#src/wallet/keystore.ts';
import { mnemonicKey } from '#src/wallet/mnemonic.ts';

export const mnemonic = 'test test test test test test test test test test test junk';

export type Account = { readonly key: Uint8Array; readonly address: Address; nonce: bigint };

export type Signed = { readonly raw: string; readonly hash: string };

/** One node's JSON-RPC over kept-alive connections. */
export class Target {
  readonly url: URL;
  readonly #agent: Agent;
  #id = 0;

  constructor(url: string, connections = 64) {
    this.url = new URL(url);
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  async call<T>(method: string, params: readonly unknown[]): Promise<T> {
    const body = { jsonrpc: '2.0', id: ++this.#id, method, params };
    const answer = (await this.post(JSON.stringify(body))) as Answer;
    if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message}`);
    return answer.result as T;
  }

  async batch(
    calls: readonly { method: string; params: readonly unknown[] }[],
  ): Promise<unknown[]> {
    const body = calls.map(({ method, params }) => ({
      jsonrpc: '2.0',
      id: ++this.#id,
      method,
      params,
    }));
    const answers = (await this.post(JSON.stringify(body))) as Answer[];
    if (!Array.isArray(answers)) throw new Error('a batch was refused');
    for (const { error } of answers) if (error !== undefined) throw new Error(error.message);
    return answers.map(({ result }) => result);
  }

  post(body: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const outgoing = request(
        this.url,
        {
          method: 'POST',
          agent: this.#agent,
          headers: {
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(body),
          },
        },
        (incoming) => {
          const parts: Buffer[] = [];
          incoming.on('data', (part: Buffer) => parts.push(part));
          incoming.on('end', () => {
            try {
              resolve(JSON.parse(Buffer.concat(parts).toString()));
            } catch (error) {
              reject(error as Error);
            }
          });
        },
      );
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

type Answer = { result?: unknown; error?: { message: string } };

export function accounts(first: number, count: number): Account[] {
  return Array.from({ length: count }, (_, at) => {
    const key = mnemonicKey(mnemonic, first + at);
    return { key, address: addressOfKey(key), nonce: 0n };
  });
}

/** A transfer of one wei from `from` with its next nonce. */
export function transfer(from: Account, to: Address, chainId: bigint, value = 1n): Signed {
  const { raw, hash } = signTransaction(
    {
      type: 2,
      chainId,
      nonce: from.nonce++,
      maxFeePerGas: asWei(2_000_000_000n),
      maxPriorityFeePerGas: asWei(0n),
      gasLimit: asGas(21_000n),
      to,
      value: asWei(value),
      data: new Uint8Array(0),
      accessList: [],
      authorizationList: [],
    },
    from.key,
  );
  return { raw: toHex(raw), hash };
}

/** Gives each sender money from the first accounts, and waits until all have it. */
export async function fund(target: Target, senders: readonly Account[]): Promise<void> {
  const chainId = BigInt(await target.call<string>('eth_chainId', []));
  const [rich] = accounts(0, 1);
  if (rich === undefined) return;
  rich.nonce = BigInt(await target.call('eth_getTransactionCount', [rich.address, 'latest']));
  const value = 10n ** 18n;
  const signed = senders.map((sender) => transfer(rich, sender.address, chainId, value));
  for (const { raw } of signed) await target.call('eth_sendRawTransaction', [raw]);
  await allFinal(target, signed);
  for (const sender of senders) {
    const nonce = await target.call<string>('eth_getTransactionCount', [sender.address, 'latest']);
    sender.nonce = BigInt(nonce);
  }
}

/** Submit and wait for the receipt, one after the other: milliseconds of each. */
export async function latencies(
  target: Target,
  sender: Account,
  to: Address,
  count: number,
): Promise<number[]> {
  const chainId = BigInt(await target.call<string>('eth_chainId', []));
  const found: number[] = [];
  for (let i = 0; i < count; i++) {
    const { raw, hash } = transfer(sender, to, chainId);
    const started = performance.now();
    await target.call('eth_sendRawTransaction', [raw]);
    while ((await target.call('eth_getTransactionReceipt', [hash])) === null) await pause(0.5);
    found.push(performance.now() - started);
  }
  return found.sort((a, b) => a - b);
}

/** The same over one call that returns the final receipt (EIP-7966). */
export async function syncLatencies(
  target: Target,
  sender: Account,
  to: Address,
  count: number,
): Promise<number[]> {
  const chainId = BigInt(await target.call<string>('eth_chainId', []));
  const found: number[] = [];
  for (let i = 0; i < count; i++) {
    const { raw } = transfer(sender, to, chainId);
    const started = performance.now();
    await target.call('eth_sendRawTransactionSync', [raw]);
    found.push(performance.now() - started);
  }
  return found.sort((a, b) => a - b);
}

/**
 * Payments a second from the first submission until the last receipt. Each sender's payments go
 * out in order of nonce; `inFlight` requests are open at a time, spread over the targets.
 */
export async function rate(
  targets: readonly Target[],
  signed: readonly Signed[],
  options: { inFlight: number; batch: number },
): Promise<number> {
  const started = performance.now();
  let next = 0;
  const worker = async (at: number) => {
    const target = targets[at % targets.length];
    while (target !== undefined && next < signed.length) {
      const mine = signed.slice(next, next + options.batch);
      next += mine.length;
      await submit(target, mine);
    }
  };
  await Promise.all(Array.from({ length: options.inFlight }, (_, at) => worker(at)));
  const [first] = targets;
  if (first !== undefined) await allFinal(first, signed);
  return signed.length / ((performance.now() - started) / 1000);
}

/** A full pool or a sender's limit says "later", and later it goes through. */
export async function submit(target: Target, signed: readonly Signed[]): Promise<void> {
  let left = signed;
  while (left.length > 0) {
    const bodies = left.map(({ raw }, id) => ({
      jsonrpc: '2.0',
      id,
      method: 'eth_sendRawTransaction',
      params: [raw],
    }));
    const answer = await target.post(JSON.stringify(signed.length === 1 ? bodies[0] : bodies));
    const answers = (Array.isArray(answer) ? answer : [answer]) as Answer[];
    left = left.filter((_, at) => {
      const text = answers[at]?.error?.message;
      if (text === undefined || /already known|nonce too low/.test(text)) return false;
      if (/limit|full/.test(text)) return true;
      throw new Error(text);
    });
    if (left.length > 0) await pause(5);
  }
}

async function allFinal(target: Target, signed: readonly Signed[]): Promise<void> {
  let missing = signed.map(({ hash }) => hash);
  while (missing.length > 0) {
    const some = missing.slice(0, 100);
    const calls = some.map((hash) => ({ method: 'eth_getTransactionReceipt', params: [hash] }));
    const receipts = await target.batch(calls);
    const open = some.filter((_, at) => receipts[at] === null);
    missing = [...open, ...missing.slice(some.length)];
    if (open.length > 0) await pause(2);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Until the node at this address takes requests; it has a minute. */
export async function ready(rpc: string): Promise<void> {
  for (let tried = 0; tried < 600; tried++) {
    const answer = await fetch(`${rpc}/readyz`).catch(() => null);
    if (answer?.ok) return;
    await pause(100);
  }
  throw new Error(`${rpc} is not ready`);
}
