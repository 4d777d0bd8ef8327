import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { type Account, accounts, pause, rate, Target, transfer } from '../bench/load.ts';
import { Cluster } from '../chaos/cluster.ts';
import { observerId } from '../chaos/observer.ts';
import { readMetrics } from '../soak/metrics.ts';
import { rssMiB } from '../soak/samples.ts';

/** Clients offer more than the network bears, and do not wait: what do they and it get? */
const chainId = 6727n;
const validators = 4;
const senders = 80;
const noncesEach = 100;
/** What a network of four on this machine makes final in less than a second. */
const poolMax = 1_000;
/** Beyond the limit of connections of a node, which is 1,000. */
const idleConnections = 1_100;
const overloadMs = 5_000;
/** A client that was refused tries again after this. */
const politeMs = 1_000;
const settleMsMax = 90_000;
/** The promise is a second; tests beside this one, on the same cores, take their part. */
const answerMsMax = 5_000;
const rssMiBMax = 600;

type Answer = { id: number; result?: string; error?: { code: number; data?: { code?: string } } };
type Payment = { readonly raw: string; readonly hash: string };

/** What a client may be told beside a hash: later, or I have it already. */
const laterCodes = ['POOL_FULL', 'SENDER_LIMIT', 'NONCE_TOO_HIGH', 'NODE_BUSY'];
const knownCodes = ['ALREADY_KNOWN', 'NONCE_TOO_LOW'];
const limitExceeded = -32005;

describe('four validators under more than they can bear', { timeout: 200_000 }, () => {
  const group = accounts(2_000, senders);
  const [payee] = accounts(1_999, 1) as [Account];
  let cluster: Cluster;
  let targets: Target[] = [];
  let sockets: Socket[] = [];
  let probe: Probe | null = null;

  before(async () => {
    cluster = await Cluster.create({
      validators,
      observer: observerId,
      direct: true,
      operator: true,
      environment: () => ({ MPBP_POOL_TRANSACTIONS_MAX: `${poolMax}` }),
      funded: group.map(({ address }) => address),
    });
    cluster.startAll();
    targets = cluster.members.map(({ rpc }) => new Target(rpc, 100));
    for (const target of targets) await answering(target);
  });

  after(async () => {
    await probe?.stop();
    for (const socket of sockets) socket.destroy();
    for (const target of targets) target.close();
    await cluster?.destroy();
  });

  it('lose no payment that they took, take none twice, and stay responsive', async (test) => {
    const fitting = group.flatMap((from) =>
      Array.from({ length: 10 }, () => transfer(from, payee.address, chainId)),
    );
    const borne = await rate(targets, fitting, { inFlight: 64, batch: 1 });
    const lanes = group.map((from) =>
      Array.from({ length: noncesEach }, () => transfer(from, payee.address, chainId)),
    );
    sockets = await hold(cluster.members[0]?.rpcPort ?? 0);
    const storm = new Storm(targets, lanes);
    probe = new Probe(targets);
    const finalBefore = await finalPayments();
    const started = performance.now();
    const rssMax = await storm.rage(overloadMs, () => residentMiB(cluster));
    const seconds = (performance.now() - started) / 1_000;
    const made = (await finalPayments()) - finalBefore;
    const offered = storm.offered / seconds;
    await storm.settle(settleMsMax);
    const slowest = await probe.stop();
    for (const socket of sockets) socket.destroy();

    test.diagnostic(
      `borne ${borne.toFixed(0)}/s; offered ${offered.toFixed(0)}/s, ` +
        `final ${(made / seconds).toFixed(0)}/s (${(made / seconds / borne).toFixed(2)} of it); ` +
        `slowest eth_blockNumber ${slowest.toFixed(0)} ms; ${rssMax.toFixed(0)} MiB at most; ` +
        `answers ${JSON.stringify(Object.fromEntries(storm.answers))}`,
    );
    assert.ok(offered > (2 * made) / seconds, 'twice what they bear was offered');
    assert.deepEqual(storm.strange, [], 'every answer is a hash or says what to do');
    assert.ok(storm.answers.has('SENDER_LIMIT'), 'the limit of a sender was met');
    assert.ok(slowest < answerMsMax, `eth_blockNumber took ${slowest} ms`);
    assert.ok(rssMax < rssMiBMax, `${rssMax} MiB`);
    await allOnce(storm.taken, fitting.length);
  });

  it('are as before when it is over', async () => {
    for (const { metrics } of cluster.members) {
      const seen = await readMetrics(metrics);
      assert.equal(seen.get('mpbp_pool_executable'), 0);
      assert.equal(seen.get('mpbp_pool_gapped'), 0);
      assert.equal(seen.get('mpbp_rpc_answers_total{outcome="-32603"}') ?? 0, 0);
      assert.equal(seen.get('mpbp_log_lines_total{level="error"}') ?? 0, 0);
    }
    const [from] = group as [Account];
    const { raw } = transfer(from, payee.address, chainId);
    await (targets[0] as Target).call('eth_sendRawTransactionSync', [raw]);
    assert.deepEqual(cluster.deaths, []);
  });

  async function finalPayments(): Promise<number> {
    const seen = await readMetrics(cluster.members[0]?.metrics ?? '');
    return seen.get('mpbp_payments_final_total') ?? 0;
  }

  /** The receipt of each that was taken, and a wei for each nonce: no more, no less. */
  async function allOnce(taken: ReadonlySet<string>, beforehand: number): Promise<void> {
    const hashes = [...taken];
    for (const [node, target] of targets.entries()) {
      for (let at = node * 100; at < hashes.length; at += targets.length * 100) {
        const some = hashes.slice(at, at + 100);
        const calls = some.map((hash) => ({ method: 'eth_getTransactionReceipt', params: [hash] }));
        const receipts = await target.batch(calls);
        assert.ok(!receipts.includes(null), 'a payment that was taken is final');
      }
      const wei = BigInt(await target.call('eth_getBalance', [payee.address, 'latest']));
      assert.equal(wei, BigInt(beforehand + taken.size), `a wei for each, at node ${node}`);
    }
  }
});

