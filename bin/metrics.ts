import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { answers, logLines, nullified, stalls, syncs, uncaught } from '#src/lib/measures.ts';
import type { Backend } from '#src/rpc/backend.ts';
import type { NamedFigure } from './compatMetrics.ts';

/** Milliseconds between two looks at the event loop; what it measures is late by as much. */
const loopResolutionMs = 10;
const finalityBucketsSeconds = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
/** An older block was not waited for: the node was away. */
const finalityMsMax = 60_000;
const syncBucketsSeconds = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2, 10];

/**
 * What Prometheus is told (docs/operations.md): the library's figures of the process, and ours.
 * What is known anyway is read when somebody asks; only what passes is counted as it passes.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #backend: Backend;
  readonly #loop = monitorEventLoopDelay({ resolution: loopResolutionMs });
  readonly #onClose: (() => void)[] = [];

  constructor(backend: Backend, also: readonly NamedFigure[] = []) {
    this.#backend = backend;
    this.#loop.enable();
    this.#onClose.push(() => this.#loop.disable());
    collectDefaultMetrics({ register: this.#registry });
    this.#read();
    for (const { name, help, read } of also) this.#gauge(name, help, read);
    this.#readLoop();
    this.#count();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  close(): void {
    for (const end of this.#onClose.splice(0)) end();
    this.#registry.clear();
  }

  #read(): void {
    const { version, cryptoBackend } = this.#backend.status();
    const labels = { version, node: process.version, secp256k1: cryptoBackend };
    this.#gauge('mpbp_build_info', 'what runs, always 1', () => 1, labels);
    const status = () => this.#backend.status();
    const { pool } = this.#backend;
    this.#gauge('mpbp_consensus_height', 'newest final block', () => Number(status().height));
    this.#gauge('mpbp_consensus_view', 'view that is voted on', () => status().view);
    this.#gauge('mpbp_consensus_finalized_view', 'view of that', () => status().finalizedView);
    this.#gauge('mpbp_consensus_epoch', 'number of the validator set', () => status().epoch);
    this.#gauge('mpbp_consensus_unfinalized_blocks', 'ahead of finality', () => {
      return status().unfinalizedBlocks;
    });
    this.#gauge('mpbp_consensus_is_validator', '1 where it votes', () => {
      return status().validator === null ? 0 : 1;
    });
    this.#gauge('mpbp_consensus_suspects', 'leaders that were silent', () => {
      return status().suspects.length;
    });
    this.#gauge('mpbp_sync_blocks_behind', 'final elsewhere, on their way', () => {
      return status().blocksBehind;
    });
    this.#gauge('mpbp_pool_executable', 'payments that could go now', () => pool.executable);
    this.#gauge('mpbp_pool_gapped', 'payments behind a nonce gap', () => pool.gapped);
    this.#gauge('mpbp_p2p_peers', 'connected', () => status().peers.length);
    this.#gauge('mpbp_uptime_seconds', 'since the start', () => status().uptimeMs / 1_000);
  }

  /** Since the last look, so that a peak shows once and does not fade slowly. */
  #readLoop(): void {
    const loop = this.#loop;
    const seconds = (nanoseconds: number) =>
      Math.max(0, nanoseconds / 1e9 - loopResolutionMs / 1_000);
    new Gauge({
      name: 'mpbp_event_loop_delay_seconds',
      help: 'since it was last read: median, 99th percentile, longest',
      labelNames: ['quantile'],
      registers: [this.#registry],
      collect() {
        this.set({ quantile: '0.5' }, seconds(loop.percentile(50)));
        this.set({ quantile: '0.99' }, seconds(loop.percentile(99)));
        this.set({ quantile: '1' }, seconds(loop.max));
        loop.reset();
      },
    });
  }

  #count(): void {
    const blocks = this.#counter('mpbp_blocks_final_total', 'blocks made final');
    const payments = this.#counter('mpbp_payments_final_total', 'payments made final');
    const views = this.#counter('mpbp_views_nullified_total', 'given up', 'why', 'leader');
    const calls = this.#counter('mpbp_rpc_answers_total', 'ok, or the error code', 'outcome');
    const refused = this.#counter('mpbp_payments_refused_total', 'by refusal', 'code');
    const lines = this.#counter('mpbp_log_lines_total', 'lines of the log', 'level');
    const unseen = this.#counter('mpbp_unhandled_errors_total', 'survived, uncaught', 'kind');
    const halts = this.#counter('mpbp_event_loop_stalls_total', 'turns of 2 s and more');
    const broken = this.#counter('mpbp_disk_errors_total', 'writes that failed', 'log');
    const finality = new Histogram({
      name: 'mpbp_finality_seconds',
      help: "from a block's timestamp until it was final here",
      buckets: finalityBucketsSeconds,
      registers: [this.#registry],
    });
    const disk = new Histogram({
      name: 'mpbp_disk_sync_seconds',
      help: 'until the disk had it',
      labelNames: ['log'],
      buckets: syncBucketsSeconds,
      registers: [this.#registry],
    });
    this.#onClose.push(
      this.#backend.onFinal(({ header, transactions }) => {
        blocks.inc();
        payments.inc(transactions.length);
        const ms = Date.now() - header.consensus.timestampMs;
        if (ms < finalityMsMax) finality.observe(Math.max(0, ms) / 1_000);
      }),
      nullified.watch(({ why, leader }) => views.inc({ why, leader })),
      answers.watch(({ outcome, refusal }) => {
        calls.inc({ outcome });
        if (refusal !== null) refused.inc({ code: refusal });
      }),
      logLines.watch(({ level }) => lines.inc({ level })),
      uncaught.watch(({ kind }) => unseen.inc({ kind })),
      stalls.watch(() => halts.inc()),
      syncs.watch(({ log, ms, ok }) => {
        disk.observe({ log }, ms / 1_000);
        if (!ok) broken.inc({ log });
      }),
    );
  }

  #gauge(
    name: string,
    help: string,
    read: () => number,
    labels: Readonly<Record<string, string>> = {},
  ): void {
    new Gauge({
      name,
      help,
      labelNames: Object.keys(labels),
      registers: [this.#registry],
      collect() {
        this.set(labels, read());
      },
    });
  }

  #counter(name: string, help: string, ...labelNames: readonly string[]): Counter {
    return new Counter({ name, help, labelNames, registers: [this.#registry] });
  }
}
