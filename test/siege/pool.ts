/**
 * A siege of the pools (reliability P1): attackers who fill them with payments that wait for ever,
 * cannot be paid, replace each other or cost nothing, while honest people pay (Li et al., DETER,
 * CCS 2021). What each gets is counted. The calm before is beside a process that only turns.
 */

import { spawn } from 'node:child_process';
import { toHex } from '#src/lib/bytes.ts';
import { signTransaction, type TransactionFields } from '#src/types/transaction.ts';
import { asGas, asWei } from '#src/types/units.ts';
import { type Account, accounts, pause, ready, Target, transfer } from '../bench/load.ts';
import { percentile } from '../bench/table.ts';
import { Cluster } from '../chaos/cluster.ts';
import { observerId } from '../chaos/observer.ts';

const chainId = 6727n;
const fee = 2_000_000_000n;
const honestPerSecond = 20;
const honestSenders = 10;
const calmMs = 5_000;
/** Of them one payment can be paid, so that the pool has something to believe. */
const attackerWei = 21_000n * fee * 20n;
const batchItems = 100;
const honestWaitMs = 20_000;

export type PoolSiege = {
  readonly honest: { readonly sent: number; readonly final: number };
  readonly calmP95: number;
  readonly siegeP95: number;
  /** Answers to the attackers: `taken`, or the code of the refusal. */
  readonly answers: Readonly<Record<string, number>>;
  readonly deaths: readonly string[];
};

/** `perSecond`: of all attackers together; what they may send is the business of quotas. */
export async function besiegePools(
  attackers: number,
  each: number,
  perSecond: number,
): Promise<PoolSiege> {
  const honest = accounts(4_000, honestSenders);
  const rich = accounts(4_100, attackers);
  const [payee, treasury] = accounts(4_500, 2) as [Account, Account];
  const cluster = await Cluster.create({
    ...{ validators: 4, observer: observerId, direct: true },
    funded: [...honest, treasury].map(({ address }) => address),
  });
  const targets = cluster.members.map(({ rpc }) => new Target(rpc, 64));
  const answers: Record<string, number> = {};
  try {
    cluster.startAll();
    await Promise.all(cluster.members.map(({ rpc }) => ready(rpc)));
    const [first] = targets as [Target];
    const gifts = rich.map(({ address }) => transfer(treasury, address, chainId, attackerWei));
    for (const { raw } of gifts) await first.call('eth_sendRawTransactionSync', [raw]);
    // Signed before anything is timed, by whoever times it.
    const prepared = rich.map((one, at) => attackOf(at % KINDS.length, one, payee, each));
    const burner = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
    const calm = await payHonestly(targets, honest, payee, pause(calmMs)).finally(() =>
      burner.kill('SIGKILL'),
    );
    const attacks = prepared.map(async (raws) => {
      for (let next = 0; next < raws.length; next += batchItems) {
        const some = raws.slice(next, next + batchItems);
        const sent = performance.now();
        await send(targets[(next / batchItems) % targets.length] as Target, some, answers);
        const lasts = (some.length * attackers * 1_000) / perSecond;
        await pause(Math.max(0, sent + lasts - performance.now()));
      }
    });
    const siege = await payHonestly(targets, honest, payee, Promise.all(attacks));
    return {
      honest: { sent: calm.sent + siege.sent, final: calm.final + siege.final },
      ...{ calmP95: calm.p95, siegeP95: siege.p95, answers, deaths: cluster.deaths },
    };
  } finally {
    for (const target of targets) target.close();
    await cluster.destroy();
  }
}

/** Steadily, each payment by one call at the next node, for as long as `until` is open. */
async function payHonestly(
  targets: readonly Target[],
  senders: readonly Account[],
  payee: Account,
  until: Promise<unknown>,
): Promise<{ sent: number; final: number; p95: number }> {
  const latencies: number[] = [];
  const open: Promise<void>[] = [];
  const { isOver } = watch(until);
  let sent = 0;
  for (; !isOver(); sent++) {
    const sender = senders[sent % senders.length] as Account;
    const { raw } = transfer(sender, payee.address, chainId);
    const target = targets[sent % targets.length] as Target;
    const began = performance.now();
    const paid = target.call('eth_sendRawTransactionSync', [raw, honestWaitMs]);
    open.push(
      paid.then(
        () => void latencies.push(performance.now() - began),
        () => {},
      ),
    );
    await pause(1_000 / honestPerSecond);
  }
  await Promise.all(open);
  latencies.sort((a, b) => a - b);
  return { sent, final: latencies.length, p95: percentile(latencies, 0.95) };
}

function watch(until: Promise<unknown>): { isOver(): boolean } {
  let over = false;
  const end = () => {
    over = true;
  };
  until.then(end, end);
  return { isOver: () => over };
}

/** What an attacker sends first, second, and so on. */
type Attack = (at: number) => Partial<TransactionFields>;

const KINDS: readonly Attack[] = [
  // Behind a gap that is never closed.
  (at) => ({ nonce: BigInt(2 + (at % 62)) + BigInt(Math.floor(at / 62)) * 100n }),
  // In order, and together far more than there is.
  (at) => ({ nonce: BigInt(at), value: asWei(attackerWei / 2n) }),
  // The same again for a little more.
  (at) => ({ nonce: 0n, maxFeePerGas: asWei(fee + BigInt(at)), value: asWei(BigInt(at + 1)) }),
  // A better price each time, as the rule demands it, from a gap.
  (at) => ({
    nonce: 5n,
    maxFeePerGas: asWei((fee * 111n ** BigInt(at % 60)) / 100n ** BigInt(at % 60)),
  }),
  // For nothing.
  (at) => ({ nonce: BigInt(at), maxFeePerGas: asWei(1n), maxPriorityFeePerGas: asWei(0n) }),
];

function attackOf(kind: number, attacker: Account, payee: Account, count: number): string[] {
  const attack = KINDS[kind] as Attack;
  return Array.from({ length: count }, (_, at) => {
    const fields: TransactionFields = {
      ...{ type: 2, chainId, nonce: 0n, to: payee.address, value: asWei(1n) },
      ...{ maxFeePerGas: asWei(fee), maxPriorityFeePerGas: asWei(0n), gasLimit: asGas(21_000n) },
      ...{ data: new Uint8Array(0), accessList: [], authorizationList: [] },
      ...attack(at),
    };
    return toHex(signTransaction(fields, attacker.key).raw);
  });
}

async function send(
  target: Target,
  raws: readonly string[],
  answers: Record<string, number>,
): Promise<void> {
  const method = 'eth_sendRawTransaction';
  const body = raws.map((raw, id) => ({ jsonrpc: '2.0', id, method, params: [raw] }));
  const got = (await target.post(JSON.stringify(body))) as Answer[];
  for (const { error } of got) {
    const what = error === undefined ? 'taken' : (error.data?.code ?? `${error.code}`);
    answers[what] = (answers[what] ?? 0) + 1;
  }
}

type Answer = {
  readonly error?: { readonly code: number; readonly data?: { readonly code: string } };
};
