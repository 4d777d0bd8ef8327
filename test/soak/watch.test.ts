import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { accounts, pause, Target, transfer } from '../bench/load.ts';
import { Cluster } from '../chaos/cluster.ts';
import { observerId } from '../chaos/observer.ts';
import { readMetrics } from './metrics.ts';

/** What an operator sees of one node, and how it ends where it cannot go on. */
const scripts = mkdtempSync(join(tmpdir(), 'mpbp-preload-'));
const endsWithinMs = 15_000;

describe('one node', { timeout: 120_000 }, () => {
  let cluster: Cluster;
  let preload = '';

  before(async () => {
    const environment = () => ({ NODE_OPTIONS: preload === '' ? '' : `--import=${preload}` });
    const options = { validators: 1, direct: true, operator: true, environment } as const;
    cluster = await Cluster.create({ ...options, observer: observerId });
  });

  after(async () => {
    await cluster?.destroy();
    rmSync(scripts, { recursive: true, force: true });
  });

  /** The node runs this beside its own program. */
  function beside(source: string): void {
    preload = join(scripts, `${Math.random()}.mjs`);
    writeFileSync(preload, source);
  }

  async function start(): Promise<Target> {
    cluster.start(0);
    const target = new Target(member().rpc, 4);
    for (let tried = 0; tried < 200; tried++) {
      const height = await target.call('eth_blockNumber', []).catch(() => null);
      if (height !== null) return target;
      await pause(50);
    }
    throw new Error(`no answer: ${cluster.log(0)}`);
  }

  function member(): Cluster['members'][number] {
    const [one] = cluster.members;
    assert.ok(one);
    return one;
  }

  /** Its exit code, once it ended by itself. */
  async function ended(): Promise<number | null> {
    const { child } = member();
    assert.ok(child);
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error('it goes on')), endsWithinMs);
      child.once('exit', (code) => {
        clearTimeout(late);
        resolve(code);
      });
    });
  }

  it('tells its metrics on the operator port, and only there', async () => {
    const target = await start();
    const [payer, payee] = accounts(0, 2);
    assert.ok(payer && payee);
    const { raw } = transfer(payer, payee.address, 6727n);
    await target.call('eth_sendRawTransactionSync', [raw]);
    await assert.rejects(target.call('eth_sendRawTransaction', [raw]), /nonce too low/);
    const seen = await readMetrics(member().metrics);
    assert.equal(seen.get('mpbp_payments_final_total'), 1);
    assert.equal(seen.get('mpbp_payments_refused_total{code="NONCE_TOO_LOW"}'), 1);
    assert.equal(seen.get('mpbp_rpc_answers_total{outcome="-32000"}'), 1);
    assert.equal(seen.get('mpbp_consensus_is_validator'), 1);
    assert.ok((seen.get('mpbp_rpc_answers_total{outcome="ok"}') ?? 0) >= 1);
    assert.ok((seen.get('mpbp_consensus_height') ?? 0) >= 1);
    for (const log of ['chain', 'consensus', 'pool']) {
      assert.ok((seen.get(`mpbp_disk_sync_seconds_count{log="${log}"}`) ?? 0) >= 1, log);
    }
    for (const name of ['process_resident_memory_bytes', 'process_open_fds']) {
      assert.ok((seen.get(name) ?? 0) > 1, name);
    }
    assert.ok(seen.has('mpbp_event_loop_delay_seconds{quantile="0.99"}'));
    const { status } = await fetch(`${member().rpc}/metrics`);
    assert.equal(status, 404);
    target.close();
    assert.equal(await cluster.stop(0), true);
  });

  it('says that a turn of its event loop took more than two seconds', async () => {
    beside(`setTimeout(() => {
      const until = Date.now() + 2600;
      while (Date.now() < until);
    }, 2500)`);
    const target = await start();
    for (let waited = 0; !cluster.log(0).includes('event loop stalled'); waited += 100) {
      assert.ok(waited < endsWithinMs, cluster.log(0));
      await pause(100);
    }
    const seen = await readMetrics(member().metrics);
    assert.equal(seen.get('mpbp_event_loop_stalls_total'), 1);
    assert.match(cluster.log(0), /"ms":2\d\d\d,"msg":"event loop stalled"/);
    target.close();
    assert.equal(await cluster.stop(0), true);
  });

  it('ends with 70 where a promise was rejected and nobody looked', async () => {
    beside(`setTimeout(() => { Promise.reject(new Error('unseen')); }, 2500)`);
    const target = await start();
    target.close();
    assert.equal(await ended(), 70);
    assert.match(cluster.log(0), /"reason":"unseen"/);
  });

  it('ends with 70 where one of its threads throws', async () => {
    beside(`import { isMainThread, Worker } from 'node:worker_threads';
      if (isMainThread) setTimeout(() => {
        new Worker('throw new Error("in a thread")', { eval: true });
      }, 2500)`);
    const target = await start();
    target.close();
    assert.equal(await ended(), 70);
    assert.match(cluster.log(0), /"reason":"in a thread"/);
  });
});