/** All payments at once through all nodes, and again at once what was refused. */
class Storm {
  readonly taken = new Set<string>();
  readonly answers = new Map<string, number>();
  readonly strange: string[] = [];
  offered = 0;
  readonly #targets: readonly Target[];
  readonly #lanes: readonly (readonly Payment[])[];

  constructor(targets: readonly Target[], lanes: readonly (readonly Payment[])[]) {
    this.#targets = targets;
    this.#lanes = lanes;
  }

  /** Gives the most that `watch` saw meanwhile. */
  async rage(ms: number, watch: () => number): Promise<number> {
    const end = performance.now() + ms;
    const all = this.#lanes.map(async (lane, at) => {
      for (let round = at; performance.now() < end; round++) {
        const left = lane.filter(({ hash }) => !this.taken.has(hash));
        if (left.length > 0) await this.#offer(round, left);
        else await pause(50);
      }
    });
    let most = 0;
    while (performance.now() < end) {
      most = Math.max(most, watch());
      await pause(100);
    }
    await Promise.all(all);
    return most;
  }

  /** As a client that waits a moment: until all of them were taken and are final. */
  async settle(msMax: number): Promise<void> {
    const end = performance.now() + msMax;
    const each = this.#lanes.map(async (lane, at) => {
      for (;;) {
        const left = lane.filter(({ hash }) => !this.taken.has(hash));
        if (left.length === 0) return;
        assert.ok(performance.now() < end, `${left.length} are still refused`);
        await this.#offer(at, left.slice(0, 32));
        await pause(politeMs);
      }
    });
    await Promise.all(each);
    const hashes = this.#lanes.map((lane) => lane.at(-1)?.hash ?? '');
    const [target] = this.#targets as [Target];
    for (const hash of hashes) {
      while ((await target.call('eth_getTransactionReceipt', [hash])) === null) {
        assert.ok(performance.now() < end, 'not all that was taken is final');
        await pause(50);
      }
    }
  }

  async #offer(node: number, payments: readonly Payment[]): Promise<void> {
    const body = payments.map(({ raw }, id) => {
      return { jsonrpc: '2.0', id, method: 'eth_sendRawTransaction', params: [raw] };
    });
    this.offered += payments.length;
    const target = this.#targets[node % this.#targets.length] as Target;
    let answer: unknown;
    try {
      answer = await target.post(JSON.stringify(body));
    } catch (error) {
      // At the limit of connections a node hangs up at once.
      return this.#count((error as { code?: string }).code ?? String(error));
    }
    if (!Array.isArray(answer)) return this.#judge(answer as Answer, null);
    for (const one of answer as Answer[]) this.#judge(one, payments[one.id] ?? null);
  }

  #judge({ result, error }: Answer, payment: Payment | null): void {
    const code = error?.data?.code ?? `${error?.code ?? 'hash'}`;
    this.#count(code);
    const known = knownCodes.includes(code);
    if (payment !== null && (result === payment.hash || known)) this.taken.add(payment.hash);
    else if (error?.code !== limitExceeded && !laterCodes.includes(code)) {
      this.strange.push(JSON.stringify({ result, error }));
    }
  }

  #count(what: string): void {
    this.answers.set(what, (this.answers.get(what) ?? 0) + 1);
    if (/^E[A-Z]+$/.test(what) && what !== 'ECONNRESET') this.strange.push(what);
  }
}

/** Asks every node for its height, over a connection of its own, all the time. */
class Probe {
  #slowest = 0;
  #stopped = false;
  readonly #asking: Promise<void>[];

  constructor(targets: readonly Target[]) {
    this.#asking = targets.map(async ({ url }) => {
      const target = new Target(url.href, 1);
      while (!this.#stopped) {
        const started = performance.now();
        const answer = await target.call('eth_blockNumber', []).catch(() => null);
        if (answer !== null) this.#slowest = Math.max(this.#slowest, performance.now() - started);
        await pause(100);
      }
      target.close();
    });
  }

  /** Milliseconds of the slowest answer. */
  async stop(): Promise<number> {
    this.#stopped = true;
    await Promise.all(this.#asking);
    return this.#slowest;
  }
}

/** Connections that ask nothing; those over the limit are closed by the node. */
async function hold(port: number): Promise<Socket[]> {
  const held = Array.from({ length: idleConnections }, () => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => socket.destroy());
    return socket;
  });
  await pause(500);
  return held;
}

function residentMiB(cluster: Cluster): number {
  return Math.max(...cluster.members.map(({ child }) => rssMiB(child?.pid ?? 0)));
}

async function answering(target: Target): Promise<void> {
  for (let tried = 0; tried < 300; tried++) {
    const answer = await target.call('eth_blockNumber', []).catch(() => null);
    if (answer !== null) return;
    await pause(50);
  }
  throw new Error(`${target.url} does not answer`);
}
